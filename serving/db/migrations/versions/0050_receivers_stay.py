"""A receiver stays as it was registered, and a request keeps the one that it was made for.

Revision: 0050, after 0049.
"""

from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE channels.receiver ADD COLUMN is_current BOOLEAN NOT NULL DEFAULT true,"
    " DROP CONSTRAINT receiver_tenant_id_channel_id_party_type_party_id_key",
    "CREATE UNIQUE INDEX receiver_of_today ON channels.receiver (tenant_id, channel_id, party_type, party_id)"
    " WHERE is_current",
    "COMMENT ON TABLE channels.receiver IS 'Whom a channel sends parts of payments to, sealed; is_told: the"
    " channel was told of the receiver; is_current: what is paid from now on goes there. One row per channel,"
    " party and registration.'",
    "ALTER TABLE channels.request ADD COLUMN receiver_id TEXT,"
    " ADD FOREIGN KEY (tenant_id, receiver_id) REFERENCES channels.receiver (tenant_id, receiver_id)",
    "UPDATE channels.request q SET receiver_id = r.receiver_id FROM channels.receiver r"
    " WHERE q.kind IN ('split', 'split_return') AND r.tenant_id = q.tenant_id AND r.channel_id = q.channel_id"
    " AND (r.party_type, r.party_id) = (q.party_type, q.party_id)",
    "ALTER TABLE channels.request"
    " ADD CHECK ((kind IN ('split', 'split_return')) = (receiver_id IS NOT NULL))",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE channels.request DROP COLUMN receiver_id")
    # Of several registrations of a party the one of today stays.
    op.execute("DELETE FROM channels.receiver WHERE NOT is_current")
    op.execute(
        "ALTER TABLE channels.receiver DROP COLUMN is_current,"
        " ADD UNIQUE (tenant_id, channel_id, party_type, party_id)"
    )
