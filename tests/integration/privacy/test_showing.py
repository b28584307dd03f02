import pytest
from placed_orders import place

from serving.privacy.personal_fields import Recipient, put_recipient
from serving.privacy.showing import show_recipient
from serving.security import Principal, Role, Scope

ANNA = Recipient("王小明", "13800001234", "浙江省杭州市文三路1号", "330106")
MASKED = Recipient("王**", "138****1234", "浙江省杭州市****", "330106")
STATES = ("pending", "accepted", "shipped", "rejected", "received", "released", "cancelled")


def key(role, party=None, *scopes):
    return Principal(f"k-{party or role}", "shop", Role(role), party, frozenset(scopes))


@pytest.fixture
def orders(operations, vault):
    """Order o-<state> with a sub-order of s1 in that state, sold by m1 with the help of a1."""
    with operations.transaction("shop") as conn:
        for state in STATES:
            place(conn, "shop", f"o-{state}")
            conn.execute(
                "insert into orders.sub_order (tenant_id, order_id, supplier_id, status)"
                " values ('shop', %s, 's1', %s)",
                (f"o-{state}", state),
            )
            put_recipient(conn, vault, "shop", f"o-{state}", ANNA)
        place(conn, "shop", "o-nobody")
        conn.execute("update orders.customer_order set agent_id = 'a1'")


@pytest.fixture
def show(operations, vault, orders):
    def ask(principal, order_id):
        with operations.transaction(principal.tenant_id) as conn:
            return show_recipient(conn, vault, principal, order_id, request_id="r1")

    return ask


def audited(operations):
    with operations.transaction("shop") as conn:
        return conn.execute(
            "select key_id, action, object_id from ops.audit_log order by audit_id"
        ).fetchall()


def test_a_supplier_sees_whom_it_ships_to_until_receipt(show, operations):
    supplier = key("supplier", "s1")
    shown = {state: show(supplier, f"o-{state}") for state in STATES}
    assert shown == {
        **dict.fromkeys(("pending", "accepted", "shipped"), ANNA),
        **dict.fromkeys(("rejected", "received", "released", "cancelled"), MASKED),
    }
    # Every clear look was recorded, the masked ones not.
    assert audited(operations) == [
        ("k-s1", "recipient.read", f"o-{state}") for state in ("pending", "accepted", "shipped")
    ]


@pytest.mark.parametrize(
    ("principal", "seen"),
    [
        (key("operator", None, Scope.PERSONAL_READ), ANNA),
        (key("operator"), MASKED),
        (key("auditor"), MASKED),
        (key("merchant", "m1"), MASKED),
        (key("merchant", "m2"), None),
        (key("supplier", "s2"), None),
        (key("supplier", "m1"), None),
        (key("merchant", "s1"), None),
        (key("agent", "a1"), None),
        (key("agent", "s1"), None),
    ],
)
def test_who_sees_an_order_that_is_to_be_shipped(show, operations, principal, seen):
    assert show(principal, "o-accepted") == seen
    assert len(audited(operations)) == (seen == ANNA)


def test_what_is_not_there_is_not_shown(show, operations):
    operator = key("operator", None, Scope.PERSONAL_READ)
    assert show(operator, "o-nobody") is None
    assert show(operator, "o-unknown") is None
    elsewhere = Principal("k", "other", Role.OPERATOR, None, frozenset({Scope.PERSONAL_READ}))
    assert show(elsewhere, "o-accepted") is None
    assert audited(operations) == []
