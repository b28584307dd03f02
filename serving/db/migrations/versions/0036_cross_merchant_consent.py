"""Consumers may consent to lists made from what they bought at any merchant.

Revision: 0036, after 0035.
"""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_TABLE = "ALTER TABLE consumers.consent"


def upgrade() -> None:
    op.execute(
        f"{_TABLE} DROP CONSTRAINT consent_purpose_check, ADD CONSTRAINT consent_purpose_check"
        " CHECK (purpose IN ('marketing', 'profiling', 'cross_merchant'))"
    )


def downgrade() -> None:
    # What was said of the newer purpose stays where it was said; no earlier release can read it.
    op.execute(
        f"{_TABLE} DROP CONSTRAINT consent_purpose_check, ADD CONSTRAINT consent_purpose_check"
        " CHECK (purpose IN ('marketing', 'profiling')) NOT VALID"
    )
