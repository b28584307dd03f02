"""When a tag changes by the mere passing of time, derived from its definition."""
