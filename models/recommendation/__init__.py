"""Recommendation: what a consumer will buy again, what may be new to them, and the list made of both.

`training.train` measures, judges and saves; `scoring.score` makes the published lists. Tracking and
orchestration live elsewhere.
"""
