"""Routes of the quality brake."""
