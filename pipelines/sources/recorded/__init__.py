"""What the platform's own database recorded, as a source."""
