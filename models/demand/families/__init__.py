"""Forecasters for any panel: a family is fitted on a panel until a period and forecasts from an origin on."""
