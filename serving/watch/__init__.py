"""Watching the supply side: what is observed, the alarms that follow, and what is done about them.

When an alarm opens and clears is decided in `models.supply.watch`.
"""
