"""What is sold, by whom, for how much, and what is at hand."""
