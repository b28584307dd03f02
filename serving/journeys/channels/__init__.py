"""The ways out: what takes a message to a consumer, behind one protocol."""
