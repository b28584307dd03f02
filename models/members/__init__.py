"""Members: growth value out of settled spend and interactions, and the ladder of levels."""
