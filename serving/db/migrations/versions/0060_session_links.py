"""Published links between skus, which order lists in a session.

Revision: 0060, after 0059.
"""

from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

STATEMENT = """
    CREATE TABLE scores.session_links (
        snapshot_id BIGINT NOT NULL,
        sku_id TEXT NOT NULL,
        item_count INTEGER NOT NULL,
        items JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, sku_id)
    )
"""


def upgrade() -> None:
    op.execute(STATEMENT)


def downgrade() -> None:
    op.execute("DROP TABLE scores.session_links")
