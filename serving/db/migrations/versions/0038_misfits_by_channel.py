"""Money that fits nothing is told apart by the account that said so, and by whether it came or left.

Revision: 0038, after 0037.
"""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE channels.misfit ADD COLUMN leaves BOOLEAN NOT NULL DEFAULT false",
    "UPDATE channels.misfit SET leaves = booked_cents < 0 OR (booked_cents = 0 AND kind = 'chargeback')",
    "ALTER TABLE channels.misfit ALTER COLUMN leaves DROP DEFAULT,"
    " DROP CONSTRAINT misfit_tenant_id_kind_reference_key,"
    " ADD CONSTRAINT misfit_is_held_once"
    " UNIQUE NULLS NOT DISTINCT (tenant_id, kind, reference, channel_id, leaves)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refused by the database while two misfits differ in nothing but their account or direction."""
    op.execute(
        "ALTER TABLE channels.misfit DROP CONSTRAINT misfit_is_held_once, DROP COLUMN leaves,"
        " ADD CONSTRAINT misfit_tenant_id_kind_reference_key UNIQUE (tenant_id, kind, reference)"
    )
