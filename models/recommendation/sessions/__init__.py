"""The session lane: what was just acted upon orders the list, by what is bought together."""
