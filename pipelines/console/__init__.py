"""What a person at a terminal meets: progress, language, the user interface."""
