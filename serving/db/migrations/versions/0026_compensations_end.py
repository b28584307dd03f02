"""A compensation names the leg that it is based on, so that it ends with it.

Revision: 0026, after 0025.
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE settlement.service_fee ADD COLUMN leg_id BIGINT")
    op.execute(
        "UPDATE settlement.service_fee SET leg_id = substring(explanation from ' of leg ([0-9]+)$')::bigint"
        " WHERE kind = 'compensation'"
    )
    op.execute(
        "CREATE INDEX service_fee_by_leg ON settlement.service_fee (tenant_id, leg_id) WHERE leg_id IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE settlement.service_fee DROP COLUMN leg_id")
