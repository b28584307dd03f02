"""Proposed offers are waiting, accepted or superseded; nothing ever rejected one.

Revision: 0042, after 0041.
"""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_NAME = "offer_proposal_state_check"


def upgrade() -> None:
    _states("'waiting', 'accepted', 'superseded'")


def downgrade() -> None:
    _states("'waiting', 'accepted', 'rejected', 'superseded'")


def _states(states: str) -> None:
    op.execute(f"ALTER TABLE orders.offer_proposal DROP CONSTRAINT {_NAME}")
    op.execute(f"ALTER TABLE orders.offer_proposal ADD CONSTRAINT {_NAME} CHECK (state IN ({states}))")
