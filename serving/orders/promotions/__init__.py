"""Promotions of a shop: flash sales, group-buys, thresholds, limited discounts, gifts, live slots."""
