"""Declarations to begin with."""
