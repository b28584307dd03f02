"""What parties of a lot sold after a training stays when its months leave the publication.

Revision: 0087, after 0086.
"""

from alembic import op

revision = "0087"
down_revision = "0086"
branch_labels = None
depends_on = None

_TABLES = ("training_measured", "training_sale")
STATEMENTS = (
    """
    CREATE TABLE reviews.training_measured (
        tenant_id TEXT NOT NULL,
        training_id TEXT NOT NULL,
        version TEXT NOT NULL,
        measured_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, training_id),
        FOREIGN KEY (tenant_id, training_id) REFERENCES reviews.training (tenant_id, training_id)
    )
    """,
    "COMMENT ON TABLE reviews.training_measured IS 'Trainings whose sales afterwards are kept, by which publication."
    " One row per training; never changed.'",
    """
    CREATE TABLE reviews.training_sale (
        tenant_id TEXT NOT NULL,
        training_id TEXT NOT NULL,
        party_id TEXT NOT NULL,
        after_cents BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, training_id, party_id),
        FOREIGN KEY (tenant_id, training_id) REFERENCES reviews.training_measured (tenant_id, training_id),
        FOREIGN KEY (tenant_id, training_id, party_id)
            REFERENCES reviews.training_party (tenant_id, training_id, party_id)
    )
    """,
    "COMMENT ON TABLE reviews.training_sale IS 'What parties of a lot sold in the measured months. One row per party"
    " of a lot; never changed.'",
    *(
        statement
        for table in _TABLES
        for statement in (
            f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reviews.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()",
            f"ALTER TABLE reviews.{table} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY own_tenant ON reviews.{table} FOR ALL TO muyun_app"
            " USING (tenant_id = ops.current_tenant())",
            f"GRANT SELECT, INSERT ON reviews.{table} TO muyun_app",
        )
    ),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE reviews.{table}")
