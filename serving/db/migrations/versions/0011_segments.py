"""Published segments of consumers.

Revision: 0011, after 0010.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE scores.segments (
        snapshot_id BIGINT NOT NULL,
        segment TEXT NOT NULL,
        description TEXT NOT NULL,
        member_count BIGINT NOT NULL,
        PRIMARY KEY (snapshot_id, segment)
    )
    """,
    """
    CREATE TABLE scores.segment_members (
        snapshot_id BIGINT NOT NULL,
        segment TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        entered_on DATE NOT NULL,
        left_on DATE,
        PRIMARY KEY (snapshot_id, segment, consumer_id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE scores.segment_members")
    op.execute("DROP TABLE scores.segments")
