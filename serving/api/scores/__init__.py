"""Routes of what models said: the published scores."""
