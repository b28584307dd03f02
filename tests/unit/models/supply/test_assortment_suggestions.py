"""Suggestions of a night: who supplies, what stays away, what is drawn, and what it is worth."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from assortment_world import DAY, NOW, two_kinds
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from models.errors import InsufficientDataError
from models.supply.assortment.assignment import assign
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.feedback import (
    DECISIONS,
    acceptance,
    without_decided,
    without_unwanted,
)
from models.supply.assortment.history import World
from models.supply.assortment.suggestions import Supply, scored, suggest

SMALL = AssortmentConfig(
    least_skus=2, factors=8, neighbours=5, popular=40, similar=40, near=40, unsold=4, list_length=6,
    new_slots=2, new_choices=2, most_of_category=1.0,
)  # fmt: skip
NOBODY = pl.DataFrame(schema=DECISIONS)
_OPTIONS = {
    "merchant_id": pl.String,
    "sku_id": pl.String,
    "category_id": pl.String,
    "supplier_id": pl.String,
    "units": pl.Float64,
    "value": pl.Float64,
    "spare": pl.Float64,
    "is_kept": pl.Boolean,
}


def options(*rows):
    """(merchant, sku, category, supplier, units, value, spare[, kept])."""
    full = [(*row, False) if len(row) == 7 else row for row in rows]
    return pl.DataFrame(full, schema=_OPTIONS, orient="row")


def chosen(rows, config):
    return set(assign(rows, config).select("merchant_id", "sku_id", "supplier_id").iter_rows())


def test_a_list_takes_the_most_valuable_within_its_length_and_quota():
    two = AssortmentConfig(list_length=2, new_slots=0, most_of_category=0.5)
    rows = options(
        ("m1", "s1", "tea", "A", 1, 900, 9), ("m1", "s2", "tea", "A", 1, 800, 9),
        ("m1", "s3", "milk", "A", 1, 100, 9), ("m1", "s4", "milk", "A", 1, 90, 9),
    )  # fmt: skip
    assert chosen(rows, two) == {("m1", "s1", "A"), ("m1", "s3", "A")}
    assert chosen(rows, replace(two, most_of_category=1.0)) == {("m1", "s1", "A"), ("m1", "s2", "A")}


def test_a_scarce_offer_goes_where_it_brings_most_in_all():
    one = AssortmentConfig(list_length=1, new_slots=0)
    rows = options(
        ("m1", "s1", "tea", "A", 1, 100, 1), ("m1", "s2", "tea", "A", 1, 99, 9),
        ("m2", "s1", "tea", "A", 1, 90, 1), ("m2", "s2", "tea", "A", 1, 10, 9),
    )  # fmt: skip
    # Each for itself would give s1 to m1: 100 + 10 is less than 99 + 90.
    assert chosen(rows, one) == {("m1", "s2", "A"), ("m2", "s1", "A")}


def test_a_pair_stands_once_at_its_better_offer_or_at_the_one_that_has_some():
    config = AssortmentConfig(list_length=5, new_slots=0, most_of_category=1.0)
    rows = options(("m1", "s1", "tea", "A", 2, 50, 5), ("m1", "s1", "tea", "B", 2, 60, 5))
    assert chosen(rows, config) == {("m1", "s1", "B")}
    rows = options(("m1", "s1", "tea", "A", 2, 50, 5), ("m1", "s1", "tea", "B", 2, 60, 1.9))
    assert chosen(rows, config) == {("m1", "s1", "A")}
    assert chosen(options(("m1", "s1", "tea", "A", 2, 0, 5)), config) == set()
    assert chosen(options(("m1", "s1", "tea", "A", 2, 9, 0)), config) == set()


def test_exactly_what_an_offer_can_spare_is_given():
    config = AssortmentConfig(list_length=5, new_slots=0, most_of_category=1.0)
    rows = options(("m1", "s1", "tea", "A", 2, 50, 4), ("m2", "s1", "tea", "A", 2, 60, 4))
    assert len(chosen(rows, config)) == 2
    rows = rows.with_columns(spare=pl.lit(3.999))
    assert chosen(rows, config) == {("m2", "s1", "A")}


def test_a_kept_place_comes_before_value():
    one = AssortmentConfig(list_length=1, new_slots=1)
    rows = options(("m1", "s1", "tea", "A", 1, 100, 9), ("m1", "s2", "tea", "A", 1, 1, 9, True))
    assert chosen(rows, one) == {("m1", "s2", "A")}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_choice_is_as_good_as_a_linear_programme_where_units_are_one(seed):
    rng = np.random.default_rng(seed)
    config = AssortmentConfig(list_length=2, new_slots=0, most_of_category=0.5)
    rows = [
        (f"m{m}", f"s{s}", f"c{s % 2}", f"S{k}", 1.0, float(rng.integers(1, 99)), float((s + k) % 3))
        for m in range(3) for s in range(4) for k in range(2) if rng.random() < 0.8
    ]  # fmt: skip
    frame = options(*rows)
    found = assign(frame, config)
    spare = {(row[3], row[1]): row[6] for row in rows}
    groups = [
        *(([r for r, x in enumerate(rows) if x[0] == m], 2) for m in {x[0] for x in rows}),
        *(([r for r, x in enumerate(rows) if (x[0], x[2]) == g], 1) for g in {(x[0], x[2]) for x in rows}),
        *(([r for r, x in enumerate(rows) if (x[0], x[1]) == g], 1) for g in {(x[0], x[1]) for x in rows}),
        *(([r for r, x in enumerate(rows) if (x[3], x[1]) == g], spare[g]) for g in spare),
    ]
    matrix = np.zeros((len(groups), len(rows)))
    for place, (members, _) in enumerate(groups):
        matrix[place, members] = 1
        kept = {(x[0], x[1], x[3]) for x in (rows[m] for m in members)}
        assert found.filter(
            pl.struct("merchant_id", "sku_id", "supplier_id").map_elements(
                lambda one, kept=kept: tuple(one.values()) in kept, return_dtype=pl.Boolean
            )
        ).height <= groups[place][1]  # fmt: skip
    if not rows:
        return
    best = linprog([-x[5] for x in rows], A_ub=matrix, b_ub=[most for _, most in groups], bounds=(0, 1))
    assert found["value"].sum() == pytest.approx(-best.fun)


def decision(merchant, sku, category, supplier, *, taken=False, reason=None, until=None):
    return (merchant, sku, category, supplier, taken, reason, until)


def decisions(*rows):
    return pl.DataFrame(rows, schema=DECISIONS, orient="row")


def test_what_was_decided_stays_away_as_far_as_the_reason_says():
    pairs = pl.DataFrame(
        [("m1", "s1", "tea"), ("m1", "s2", "tea"), ("m1", "s3", "milk"), ("m2", "s1", "tea")],
        schema=["merchant_id", "sku_id", "category_id"],
        orient="row",
    )
    later = NOW + DAY

    def left(*rows, at=NOW):
        found = without_decided(pairs, decisions(*rows), at)
        return [f"{m}{s}" for m, s in found.select("merchant_id", "sku_id").iter_rows()]

    assert left(decision("m1", "s1", "tea", "A", taken=True)) == ["m1s2", "m1s3", "m2s1"]
    refused = decision("m1", "s1", "tea", "A", reason="other", until=later)
    assert left(refused) == ["m1s2", "m1s3", "m2s1"]
    assert left(refused, at=later) == ["m1s1", "m1s2", "m1s3", "m2s1"]
    category = decision("m1", "s1", "tea", "A", reason="wrong_category", until=later)
    assert left(category) == ["m1s3", "m2s1"]
    assert left(category, at=later) == ["m1s1", "m1s2", "m1s3", "m2s1"]
    offered = pl.DataFrame({"merchant_id": ["m1", "m1", "m2"], "supplier_id": ["A", "B", "A"]})
    unwanted = decisions(decision("m1", "s1", "tea", "A", reason="unwanted_supplier", until=later))
    assert without_unwanted(offered, unwanted, NOW).rows() == [("m1", "B"), ("m2", "A")]
    assert without_unwanted(offered, unwanted, later).height == 3


def test_a_category_of_which_much_is_taken_weighs_more():
    config = AssortmentConfig(acceptance_prior=2.0)
    told = decisions(
        decision("m1", "s1", "tea", "A", taken=True),
        decision("m1", "s2", "tea", "A", taken=True),
        decision("m1", "s3", "milk", "A", reason="other", until=NOW),
        decision("m1", "s4", "milk", "A", reason="other", until=NOW),
    )
    # Usual: (2 + 1) of (4 + 2); tea (2 + 1) of (2 + 2), milk (0 + 1) of (2 + 2).
    assert acceptance(told, config).rows() == [("m1", "milk", 0.5), ("m1", "tea", 1.5)]
    assert acceptance(NOBODY, config).height == 0


@pytest.fixture(scope="module")
def world():
    made = two_kinds(windows=2)
    extra = pl.DataFrame({"sku_id": ["a998", "a999", "b999"]}).with_columns(
        category_l2_id=pl.col("sku_id").str.head(1),
        category_l3_id=pl.col("sku_id").str.head(1),
        brand_id="b-" + pl.col("sku_id").str.head(1),
        title=pl.col("sku_id").str.head(1) + " new",
    )
    lines = made.lines.drop("sku", "merchant", "consumer")
    return World.of(
        lines,
        pl.concat([made.products.drop("sku"), extra.select(made.products.drop("sku").columns)]),
        made.merchants.drop("merchant"),
    )


@pytest.fixture(scope="module")
def by_rule(world):
    return scored(world, NOW, None, SMALL)


def supply_of(world, *, barred=(), **changed):
    skus = world.products["sku_id"].to_list()
    rows = [
        (supplier, sku, sku[0], cents, 1_000.0, 3, grade)
        for sku in skus
        for supplier, cents, grade in (("A", 300, "B"), ("B", 320, "A"), ("C", 310, None), ("D", 700, "A"))
    ]
    names = {
        "supplier_id": pl.String, "sku_id": pl.String, "category_id": pl.String, "unit_cents": pl.Int64,
        "spare_qty": pl.Float64, "lead_time_days": pl.Int64, "grade": pl.String,
    }  # fmt: skip
    offers = pl.DataFrame(rows, schema=names, orient="row").with_columns(**changed)
    prices = pl.DataFrame({"sku_id": skus, "list_price_cents": [500.0] * len(skus)}).filter(
        ~pl.col("sku_id").str.contains("99")
    )
    return Supply(offers, prices, tuple(barred))


def test_a_suggestion_names_supplier_backups_margin_and_reason(world, by_rule):
    told = suggest(by_rule, supply_of(world), NOBODY, NOW, SMALL).rows
    assert by_rule.basis in ("popular_in_scene", "popular_at_similar")
    assert told.group_by("merchant_id").len()["len"].max() == 6
    assert told.select("merchant_id", "sku_id").is_duplicated().sum() == 0
    known = told.filter(~pl.col("is_new_product")).row(0, named=True)
    assert (known["supplier_id"], known["supply_price_cents"], known["list_price_cents"]) == ("A", 300, 500)
    # The dear offer of D would lose money: it is no backup. A goes before what has no grade, as B does.
    assert [one["supplier_id"] for one in json.loads(known["backups"])] == ["B", "C"]
    assert known["expected_margin_cents"] == round(known["expected_qty"] * 200)
    assert known["reason_code"] in ("sold_at_similar_merchants", "popular_in_scene", "fits_demand")
    codes = {one["code"]: one for one in json.loads(known["explanation"])}
    assert codes["margin"]["unit_cents"] == 200
    assert codes["supplier"] == {"code": "supplier", "grade": "B", "spare_qty": 1000.0, "lead_time_days": 3}
    for _, group in told.group_by("merchant_id"):
        assert group["rank"].to_list() == list(range(1, group.height + 1))


def test_new_products_have_places_of_their_own_and_tell_their_chance(world, by_rule):
    told = suggest(by_rule, supply_of(world), NOBODY, NOW, SMALL).rows
    new = told.filter("is_new_product")
    assert new.height
    assert new.group_by("merchant_id").len()["len"].max() <= SMALL.new_slots
    assert not set(new["sku_id"].to_list()) & set(world.lines["sku_id"].to_list())
    assert "a998" in new["sku_id"].to_list() or "a999" in new["sku_id"].to_list()
    assert (new["reason_code"] == "new_product").all()
    assert set(new["propensity"].to_list()) <= {0.5, 1.0}
    assert set(told.filter(~pl.col("is_new_product"))["propensity"].to_list()) == {1.0}
    # Not listed anywhere: the usual margin of the category gives the price.
    usual = np.median([1 - cents / 500 for cents in (300, 320, 310)] + [0.0])
    assert new["list_price_cents"].to_list()[0] == round(new["supply_price_cents"].to_list()[0] / (1 - usual))
    # The same week draws the same, and no other draw than that of its week.
    assert suggest(by_rule, supply_of(world), NOBODY, NOW + DAY, SMALL).rows.equals(told)


def test_what_is_barred_decided_or_not_offered_is_not_suggested(world, by_rule):
    whole = suggest(by_rule, supply_of(world), NOBODY, NOW, SMALL).rows
    merchant, sku, category = whole.select("merchant_id", "sku_id", "category_id").row(0)
    barred = suggest(by_rule, supply_of(world, barred=[sku]), NOBODY, NOW, SMALL).rows
    assert sku not in barred["sku_id"].to_list()
    taken = decisions(decision(merchant, sku, category, "A", taken=True))
    left = suggest(by_rule, supply_of(world), taken, NOW, SMALL).rows
    assert left.filter(merchant_id=merchant, sku_id=sku).height == 0
    unwanted = decisions(decision(merchant, "x", category, "A", reason="unwanted_supplier", until=NOW + DAY))
    other = suggest(by_rule, supply_of(world), unwanted, NOW, SMALL).rows.filter(merchant_id=merchant)
    assert other.height
    assert "A" not in other["supplier_id"].to_list()
    assert '"A"' not in "".join(other["backups"].str.replace_all('"grade": "A"', "").to_list())
    none = suggest(by_rule, supply_of(world, spare_qty=pl.lit(0.0)), NOBODY, NOW, SMALL).rows
    assert none.height == 0
    dear = suggest(by_rule, supply_of(world, unit_cents=pl.lit(500)), NOBODY, NOW, SMALL).rows
    assert dear.filter(~pl.col("is_new_product")).height == 0


def test_what_brings_less_than_the_least_is_left_out_and_counted(world, by_rule):
    few = replace(SMALL, planned=10)
    everything = suggest(by_rule, supply_of(world), NOBODY, NOW, replace(few, least_units=0.0))
    assert everything.left_out == 0
    # Exactly at the least is useful.
    most = everything.rows["expected_qty"].max()
    best = suggest(by_rule, supply_of(world), NOBODY, NOW, replace(few, least_units=most))
    assert set(best.rows["expected_qty"].to_list()) == {most}
    assert best.left_out > 0
    none = suggest(by_rule, supply_of(world), NOBODY, NOW, replace(few, least_units=1e6))
    assert none.rows.height == 0
    # At least what would have stood on the lists.
    assert none.left_out >= everything.rows.height
    dear = everything.rows["expected_margin_cents"].max()
    rich = suggest(by_rule, supply_of(world), NOBODY, NOW, replace(few, least_margin_cents=dear))
    assert rich.rows["expected_margin_cents"].to_list() == [dear] * rich.rows.height != []


def test_no_offer_gives_more_than_it_can_spare(world, by_rule):
    scarce = supply_of(world, spare_qty=pl.lit(1.5) * by_rule.units_per_score)
    told = suggest(by_rule, scarce, NOBODY, NOW, SMALL).rows
    assert told.height
    given_ = told.group_by("supplier_id", "sku_id").agg(pl.col("expected_qty").sum())
    assert given_["expected_qty"].max() <= 1.5 * by_rule.units_per_score + 1e-9


def test_where_nobody_started_anything_nothing_can_be_told(world):
    with pytest.raises(InsufficientDataError, match="cannot be told"):
        scored(world, NOW - 168 * DAY, None, SMALL)
