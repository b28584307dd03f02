"""Routes of money: plans, settlement, the ledger and what stands beside it."""
