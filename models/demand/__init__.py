"""Demand: weekly series, the LSTM and its peers, calibrated quantile forecasts."""
