"""Trainings with their seats, and published suggestions for agents.

Revision: 0084, after 0083.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0084"
down_revision = "0083"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE scores.agent_suggestions (
        snapshot_id BIGINT NOT NULL,
        agent_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        rank BIGINT NOT NULL,
        sku_id TEXT NOT NULL,
        customers BIGINT NOT NULL,
        of_customers BIGINT NOT NULL,
        reason_code TEXT NOT NULL,
        PRIMARY KEY (snapshot_id, agent_id, merchant_id, rank)
    )
    """,
    "CREATE SCHEMA reviews",
    """
    CREATE TABLE reviews.training (
        tenant_id TEXT NOT NULL,
        training_id TEXT NOT NULL,
        course TEXT NOT NULL,
        title TEXT NOT NULL,
        party_type TEXT NOT NULL CHECK (party_type IN ('agent', 'merchant')),
        month DATE NOT NULL CHECK (extract(day FROM month) = 1),
        measured_months INTEGER NOT NULL CHECK (measured_months BETWEEN 1 AND 3),
        seats INTEGER NOT NULL CHECK (seats > 0),
        seed TEXT NOT NULL,
        version TEXT NOT NULL,
        lift JSONB NOT NULL,
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, training_id)
    )
    """,
    "COMMENT ON TABLE reviews.training IS 'Trainings whose seats were given. One row per training; never changed.'",
    """
    CREATE TABLE reviews.training_party (
        tenant_id TEXT NOT NULL,
        training_id TEXT NOT NULL,
        place INTEGER NOT NULL,
        party_id TEXT NOT NULL,
        level TEXT NOT NULL,
        churn_risk DOUBLE PRECISION NOT NULL,
        worth_cents BIGINT NOT NULL,
        lift DOUBLE PRECISION NOT NULL,
        score DOUBLE PRECISION NOT NULL,
        drawn DOUBLE PRECISION,
        way TEXT NOT NULL CHECK (way IN ('score', 'lot', 'not_drawn')),
        before_cents BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, training_id, place),
        UNIQUE (tenant_id, training_id, party_id),
        FOREIGN KEY (tenant_id, training_id) REFERENCES reviews.training (tenant_id, training_id),
        CHECK ((way = 'score') = (drawn IS NULL))
    )
    """,
    "COMMENT ON TABLE reviews.training_party IS 'Who got a seat and how, and who was in the lot and did not. One"
    " row per candidate; never changed.'",
    "CREATE INDEX training_party_by_party ON reviews.training_party (tenant_id, party_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("reviews")
    op.execute("REVOKE UPDATE ON ALL TABLES IN SCHEMA reviews FROM muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA reviews CASCADE")
    op.execute("DROP TABLE scores.agent_suggestions")
