"""Reorder suggestions: category forecasts brought down to skus, supply offers, and the order-up-to rule."""
