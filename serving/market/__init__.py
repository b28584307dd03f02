"""What the market asks: competitor prices as they are observed. No route lives here."""
