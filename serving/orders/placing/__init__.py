"""From a basket to a placed order, and back."""
