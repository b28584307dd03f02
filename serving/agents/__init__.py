"""Selling agents: relations, tiers, deposits, violations, protected regions, composition of income."""
