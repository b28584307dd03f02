"""Facts of a batch, by hand."""

import datetime as dt

import polars as pl
import pytest

from pipelines.limits.profile import Profile, profile_of

ALL = (
    "null_share.*",
    "median.unit_price",
    "median.quantity",
    "newest.unit_price",
    "newest.quantity",
    "mix.state",
)


def lines(prices, quantities=None, sku="a", day=None):
    """Order lines of one sku at unit prices (in cents), with quantities in thousandths."""
    quantities = quantities or [1000] * len(prices)
    frame = pl.DataFrame(
        {
            "sku_id": [sku] * len(prices),
            "qty_milli": quantities,
            "list_price_cents": [price * qty // 1000 for price, qty in zip(prices, quantities, strict=True)],
        },
        schema_overrides={"qty_milli": pl.Int64, "list_price_cents": pl.Int64},
    )
    return frame if day is None else frame.with_columns(day=pl.lit(day))


def test_rows_and_null_shares():
    frame = pl.DataFrame({"a": [1, None, 3, None], "b": ["x"] * 4})
    found = profile_of("anything", frame.lazy(), ALL)
    assert found.rows == 4
    assert found.numbers == {"null_share.a": 0.5, "null_share.b": 0.0}
    assert found.facts("null_share.*") == found.numbers
    assert found.facts("rows") == {"rows": 4.0}
    assert found.facts("median.unit_price") == {}


def test_unit_prices_are_per_unit_and_skip_gifts_and_returns():
    frame = pl.concat([lines([500, 500, 700], [1000, 80_995_000, 250]), lines([0]), lines([900], [-1000])])
    assert profile_of("order_lines", frame.lazy(), ALL).numbers["median.unit_price"] == 500
    assert profile_of("order_lines", frame.lazy(), ALL).numbers["median.quantity"] == 1000


def test_the_newest_days_are_held_against_the_same_skus_before():
    days = [dt.date(2025, 1, 1) + dt.timedelta(days=n) for n in range(10)]
    cheap = [lines([500] * 30, sku="cheap", day=day) for day in days]
    dear = [lines([9_000_000] * 30, sku="dear", day=day) for day in days]
    level = profile_of("order_lines", pl.concat(cheap + dear).lazy(), ALL).numbers["newest.unit_price"]
    assert level == 1
    only_dear_at_last = pl.concat([*cheap[:5], *dear])
    assert profile_of("order_lines", only_dear_at_last.lazy(), ALL).numbers["newest.unit_price"] == 1
    spoiled = pl.concat([*cheap, lines([50_000] * 250, sku="cheap", day=dt.date(2025, 2, 1))])
    assert profile_of("order_lines", spoiled.lazy(), ALL).numbers["newest.unit_price"] == 100


def test_few_rows_have_no_newest_level():
    days = [dt.date(2025, 1, 1) + dt.timedelta(days=n) for n in range(5)]
    few = pl.concat([lines([500] * 20, day=day) for day in days])
    assert "newest.unit_price" not in profile_of("order_lines", few.lazy(), ALL).numbers


def test_mix_of_a_column():
    frame = pl.DataFrame({"state": ["paid", "paid", "paid", "cancelled"]})
    assert profile_of("orders", frame.lazy(), ALL).mixes == {"mix.state": {"paid": 0.75, "cancelled": 0.25}}


def test_an_empty_batch_has_only_its_zero_rows():
    found = profile_of("order_lines", lines([]).lazy(), ALL)
    assert (found.rows, found.numbers) == (0, {})


def test_only_what_is_asked_for_is_computed():
    assert profile_of("order_lines", lines([1, 2]).lazy(), ["rows"]).numbers == {}


def test_the_quarantine_share_comes_from_the_door():
    found = profile_of("orders", lines([1]).lazy(), [], quarantined_share=0.25)
    assert found.facts("quarantined_share") == {"quarantined_share": 0.25}


@pytest.mark.parametrize("profile", [Profile(3, {"a": 0.5}, {"mix.x": {"y": 1.0}}), Profile(0)])
def test_a_profile_survives_json(profile):
    assert Profile.from_json(profile.to_json()) == profile
