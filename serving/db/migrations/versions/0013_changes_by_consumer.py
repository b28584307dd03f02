"""Which consumers a change was about, so that a reader need not forget all of them.

Revision: 0013, after 0012.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE INDEX live_profile_revision ON scores.live_profile (snapshot_id, revision)",
    "DROP TRIGGER consent_is_counted ON consumers.consent",
    "DROP TRIGGER erasure_is_counted ON consumers.erasure",
    "ALTER TABLE consumers.consent ADD COLUMN change_no BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE consumers.erasure ADD COLUMN change_no BIGINT NOT NULL DEFAULT 0",
    "CREATE INDEX consent_by_change ON consumers.consent (change_no)",
    "CREATE INDEX erasure_by_change ON consumers.erasure (change_no)",
    """
    CREATE OR REPLACE FUNCTION consumers.count_change() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        UPDATE consumers.change SET change_no = consumers.change.change_no + 1
            RETURNING consumers.change.change_no INTO NEW.change_no;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER consent_is_counted BEFORE INSERT ON consumers.consent
        FOR EACH ROW EXECUTE FUNCTION consumers.count_change()
    """,
    """
    CREATE TRIGGER erasure_is_counted BEFORE INSERT ON consumers.erasure
        FOR EACH ROW EXECUTE FUNCTION consumers.count_change()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX scores.live_profile_revision")
    for table in ("consent", "erasure"):
        op.execute(f"DROP TRIGGER {table}_is_counted ON consumers.{table}")
        op.execute(f"ALTER TABLE consumers.{table} DROP COLUMN change_no")
    op.execute(
        """
        CREATE OR REPLACE FUNCTION consumers.count_change() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            UPDATE consumers.change SET change_no = change_no + 1;
            RETURN NULL;
        END $$
        """
    )
    for table in ("consent", "erasure"):
        op.execute(
            f"CREATE TRIGGER {table}_is_counted AFTER INSERT ON consumers.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION consumers.count_change()"
        )
