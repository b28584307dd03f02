"""Feedback: what consumers write about goods and shops, sorted by topic, answered in public."""
