"""The legs of orders in the ledger: accrued, released, refunded, forfeited, owed."""
