"""How probabilities are calibrated and judged."""
