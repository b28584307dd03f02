"""Forecasters of the weekly panel and the simple rules, and what a forecast is."""
