"""Intake: which feed fills a table, which days, how much was refused."""
