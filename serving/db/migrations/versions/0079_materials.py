"""The library of materials.

Revision: 0079, after 0078.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA materials",
    """
    CREATE TABLE materials.material (
        tenant_id TEXT NOT NULL,
        material_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        title TEXT NOT NULL CHECK (length(title) BETWEEN 1 AND 100),
        points JSONB NOT NULL,
        pictures JSONB NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('approved', 'refused', 'released', 'withdrawn')),
        hits JSONB NOT NULL,
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        decided_by TEXT,
        decided_at TIMESTAMPTZ,
        reason TEXT,
        PRIMARY KEY (tenant_id, material_id),
        CHECK (state <> 'approved' OR hits = '[]'::jsonb),
        CHECK (state NOT IN ('refused', 'released') OR hits <> '[]'::jsonb),
        CHECK ((state IN ('released', 'withdrawn')) = (decided_by IS NOT NULL)),
        CHECK ((decided_by IS NULL) = (reason IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)),
        CHECK (state <> 'released' OR decided_by <> made_by)
    )
    """,
    "COMMENT ON TABLE materials.material IS 'What is said of goods, and the forbidden words in it. One row per"
    " material.'",
    "CREATE INDEX material_by_shop ON materials.material (tenant_id, merchant_id, material_id)",
    # What was checked stays as it was checked: words and hits are never changed.
    """
    CREATE FUNCTION materials.keep_words() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        IF (NEW.merchant_id, NEW.sku_id, NEW.channel, NEW.title, NEW.points, NEW.pictures, NEW.hits, NEW.made_by)
            IS DISTINCT FROM
            (OLD.merchant_id, OLD.sku_id, OLD.channel, OLD.title, OLD.points, OLD.pictures, OLD.hits, OLD.made_by)
        THEN
            RAISE EXCEPTION 'the words of material % are never changed', OLD.material_id;
        END IF;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER keep_words BEFORE UPDATE ON materials.material FOR EACH ROW"
    " EXECUTE FUNCTION materials.keep_words()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("materials")


def downgrade() -> None:
    op.execute("DROP SCHEMA materials CASCADE")
