"""Published reviews of agents and merchants.

Revision: 0076, after 0073.
"""

from alembic import op

revision = "0076"
down_revision = "0073"
branch_labels = None
depends_on = None

STATEMENT = """
CREATE TABLE scores.party_reviews (
    snapshot_id BIGINT NOT NULL,
    party_type TEXT NOT NULL,
    party_id TEXT NOT NULL,
    month_start_on DATE NOT NULL,
    merchant_id TEXT,
    level TEXT NOT NULL,
    region_code TEXT NOT NULL,
    tenure TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    is_whole BOOLEAN NOT NULL,
    order_count BIGINT NOT NULL,
    net_sales_cents BIGINT NOT NULL,
    settled_cents BIGINT NOT NULL,
    paid_cents BIGINT NOT NULL,
    refunded_cents BIGINT NOT NULL,
    margin_cents BIGINT,
    costed_cents BIGINT NOT NULL,
    buyer_count BIGINT NOT NULL,
    new_buyer_count BIGINT NOT NULL,
    repeat_buyer_count BIGINT NOT NULL,
    customer_count BIGINT NOT NULL,
    visitor_count BIGINT NOT NULL,
    cart_count BIGINT NOT NULL,
    basis TEXT NOT NULL,
    ranked_cents BIGINT NOT NULL,
    error_cents DOUBLE PRECISION NOT NULL,
    rank BIGINT,
    rank_low BIGINT,
    rank_high BIGINT,
    peers BIGINT NOT NULL,
    peers_share JSONB NOT NULL,
    peers_do JSONB NOT NULL,
    best_skus JSONB NOT NULL,
    worst_skus JSONB NOT NULL,
    state TEXT NOT NULL,
    quiet_months BIGINT,
    churn_risk DOUBLE PRECISION,
    PRIMARY KEY (snapshot_id, party_type, party_id, month_start_on)
)
"""


def upgrade() -> None:
    op.execute(STATEMENT)


def downgrade() -> None:
    op.execute("DROP TABLE scores.party_reviews")
