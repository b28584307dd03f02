"""Replenishment: from demand quantiles and stock to reorder suggestions."""
