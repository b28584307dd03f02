"""Experiments: one service that says which arm a unit gets, notes when an arm acted, and what came of it."""
