"""How forecasts are calibrated, brought to a level, and judged."""
