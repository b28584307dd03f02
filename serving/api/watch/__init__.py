"""Resources of the supply watch."""
