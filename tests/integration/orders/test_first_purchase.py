"""A buyer's first order is one order, also when two are paid at the same moment."""

import threading

from small_market import NOW, TENANT

from serving.orders.paying import payments


def first_flags(shop, *order_ids):
    return [
        flag
        for (flag,) in shop.sql(
            "select (snapshot -> 'parties' ->> 'is_first_purchase')::boolean from orders.customer_order"
            " where order_id = any(%(ids)s) order by order_id",
            ids=list(order_ids),
        )
    ]


def test_of_two_orders_paid_at_once_one_is_the_first(shop):
    shop.plan()
    shop.list("twin", 1000)
    shop.supply("S1", "twin", 9, price=600)
    for order_id in ("twin-1", "twin-2"):
        shop.place(order_id, ("twin", 1), consumer="twins")

    def pay(order_id, cents=1000):
        with shop.transaction() as conn:
            payments.take_payment(
                conn, TENANT, payments.Payment(f"p-{order_id}", order_id, "simulated", cents, 0, NOW), NOW
            )

    with shop.transaction() as conn:
        payments.take_payment(
            conn, TENANT, payments.Payment("p-twin-1", "twin-1", "simulated", 1000, 0, NOW), NOW
        )
        second = threading.Thread(target=pay, args=("twin-2",))
        second.start()
        second.join(timeout=1)
    second.join()
    assert first_flags(shop, "twin-1", "twin-2") == [True, False]
