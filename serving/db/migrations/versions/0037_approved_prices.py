"""An approved price is put into force by the application itself, in the transaction of the approval.

Revision: 0037, after 0036.
"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("GRANT INSERT ON market.price_change TO muyun_app")


def downgrade() -> None:
    op.execute("REVOKE INSERT ON market.price_change FROM muyun_app")
