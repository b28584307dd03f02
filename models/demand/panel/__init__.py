"""The weekly panel of a shop: series, what was known when, windows, calendar, pools."""
