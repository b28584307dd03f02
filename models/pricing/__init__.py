"""Prices: shrunken elasticities, the anchor index, guard rails, the price policy and markdown warnings."""
