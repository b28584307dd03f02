"""What people read of the books: statements, their page, and why a leg is what it is."""
