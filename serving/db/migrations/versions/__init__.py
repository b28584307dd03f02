"""Schema versions in order. A version never changes after its release."""
