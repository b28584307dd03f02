"""Routes of streams: behaviour events and prices of rivals."""
