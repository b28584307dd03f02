"""Customer lifetime value: purchases and net spend that a consumer brings in the time to come."""
