"""Uplift: what an offer changes, learnt from randomised controls, and the gate before it may decide."""
