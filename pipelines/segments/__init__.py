"""Segments from outside the store: the preview of a person, and how far published ones have moved."""
