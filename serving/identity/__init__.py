"""Which anonymous visitor is which consumer: reversible statements with evidence. No route lives here."""
