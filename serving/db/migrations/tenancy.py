"""What every schema with rows of tenants gets: row-level security, and the privileges of the application."""

from alembic import op


def protect(*schemas: str) -> None:
    """Row-level security by tenant on every table, and the privileges of the application (no DELETE)."""
    for schema in schemas:
        op.execute(
            f"""
            DO $$
            DECLARE
                name TEXT;
            BEGIN
                FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' LOOP
                    EXECUTE format('ALTER TABLE {schema}.%I ENABLE ROW LEVEL SECURITY', name);
                    EXECUTE format('CREATE POLICY own_tenant ON {schema}.%I FOR ALL TO muyun_app'
                                   ' USING (tenant_id = ops.current_tenant())', name);
                END LOOP;
            END $$
            """
        )
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO muyun_app")
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO muyun_app")
        op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO muyun_app")
