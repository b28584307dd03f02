"""Money beside the orders: service and slot fees, guarantees, points."""
