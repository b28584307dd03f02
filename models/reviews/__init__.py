"""Agents and merchants month by month: places among peers with their intervals, risk of falling silent."""
