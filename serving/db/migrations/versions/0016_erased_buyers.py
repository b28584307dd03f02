"""The frozen snapshots of orders name the buyer, and the consumer account of an agent: both are erased.

Revision: 0016, after 0015.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

STATEMENTS = (
    # Called after `consumers.erase`: the orders of the person have the pseudonym already.
    """
    CREATE FUNCTION consumers.erase_snapshots(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        own_tenant CONSTANT TEXT := ops.current_tenant();
        named CONSTANT TEXT := to_json(p_consumer)::text;
        changed BIGINT;
        counted BIGINT := 0;
    BEGIN
        UPDATE orders.customer_order
            SET snapshot = replace(snapshot::text, named, to_json(p_pseudonym)::text)::jsonb
            WHERE tenant_id = own_tenant AND consumer_id = p_pseudonym
              AND position(named IN snapshot::text) > 0;
        GET DIAGNOSTICS changed = ROW_COUNT;
        -- Only an agent's own account stands in the snapshots of other people's orders.
        IF EXISTS (SELECT FROM agents.agent WHERE tenant_id = own_tenant AND own_consumer_id = p_pseudonym) THEN
            UPDATE orders.customer_order
                SET snapshot = replace(snapshot::text, named, to_json(p_pseudonym)::text)::jsonb
                WHERE tenant_id = own_tenant AND position(named IN snapshot::text) > 0;
            GET DIAGNOSTICS counted = ROW_COUNT;
        END IF;
        RETURN changed + counted;
    END $$
    """,
    "REVOKE ALL ON FUNCTION consumers.erase_snapshots(TEXT, TEXT) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION consumers.erase_snapshots(TEXT, TEXT) TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION consumers.erase_snapshots(TEXT, TEXT)")
