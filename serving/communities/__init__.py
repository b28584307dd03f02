"""Communities of a shop's consumers: who is in, how members stand, what is planned, and how they fare."""
