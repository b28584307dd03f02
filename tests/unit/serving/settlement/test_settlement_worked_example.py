"""The worked example of the settlement design, every line of it, in all three plans."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.settlement.plans.profiles import load_shipped
from serving.settlement.sharing.freeze import CartLine, OrderCoupon, freeze
from serving.settlement.sharing.leg import formula
from serving.settlement.sharing.snapshot import FreightSnapshot, Parties, Party
from serving.settlement.sharing.waterfall import accrue

MANAGER = Party("agent", "a2", has_contract=True, has_service_evidence=True)


def example(tier):
    return freeze(
        order_id="o1",
        merchant_id="m1",
        consumer_id="c1",
        paid_at=datetime(2026, 3, 1, tzinfo=UTC),
        cart=[
            CartLine(1, "A", (), "S1", 1, 12_900, 7_000),
            CartLine(2, "B", (), "S2", 1, 8_990, 4_800),
            CartLine(3, "C", (), "S2", 3, 5_970, 2_970),
        ],
        coupons=[OrderCoupon(5_000, {"platform": 10_000})],
        freights=[FreightSnapshot("S2", 800)],
        fee_rate_bps=60,
        parties=Parties(Party("agent", "a1", tier), manager=MANAGER),
    )


def test_the_snapshot_spreads_coupon_and_fee():
    order = example("none")
    assert [line.discounts[0].cents for line in order.lines] == [2315, 1613, 1072]
    assert [line.net_paid_cents for line in order.lines] == [10_585, 7_377, 4_898]
    assert [line.channel_fee_cents for line in order.lines] == [66, 46, 30]
    assert order.captured_cents == 23_660


# By line: supplier, channel fee, direct, team wanted, team, fund, platform. By hand.
CASES = {
    ("worked_20_8_25", "none"): [
        (7000, 66, 2117, 846, 846, 139, 417),
        (4800, 46, 1475, 590, 590, 116, 350),
        (2970, 30, 979, 391, 391, 132, 396),
    ],
    ("worked_25_10_25", "none"): [
        (7000, 66, 2646, 1058, 529, 86, 258),
        (4800, 46, 1844, 737, 369, 79, 239),
        (2970, 30, 1224, 489, 245, 107, 322),
    ],
    ("worked_20_8_25", "diamond"): [
        (7000, 66, 3175, 846, 0, 86, 258),
        (4800, 46, 2213, 590, 0, 79, 239),
        (2970, 30, 1469, 391, 0, 107, 322),
    ],
}
# Suppliers with freight, fee, direct, team wanted, team, fund, platform: the page's own figures.
TOTALS = {
    ("worked_20_8_25", "none"): (15_570, 142, 4_571, 1_827, 1_827, 387, 1_163),
    ("worked_25_10_25", "none"): (15_570, 142, 5_714, 2_284, 1_143, 272, 819),
    ("worked_20_8_25", "diamond"): (15_570, 142, 6_857, 1_827, 0, 272, 819),
}


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_every_line_of_the_worked_example(case):
    name, tier = case
    legs = accrue(example(tier), load_shipped(name))
    found = {(leg.line_no, leg.kind): leg for leg in legs}
    kinds = ("supplier", "channel_fee", "direct", "team", "fund", "platform")
    for line_no, expected in enumerate(CASES[case], start=1):
        supplier, fee, direct, wanted, team, fund, platform = expected
        amounts = [found[line_no, kind].amount_cents for kind in kinds]
        assert amounts == [supplier, fee, direct, team, fund, platform]
        assert found[line_no, "team"].wanted_cents == wanted
        assert found[line_no, "team"].cut_reason == ("pool" if team < wanted else None)
    assert found[0, "freight"].amount_cents == 800
    assert len(legs) == 3 * len(kinds) + 1
    assert sum(leg.amount_cents for leg in legs) == 23_660


@pytest.mark.parametrize("case", TOTALS, ids="-".join)
def test_totals_are_those_of_the_page(case):
    name, tier = case
    legs = accrue(example(tier), load_shipped(name))

    def total(*kinds, amount="amount_cents"):
        return sum(getattr(leg, amount) for leg in legs if leg.kind in kinds)

    wanted = total("team", amount="wanted_cents")
    paid = [total(kind) for kind in ("direct", "team", "fund", "platform")]
    found = (total("supplier", "freight"), total("channel_fee"), paid[0], wanted, *paid[1:])
    assert found == TOTALS[case]


def test_the_formula_of_every_leg_of_a_line():
    legs = accrue(example("none"), load_shipped("worked_25_10_25"))
    assert [formula(leg) for leg in legs if leg.line_no == 1] == [
        "supply price 70.00",
        "share of the channel fee 0.66",
        "floor(105.85 x 25.00%) = 26.46; pool left 31.75, not cut",
        "floor(105.85 x 10.00%) = 10.58; pool left 5.29, cut to 5.29",
        "floor(3.44 x 25.00%) = 0.86",
        "retained 3.44 - 0.86 support fund = 2.58",
    ]
    assert [formula(leg) for leg in legs if leg.line_no == 0] == ["freight passed on 8.00"]


def test_scenarios_and_payees():
    legs = accrue(example("none"), load_shipped("worked_20_8_25"))
    assert {(leg.kind, leg.scenario, leg.payee_type, leg.payee_id) for leg in legs if leg.line_no == 1} == {
        ("supplier", 2, "supplier", "S1"),
        ("channel_fee", 2, "platform", "platform"),
        ("direct", 3, "agent", "a1"),
        ("team", 4, "agent", "a2"),
        ("fund", 4, "platform", "platform"),
        ("platform", 2, "platform", "platform"),
    }


PAGE = Path(__file__).parents[4] / "docs" / "settlement.md"
LABELS = {
    ("worked_20_8_25", "none"): "20 / 8 / 25",
    ("worked_25_10_25", "none"): "25 / 10 / 25",
    ("worked_20_8_25", "diamond"): "diamond seller 30 + 8 + 25",
}


def row_of_page(label):
    """Amounts in fen of the cells of a table row, without remarks in brackets."""
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {label} |")]
    cells = [re.sub(r"\(.*?\)|\*", "", cell).strip() for cell in line.strip("|").split("|")[1:]]
    return [round(float(cell) * 100) for cell in cells]


@pytest.mark.parametrize("case", TOTALS, ids="-".join)
def test_the_documentation_shows_the_totals(case):
    supplier, fee, direct, _, team, fund, platform = TOTALS[case]
    assert row_of_page(LABELS[case]) == [supplier, fee, direct, team, fund, platform, 23_660]


@pytest.mark.parametrize(("line_no", "label"), [(1, "A from S1"), (2, "B from S2"), (3, "C from S2")])
def test_the_documentation_shows_the_lines(line_no, label):
    line = example("none").lines[line_no - 1]
    margin = line.net_paid_cents - line.supply_price_cents - line.channel_fee_cents
    pool = min(margin, line.net_paid_cents * 3_000 // 10_000)
    assert row_of_page(label) == [
        line.list_price_cents,
        line.discounts[0].cents,
        line.net_paid_cents,
        line.supply_price_cents,
        line.channel_fee_cents,
        margin,
        pool,
    ]
