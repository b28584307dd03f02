"""The tables are written out again here, move by move, and everything else must be refused."""

from itertools import product

import pytest

from serving.orders.errors import ImpossibleMoveError
from serving.orders.states import CASE, ORDER, SUB_ORDER, CaseStatus, OrderStatus, SubOrderStatus, follow

MOVES = {
    ORDER: """placed pay paid; placed cancel cancelled; paid ship shipped; paid refund refunded;
        shipped receive received; shipped refund refunded; received complete completed;
        received refund refunded; completed refund refunded""",
    SUB_ORDER: """pending accept accepted; pending reject rejected; pending cancel cancelled;
        pending extend pending; accepted ship shipped; accepted reject rejected; accepted cancel cancelled;
        accepted extend pending; shipped ship shipped; shipped receive received; received release released""",
    CASE: """open refund open; open refund_all refunded; open reject rejected; open close closed;
        refunded close closed""",
}
STATES = {ORDER: OrderStatus, SUB_ORDER: SubOrderStatus, CASE: CaseStatus}
EVENTS = [
    "pay",
    "cancel",
    "ship",
    "receive",
    "complete",
    "refund",
    "refund_all",
    "accept",
    "reject",
    "extend",
    "release",
    "close",
]


def cells():
    for machine, text in MOVES.items():
        known = {tuple(move.split()[:2]): move.split()[2] for move in text.split(";")}
        for state, event in product(STATES[machine], EVENTS):
            yield machine, str(state), event, known.get((state, event))


@pytest.mark.parametrize(("machine", "state", "event", "after"), cells())
def test_every_cell_of_every_machine(machine, state, event, after):
    if after is not None:
        assert machine.move("x", state, event) == after
        assert event in machine.possible(state)
        return
    with pytest.raises(ImpossibleMoveError) as caught:
        machine.move("x-1", state, event)
    error = caught.value
    assert (error.status, error.slug, error.state, error.event) == (409, "impossible-move", state, event)
    assert "'x-1'" in str(error)
    assert event not in error.possible
    assert all(possible in error.remedy for possible in error.possible)


def test_the_tables_hold_nothing_else():
    assert {machine.what: len(machine.moves) for machine in MOVES} == {
        "order": 9,
        "sub-order": 11,
        "after-sale case": 5,
    }


def expected(status, parts):
    """By words: an order is as far as the slowest of its live parts, and only goes forward."""
    live = [part for part in parts if part not in ("rejected", "cancelled")]
    if not live or status not in ("paid", "shipped", "received"):
        return status
    rank = {"pending": 0, "accepted": 0, "shipped": 1, "received": 2, "released": 3}
    reached = ("paid", "shipped", "received", "completed")[min(rank[part] for part in live)]
    names = ["paid", "shipped", "received", "completed"]
    return names[max(names.index(status), names.index(reached))]


@pytest.mark.parametrize("status", list(OrderStatus))
def test_an_order_follows_the_slowest_of_its_live_parts(status):
    for size in range(4):
        for parts in product([str(state) for state in SubOrderStatus], repeat=size):
            assert follow("o", status, parts) == expected(status, parts), (status, parts)
