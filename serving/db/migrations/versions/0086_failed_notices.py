"""A notice whose message failed afterwards is taken back by the close of a day.

Revision: 0086, after 0085.
"""

from alembic import op

revision = "0086"
down_revision = "0085"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("GRANT DELETE ON members.notice TO muyun_app")


def downgrade() -> None:
    op.execute("REVOKE DELETE ON members.notice FROM muyun_app")
