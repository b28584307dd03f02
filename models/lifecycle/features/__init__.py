"""What is known of consumers at a moment, and what is asked of them."""
