"""Published scores in PostgreSQL: the manifest, loading, switching, and the queries of the API."""
