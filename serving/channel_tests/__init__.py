"""Tests of what a marketing channel causes: declared ahead, by hold-out of consumers or by regions."""
