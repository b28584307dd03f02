"""Supply: what is known of suppliers, their goods and their parcels, and what follows from it."""
