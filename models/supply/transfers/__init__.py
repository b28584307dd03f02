"""Which units should lie in another warehouse of their supplier. Pure."""
