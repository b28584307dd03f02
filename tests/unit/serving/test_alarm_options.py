import pytest

from serving.orders.routing.contracts import CostParameters, Demand, OfferStock
from serving.watch.alternatives.lines import ConcernedLine
from serving.watch.alternatives.options import options_for

WAYS = CostParameters()


def line(order="o1", sku="tea", qty=2, supplier="S1", has_left=False):
    return ConcernedLine(Demand(order, 1, sku, qty, "east"), supplier, has_left, ("tea",))


def offer(supplier, price, *, stock=50, region="east", days=1, sku="tea"):
    return OfferStock(supplier, sku, stock, price, 0, days, region, 1)


def told(options):
    return {
        one.kind: (
            {move.order_id: move.to_supplier_id for move in one.moves},
            one.cost_change_cents,
            one.arrival_change_days,
            one.is_takeable,
        )
        for one in options
    }


def test_the_cheapest_another_region_the_fastest_and_waiting():
    """Two units; S1 fails. S2 is cheapest but slow; S3 quick and dear; S4 sends from the west.

    A way inside a region takes 1 day and costs nothing, one between two takes 3 and costs 400 a unit.
    """
    offers = [
        offer("S1", 1000, days=2),
        offer("S2", 1100, days=4),
        offer("S3", 1500, days=0),
        offer("S4", 1200, region="west"),
    ]
    found = told(options_for([line()], offers, 2.5, WAYS))
    assert found == {
        "other_supplier": ({"o1": "S2"}, 200, 2 - 2.5, True),
        "other_warehouse": ({"o1": "S4"}, 2 * (200 + 400), 1 - 2.5, True),
        "faster": ({"o1": "S3"}, 1000, -2 - 2.5, True),
        "later_date": ({}, 0, 2.5, True),
    }


def test_the_failed_supplier_takes_nothing_back():
    found = options_for([line(), line("o2")], [offer("S1", 10), offer("S2", 1000)], 1.0, WAYS)
    assert {move.to_supplier_id for one in found for move in one.moves} == {"S2"}


def test_stock_is_shared_by_the_lines_and_a_split_moves_none():
    offers = [offer("S1", 1000), offer("S2", 1000, stock=3)]
    (first, later) = options_for([line(qty=2), line("o2", qty=2)], offers, 1.0, WAYS)
    assert (first.kind, len(first.moves), first.lines) == ("other_supplier", 1, 2)
    assert later.kind == "later_date"


def test_one_plan_stands_once():
    kinds = [one.kind for one in options_for([line()], [offer("S1", 9), offer("S2", 9)], 1.0, WAYS)]
    assert kinds == ["other_supplier", "later_date"]


def test_nobody_else_has_it():
    (only,) = options_for([line()], [offer("S1", 9)], 1.0, WAYS)
    assert (only.kind, only.moves, only.is_takeable) == ("later_date", (), True)
    assert options_for([], [], None, WAYS)[0].lines == 0


def test_goods_that_left_cannot_be_taken_over_but_waiting_can():
    found = told(options_for([line(has_left=True)], [offer("S1", 9), offer("S2", 19)], 1.0, WAYS))
    assert found["other_supplier"][3] is False
    assert found["later_date"][3] is True


def test_nobody_knows_how_long_waiting_takes():
    found = told(options_for([line()], [offer("S1", 9), offer("S2", 19)], None, WAYS))
    assert found["other_supplier"][2] is None
    assert found["later_date"][2] is None


@pytest.mark.parametrize("price", [1, 5_000])
def test_the_change_of_cost_is_that_of_the_stated_cost(price):
    (first, _) = options_for([line(qty=3)], [offer("S1", 1000), offer("S2", price)], 0.0, WAYS)
    assert first.cost_change_cents == 3 * (price - 1000)
