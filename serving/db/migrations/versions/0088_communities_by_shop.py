"""The id of a community is its shop's own: two shops may use one id.

Revision: 0088, after 0087.
"""

from alembic import op

revision = "0088"
down_revision = "0087"
branch_labels = None
depends_on = None

_OF_COMMUNITY = ("member", "activity")
_KEYS = {"community": "", "member": ", stay_no", "activity": ", activity_id"}


def upgrade() -> None:
    for table in _OF_COMMUNITY:
        op.execute(f"ALTER TABLE communities.{table} ADD COLUMN merchant_id TEXT")
        op.execute(
            f"UPDATE communities.{table} t SET merchant_id = c.merchant_id FROM communities.community c"
            " WHERE c.tenant_id = t.tenant_id AND c.community_id = t.community_id"
        )
        op.execute(f"ALTER TABLE communities.{table} ALTER COLUMN merchant_id SET NOT NULL")
    _rekey("tenant_id, merchant_id, community_id")


def downgrade() -> None:
    _rekey("tenant_id, community_id")
    for table in _OF_COMMUNITY:
        op.execute(f"ALTER TABLE communities.{table} DROP COLUMN merchant_id")


def _rekey(key: str) -> None:
    """Let `key` name a community in every table."""
    for table in _OF_COMMUNITY:
        op.execute(
            f"ALTER TABLE communities.{table} DROP CONSTRAINT IF EXISTS {table}_tenant_id_community_id_fkey,"
            f" DROP CONSTRAINT IF EXISTS {table}_community_fkey"
        )
    for table, more in _KEYS.items():
        op.execute(f"ALTER TABLE communities.{table} DROP CONSTRAINT {table}_pkey")
        op.execute(f"ALTER TABLE communities.{table} ADD PRIMARY KEY ({key}{more})")
    for table in _OF_COMMUNITY:
        op.execute(
            f"ALTER TABLE communities.{table} ADD CONSTRAINT {table}_community_fkey"
            f" FOREIGN KEY ({key}) REFERENCES communities.community ({key})"
        )
    op.execute("DROP INDEX communities.member_now")
    op.execute(
        f"CREATE UNIQUE INDEX member_now ON communities.member ({key}, consumer_id) WHERE left_at IS NULL"
    )
