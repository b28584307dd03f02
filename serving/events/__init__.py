"""Intake of behaviour events: reading batches, refusing single events with a reason, storing the rest once."""
