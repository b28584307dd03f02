"""Alarms: what the watch finds becomes one standing alarm an object and kind, with its life and its ages."""
