"""Experiments: who gets which arm, and what may be said of the arms. Pure, by the standard library only."""
