"""What scores items for a consumer, a module each."""
