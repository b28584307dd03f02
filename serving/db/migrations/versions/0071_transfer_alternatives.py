"""A transfer as an alternative of an alarm: lines leave from another warehouse of their supplier.

Revision: 0071, after 0070.
"""

from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None

_KINDS = "'other_supplier', 'other_warehouse', 'faster', 'later_date'"


def upgrade() -> None:
    _kinds(f"{_KINDS}, 'transfer'")
    op.execute(
        "ALTER TABLE watch.action ADD COLUMN kind TEXT NOT NULL DEFAULT 'reroute'"
        " CHECK (kind IN ('reroute', 'rehouse')), ADD COLUMN brought JSONB NOT NULL DEFAULT '{}'"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE watch.action DROP COLUMN brought, DROP COLUMN kind")
    op.execute("DELETE FROM watch.alternative WHERE kind = 'transfer'")
    _kinds(_KINDS)


def _kinds(kinds: str) -> None:
    op.execute("ALTER TABLE watch.alternative DROP CONSTRAINT alternative_kind_check")
    op.execute(
        f"ALTER TABLE watch.alternative ADD CONSTRAINT alternative_kind_check CHECK (kind IN ({kinds}))"
    )
