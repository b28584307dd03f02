"""The pure engine: what an order's money is shared into, to the fen. No database here."""
