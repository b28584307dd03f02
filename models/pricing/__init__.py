"""Pricing: elasticities, the anchor index, guard rails and explanations."""
