"""Supervision of listings and offers as it is in force: cases, what parties say, decisions, deposits.

What signs ask for is decided in `models.supply.supervision.ladder`; who obeys reads
`serving.supervision.held` in the transaction in which it acts.
"""
