"""The payment channel seen from our books: its bill, a simulated channel, reconciliation."""
