"""The database: the embedded cluster, connections, schema and migrations. No HTTP and no scores logic."""
