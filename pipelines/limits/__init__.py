"""Plausibility limits: what a batch as a whole must show, as data, with the user's own choices on top."""
