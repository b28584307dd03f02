"""Tests of marketing channels, declared before they begin.

Revision: 0067, after 0066.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA channel_tests",
    """
    CREATE TABLE channel_tests.test (
        tenant_id TEXT NOT NULL,
        test_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('holdout', 'geo')),
        off_share_bps INTEGER CHECK (off_share_bps BETWEEN 100 AND 5000),
        on_regions TEXT[] NOT NULL,
        off_regions TEXT[] NOT NULL,
        starts_on DATE NOT NULL,
        ends_on DATE NOT NULL CHECK (ends_on > starts_on),
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        stopped_at TIMESTAMPTZ,
        reason TEXT,
        PRIMARY KEY (tenant_id, test_id),
        CHECK ((kind = 'holdout') = (off_share_bps IS NOT NULL)),
        CHECK ((stopped_at IS NULL) = (reason IS NULL))
    )
    """,
    "COMMENT ON TABLE channel_tests.test IS"
    " 'What is tested of a marketing channel; declared ahead, stopped at most. One row per test.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("channel_tests")


def downgrade() -> None:
    op.execute("DROP SCHEMA channel_tests CASCADE")
