"""The least that a recipient needs: an order."""


def place(conn, tenant, order_id):
    conn.execute(
        "insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, channel, source,"
        " status, placed_at, payable_cents)"
        " values (%s, %s, 'm1', 'c1', 'store', 'api', 'placed', '2026-11-01T00:00:00Z', 100)",
        (tenant, order_id),
    )
