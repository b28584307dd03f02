"""What a definition may say: the shape of an entry, its expressions, local time."""
