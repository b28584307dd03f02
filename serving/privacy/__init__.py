"""Personal values: sealed at rest under envelope keys, masked by role when shown."""
