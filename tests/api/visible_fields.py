"""Which fields of an answer a role does not see, though its route lets the role in; all others it sees.

A field is named like `lines[].net_paid_cents`, or stands for all under it, like `proofs`. What is derived
counts: what a buyer gets back for goods tells a supplier the retail price, and what is left of a pool tells
an agent the margin.
"""

RETAIL = {"supplier"}
"""Sees no retail price, nobody who sold, and nobody who buys."""
PARTIES = {"agent", "merchant", "supplier"}
"""See their own side of the money."""

HIDDEN = {
    "/v1/orders": {
        "orders[].agent_id": RETAIL,
        "orders[].payable_cents": RETAIL,
        "orders[].refunded_cents": RETAIL,
    },
    "/v1/orders/{order_id}": {
        "agent_id": RETAIL,
        "consumer_id": RETAIL,
        "captured_cents": RETAIL,
        "coupon_discount_cents": RETAIL,
        "freight_cents": RETAIL,
        "payable_cents": RETAIL,
        "refunded_cents": RETAIL,
        "lines[].coupon_discount_cents": RETAIL,
        "lines[].list_price_cents": RETAIL,
        "lines[].net_paid_cents": RETAIL,
        "lines[].refunded_cents": RETAIL,
        "lines[].supply_price_cents": {"agent"},
        "after_sales[].requested_cents": RETAIL,
        "after_sales[].refund_cents": RETAIL,
    },
    "/v1/settlements/{order_id}/explain": {
        "captured_cents": PARTIES,
        "refunded_cents": PARTIES,
        "proofs": PARTIES,
        "legs[].rule_id": RETAIL,  # its own legs follow no rule of the plan
    },
}
"""Route to field to the roles that do not see it."""
