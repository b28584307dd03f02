"""What a journey may say, and what is refused. Pure."""
