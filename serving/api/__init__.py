"""The HTTP resources, one module a subject. Handlers check who asks; queries live in `scores`."""
