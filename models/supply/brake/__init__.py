"""The quality brake: complaint rates by sku against their category's alarm line, and the ladder of levels."""
