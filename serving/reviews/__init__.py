"""What agents and merchants are told of their month, and what they are given."""
