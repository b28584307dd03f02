"""Members: versions of the programme, where members stand, what changed, notices, what levels gave.

Revision: 0077, after 0076.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None

_LEVEL = "CHECK (level IN ('ordinary', 'silver', 'gold', 'diamond'))"
STATEMENTS = (
    "CREATE SCHEMA members",
    """
    CREATE TABLE members.programme (
        tenant_id TEXT NOT NULL,
        version INTEGER NOT NULL CHECK (version >= 1),
        document JSONB NOT NULL,
        digest TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('draft', 'live', 'replaced')),
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        live_at TIMESTAMPTZ,
        ended_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, version),
        CHECK ((state = 'draft') = (live_at IS NULL)),
        CHECK ((state = 'replaced') = (ended_at IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX one_programme_in_force ON members.programme (tenant_id) WHERE state = 'live'",
    "COMMENT ON TABLE members.programme IS"
    " 'What the programme of members says; a document never changes. One row per version.'",
    f"""
    CREATE TABLE members.standing (
        tenant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        level TEXT NOT NULL {_LEVEL},
        growth BIGINT NOT NULL CHECK (growth >= 0),
        spell INTEGER NOT NULL CHECK (spell >= 1),
        since DATE NOT NULL,
        period_ends_on DATE NOT NULL,
        at_risk_since DATE,
        joined_on DATE NOT NULL,
        PRIMARY KEY (tenant_id, consumer_id),
        CHECK (since < period_ends_on)
    )
    """,
    "CREATE INDEX standing_by_level ON members.standing (tenant_id, level, consumer_id)",
    "COMMENT ON TABLE members.standing IS 'Where a member stands since the last day that was closed. One row per member.'",
    """
    CREATE TABLE members.closed_day (
        tenant_id TEXT NOT NULL,
        closed_on DATE NOT NULL,
        closed_at TIMESTAMPTZ NOT NULL,
        programme_version INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, closed_on),
        FOREIGN KEY (tenant_id, programme_version) REFERENCES members.programme (tenant_id, version)
    )
    """,
    "COMMENT ON TABLE members.closed_day IS 'Local days that were closed, with the last close. One row per day.'",
    f"""
    CREATE TABLE members.change (
        tenant_id TEXT NOT NULL,
        change_no BIGINT GENERATED ALWAYS AS IDENTITY,
        consumer_id TEXT NOT NULL,
        changed_at TIMESTAMPTZ NOT NULL,
        cause TEXT NOT NULL
            CHECK (cause IN ('joined', 'up', 'down', 'growth', 'at_risk', 'safe', 'renewed')),
        level TEXT NOT NULL {_LEVEL},
        growth BIGINT NOT NULL,
        growth_to_next BIGINT,
        spell INTEGER NOT NULL,
        period_ends_on DATE NOT NULL,
        is_at_risk BOOLEAN NOT NULL,
        programme_version INTEGER NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, change_no),
        FOREIGN KEY (tenant_id, programme_version) REFERENCES members.programme (tenant_id, version)
    )
    """,
    "CREATE INDEX change_by_consumer ON members.change (tenant_id, consumer_id, change_no)",
    "CREATE INDEX change_by_xact ON members.change (xact_id)",
    "COMMENT ON TABLE members.change IS 'What changed of a member by the close of a day; append-only. One row per"
    " member and close that changed something.'",
    """
    CREATE TABLE members.notice (
        tenant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        at_risk_since DATE NOT NULL,
        told_at TIMESTAMPTZ NOT NULL,
        way TEXT NOT NULL CHECK (way IN ('journey', 'person')),
        told_by TEXT NOT NULL,
        PRIMARY KEY (tenant_id, consumer_id, at_risk_since)
    )
    """,
    "COMMENT ON TABLE members.notice IS 'That a member was told of being at risk, and how. One row per member and"
    " time of risk.'",
    f"""
    CREATE TABLE members.benefit (
        tenant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        spell INTEGER NOT NULL,
        level TEXT NOT NULL {_LEVEL},
        programme_id TEXT NOT NULL,
        coupon_code TEXT NOT NULL,
        given_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, consumer_id, spell)
    )
    """,
    "CREATE INDEX benefit_by_time ON members.benefit (tenant_id, given_at)",
    "COMMENT ON TABLE members.benefit IS 'The coupon that going up to a level gave. One row per stay on a level"
    " that gave one.'",
    """
    CREATE TRIGGER change_is_append_only BEFORE UPDATE OR TRUNCATE ON members.change
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
    # A membership is of the person and goes with the person; coupons keep what they need for the money.
    """
    CREATE FUNCTION members.erase(p_consumer TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        gone BIGINT := 0;
        counted BIGINT;
        name TEXT;
    BEGIN
        FOREACH name IN ARRAY ARRAY['standing', 'change', 'notice', 'benefit'] LOOP
            EXECUTE format('DELETE FROM members.%I WHERE tenant_id = ops.current_tenant() AND consumer_id = $1', name)
                USING p_consumer;
            GET DIAGNOSTICS counted = ROW_COUNT;
            gone := gone + counted;
        END LOOP;
        RETURN gone;
    END $$
    """,
    "REVOKE ALL ON FUNCTION members.erase(TEXT) FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("members")
    op.execute("REVOKE UPDATE ON members.change, members.notice, members.benefit FROM muyun_app")
    op.execute("GRANT EXECUTE ON FUNCTION members.erase(TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA members CASCADE")
