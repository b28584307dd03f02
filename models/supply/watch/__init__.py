"""Watching the supply side: how late parcels will be, how capacities swing, and when that is an alarm."""
