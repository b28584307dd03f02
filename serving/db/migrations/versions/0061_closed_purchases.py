"""A purchase order whose rest was given up is closed, not received; a complaint may move the brake by itself.

Revision: 0061, after 0060.
"""

from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

_STATES = "'placed', 'changed', 'confirmed', 'shipped', 'received', 'declined', 'cancelled'"
_ENDS = "'received', 'declined', 'cancelled'"
_CAUSES = "'estimate', 'clean_days', 'case_closed', 'override', 'override_ended'"


def upgrade() -> None:
    _purchases(f"{_STATES}, 'closed'", f"{_ENDS}, 'closed'")
    # What was closed short until now is told apart by the units that came.
    op.execute(
        "UPDATE purchasing.purchase_order o SET status = 'closed' WHERE status = 'received' AND EXISTS ("
        "SELECT FROM purchasing.purchase_line l WHERE l.tenant_id = o.tenant_id"
        " AND l.purchase_order_id = o.purchase_order_id AND l.received_qty < coalesce(l.confirmed_qty, 0))"
    )
    _causes(f"{_CAUSES}, 'complaint'")


def downgrade() -> None:
    op.execute("UPDATE purchasing.purchase_order SET status = 'received' WHERE status = 'closed'")
    _purchases(_STATES, _ENDS)
    op.execute("ALTER TABLE quality.change DISABLE TRIGGER change_is_append_only")
    op.execute("UPDATE quality.change SET cause = 'estimate' WHERE cause = 'complaint'")
    op.execute("ALTER TABLE quality.change ENABLE TRIGGER change_is_append_only")
    _causes(_CAUSES)


def _purchases(states: str, ends: str) -> None:
    for name in ("purchase_order_status_check", "purchase_order_check"):
        op.execute(f"ALTER TABLE purchasing.purchase_order DROP CONSTRAINT {name}")
    op.execute(
        "ALTER TABLE purchasing.purchase_order"
        f" ADD CONSTRAINT purchase_order_status_check CHECK (status IN ({states})),"
        f" ADD CONSTRAINT purchase_order_check CHECK ((status IN ({ends})) = (closed_at IS NOT NULL))"
    )


def _causes(causes: str) -> None:
    op.execute("ALTER TABLE quality.change DROP CONSTRAINT change_cause_check")
    op.execute(f"ALTER TABLE quality.change ADD CONSTRAINT change_cause_check CHECK (cause IN ({causes}))")
