"""Bills are of an account at a channel and tell of some kinds; an account's bills begin on a day.

Revision: 0041, after 0040.
"""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE settlement.channel_bill ADD COLUMN channel_id TEXT, ADD COLUMN kinds TEXT[]",
    "CREATE INDEX channel_bill_of_account ON settlement.channel_bill (tenant_id, channel_id, bill_from)"
    " WHERE channel_id IS NOT NULL",
    "ALTER TABLE channels.account ADD COLUMN bills_from DATE",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE channels.account DROP COLUMN bills_from")
    op.execute("ALTER TABLE settlement.channel_bill DROP COLUMN kinds, DROP COLUMN channel_id")
