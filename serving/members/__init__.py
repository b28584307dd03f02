"""Members: the programme of a tenant, where members stand, what their levels give them."""
