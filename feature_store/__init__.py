"""Tags: their registry, the compiler to SQL, and the point-in-time reader."""
