"""Intake of behaviour events: reading batches, refusing events with a reason, storing the rest once."""
