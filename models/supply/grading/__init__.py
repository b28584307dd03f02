"""Grades of suppliers: each supplier and category a channel, ranked by the lower bound of its score."""
