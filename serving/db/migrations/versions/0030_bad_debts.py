"""An account for debts that were given up.

Revision: 0030, after 0029.
"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "INSERT INTO ledger.account_kind (kind, unit, has_balance_row, guard, description)"
        " VALUES ('bad_debt', 'CNY', false, 0, 'Debts of parties that were given up.')"
    )


def downgrade() -> None:
    op.execute("DELETE FROM ledger.account_kind WHERE kind = 'bad_debt'")
