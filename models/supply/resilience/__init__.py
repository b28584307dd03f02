"""Resilience: how far a category leans on one supplier, who could stand in, and what a failure would cost."""
