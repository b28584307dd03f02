"""The double-entry ledger: accounts, postings, balances, hash chain. What is posted is decided elsewhere."""
