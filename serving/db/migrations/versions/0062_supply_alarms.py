"""Alarms of the supply watch: one at a time an object and kind, their life, and the parcels that are watched.

Revision: 0062, after 0061.
"""

from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

_TABLES = ("parcel", "alarm", "alarm_event", "alternative", "action", "policy")

STATEMENTS = (
    """
    CREATE TABLE watch.parcel (
        tenant_id TEXT NOT NULL,
        shipment_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        merchant_id TEXT,
        shipped_at TIMESTAMPTZ NOT NULL,
        promised_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, shipment_id)
    )
    """,
    "COMMENT ON TABLE watch.parcel IS 'Parcels of the feeds that were watched. One row per parcel.'",
    """
    CREATE TABLE watch.alarm (
        alarm_id BIGINT GENERATED ALWAYS AS IDENTITY,
        tenant_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('delay', 'capacity')),
        object_id TEXT NOT NULL,
        supplier_id TEXT,
        order_id TEXT,
        merchant_id TEXT,
        state TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'assigned', 'resolved', 'cleared')),
        evidence JSONB NOT NULL,
        opened_at TIMESTAMPTZ NOT NULL,
        judged_at TIMESTAMPTZ NOT NULL,
        noted_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        acknowledged_at TIMESTAMPTZ,
        assigned_to TEXT,
        closed_at TIMESTAMPTZ,
        reason_code TEXT,
        cleared_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, alarm_id),
        CHECK ((state IN ('resolved', 'cleared')) = (closed_at IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX alarm_standing ON watch.alarm (tenant_id, kind, object_id) WHERE cleared_at IS NULL",
    "CREATE INDEX alarm_by_supplier ON watch.alarm (tenant_id, supplier_id, alarm_id)",
    "CREATE INDEX alarm_by_merchant ON watch.alarm (tenant_id, merchant_id, alarm_id)",
    "COMMENT ON TABLE watch.alarm IS 'Alarms. One row per alarm; until its cause is gone (cleared_at) there"
    " is no other of the same kind and object.'",
    """
    CREATE TABLE watch.alarm_event (
        event_id BIGINT GENERATED ALWAYS AS IDENTITY,
        tenant_id TEXT NOT NULL,
        alarm_id BIGINT NOT NULL,
        event TEXT NOT NULL CHECK (event IN
            ('opened', 'acknowledged', 'assigned', 'resolved', 'cleared', 'alternative_taken')),
        happened_at TIMESTAMPTZ NOT NULL,
        by TEXT NOT NULL,
        details JSONB NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, event_id),
        FOREIGN KEY (tenant_id, alarm_id) REFERENCES watch.alarm (tenant_id, alarm_id)
    )
    """,
    "CREATE INDEX alarm_event_by_alarm ON watch.alarm_event (tenant_id, alarm_id, event_id)",
    """
    CREATE TABLE watch.alternative (
        tenant_id TEXT NOT NULL,
        alarm_id BIGINT NOT NULL,
        option_no INTEGER NOT NULL CHECK (option_no >= 1),
        kind TEXT NOT NULL CHECK (kind IN ('other_supplier', 'other_warehouse', 'faster', 'later_date')),
        moves JSONB NOT NULL,
        lines INTEGER NOT NULL CHECK (lines >= 0),
        cost_change_cents BIGINT NOT NULL,
        arrival_change_days DOUBLE PRECISION,
        is_takeable BOOLEAN NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        noted_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        taken_at TIMESTAMPTZ,
        taken_by TEXT,
        PRIMARY KEY (tenant_id, alarm_id, option_no),
        FOREIGN KEY (tenant_id, alarm_id) REFERENCES watch.alarm (tenant_id, alarm_id)
    )
    """,
    "CREATE UNIQUE INDEX alternative_taken ON watch.alternative (tenant_id, alarm_id)"
    " WHERE taken_at IS NOT NULL",
    "COMMENT ON TABLE watch.alternative IS 'What could be done about an alarm. One row per option.'",
    """
    CREATE TABLE watch.action (
        tenant_id TEXT NOT NULL,
        action_id BIGINT GENERATED ALWAYS AS IDENTITY,
        alarm_id BIGINT NOT NULL,
        order_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        takers JSONB NOT NULL,
        decided_at TIMESTAMPTZ NOT NULL,
        done_at TIMESTAMPTZ,
        moved JSONB,
        PRIMARY KEY (tenant_id, action_id),
        UNIQUE (tenant_id, alarm_id, order_id, supplier_id),
        CHECK ((done_at IS NULL) = (moved IS NULL))
    )
    """,
    "CREATE INDEX action_waiting ON watch.action (tenant_id, action_id) WHERE done_at IS NULL",
    "COMMENT ON TABLE watch.action IS 'Lines of an order that go elsewhere because of an alarm. One row per"
    " part of an order.'",
    """
    CREATE TABLE watch.policy (
        tenant_id TEXT NOT NULL,
        category_id TEXT NOT NULL,
        mode TEXT NOT NULL CHECK (mode IN ('auto', 'ask')),
        max_extra_cents BIGINT NOT NULL CHECK (max_extra_cents >= 0),
        changed_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, category_id)
    )
    """,
    "COMMENT ON TABLE watch.policy IS 'Whether lines of a category go elsewhere by themselves; the category *"
    " speaks for all others. One row per category.'",
    "COMMENT ON TABLE watch.alarm_event IS 'The life of alarms; append-only. One row per step.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    op.execute(
        "CREATE TRIGGER alarm_event_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON watch.alarm_event"
        " FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
    )
    for table in _TABLES:
        op.execute(f"ALTER TABLE watch.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON watch.{table} FOR ALL TO muyun_app"
            " USING (tenant_id = ops.current_tenant())"
        )
    op.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA watch TO muyun_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA watch TO muyun_app")


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE watch.{table}")
