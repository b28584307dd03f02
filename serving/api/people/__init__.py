"""Routes of what consumers decide: identity, consents, erasure."""
