"""Routes of decisions that wait for a person."""
