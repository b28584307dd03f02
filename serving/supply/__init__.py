"""What the grading of suppliers asks of those who order: the gates in force."""
