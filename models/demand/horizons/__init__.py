"""Forecasts of weeks turned into those of days and months."""
