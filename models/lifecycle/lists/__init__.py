"""Who is reminded and woken, and the simple rules."""
