"""Which home's data a database holds, the kind of a publication, and a pin that holds readers on one.

Revision: 0009, after 0008.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE ops.home (
        singleton BOOLEAN DEFAULT true NOT NULL,
        home_id TEXT NOT NULL,
        claim_id TEXT NOT NULL,
        folder TEXT NOT NULL,
        claimed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (singleton),
        CONSTRAINT home_is_one_row CHECK (singleton)
    )
    """,
    "COMMENT ON TABLE ops.home IS 'The installation whose data the database holds. At most one row per database.'",
    "GRANT SELECT ON ops.home TO muyun_app",
    "ALTER TABLE scores.publication ADD COLUMN kind TEXT NOT NULL DEFAULT 'full',"
    " ADD CONSTRAINT publication_kind_known CHECK (kind in ('full', 'refresh'))",
    "ALTER TABLE scores.current_publication ADD COLUMN pinned_at TIMESTAMP WITH TIME ZONE",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE scores.current_publication DROP COLUMN pinned_at")
    op.execute("ALTER TABLE scores.publication DROP COLUMN kind")
    op.execute("DROP TABLE ops.home")
