"""Which skus of different suppliers are the same product: what titles say, candidates, a score, a cut."""
