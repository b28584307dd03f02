"""Intake of observations: reading batches, refusing what cannot be, storing the rest once."""
