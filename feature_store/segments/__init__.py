"""Segments: named groups of consumers, each a condition over tags.

One entry in `segments.yaml` gives the members at a moment, the edges (who entered, who left) and a preview.
Pure functions over tag tables; nothing is published here.
"""
