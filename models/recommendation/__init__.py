"""Recommendation: a repeat lane, a discovery lane, and their blend."""
