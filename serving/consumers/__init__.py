"""What consumers decide about themselves: consents and erasure. No HTTP, no profile values."""
