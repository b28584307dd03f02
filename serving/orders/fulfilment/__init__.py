"""From a paid order to received goods."""
