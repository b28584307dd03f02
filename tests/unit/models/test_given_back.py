"""What came back lowers the line that it came from, from when it was known, by hand."""

from datetime import UTC, datetime, timedelta

import polars as pl

from models.given_back import kept
from models.lifecycle.features.churn_features import churned
from models.lifecycle.features.history import read_history
from models.lifecycle.features.rebuy_features import rebought
from models.lifecycle.value.histories import purchase_days
from models.lifecycle.value.training import purchases_of

START = datetime(2024, 1, 1, tzinfo=UTC)
INSTANT = pl.Datetime("us", "UTC")


def at(day):
    return START + timedelta(days=day)


def lines(*rows):
    """(order, line, consumer, sku, day, qty, net)."""
    return pl.DataFrame(
        [
            (*row[:4], "m", f"l3-{row[3]}", at(row[4]), float(row[5]), row[6], True, at(row[4]), None)
            for row in rows
        ],
        schema={
            "order_id": pl.String, "line_no": pl.Int32, "consumer_id": pl.String, "sku_id": pl.String,
            "merchant_id": pl.String, "category_l3_id": pl.String, "placed_at": INSTANT, "qty": pl.Float64,
            "net_paid_cents": pl.Int64, "is_merchandise": pl.Boolean, "received_at": INSTANT,
            "superseded_at": INSTANT,
        },
        orient="row",
    )  # fmt: skip


def returns(*rows):
    """(order or None, line or None, consumer, sku, day, qty, cents)."""
    return pl.DataFrame(
        [(*row[:4], at(row[4]), float(row[5]), row[6], at(row[4])) for row in rows],
        schema={
            "order_id": pl.String, "line_no": pl.Int32, "consumer_id": pl.String, "sku_id": pl.String,
            "placed_at": INSTANT, "qty": pl.Float64, "cents": pl.Int64, "known_at": INSTANT,
        },
        orient="row",
    )  # fmt: skip


def cases(*rows):
    """(order, line, is_whole, cents, day)."""
    return pl.DataFrame(
        [(*row[:4], at(row[4])) for row in rows],
        schema={
            "order_id": pl.String, "line_no": pl.Int32, "is_whole": pl.Boolean, "cents": pl.Int64,
            "known_at": INSTANT,
        },
        orient="row",
    )  # fmt: skip


SOLD = lines(
    ("o1", 1, "a", "cup", 0, 3, 300), ("o1", 2, "a", "pot", 0, 1, 900), ("o2", 1, "a", "cup", 5, 1, 100)
)


def states(frame):
    day = (pl.col("received_at") - START).dt.total_days()
    until = (pl.col("superseded_at") - START).dt.total_days()
    return frame.select(
        "order_id", "line_no", "qty", "net_paid_cents", day.alias("from"), until.alias("to")
    ).rows()


def test_nothing_given_back_changes_nothing():
    assert kept(SOLD, returns(), cases()).equals(SOLD)


def test_a_partial_return_makes_two_states_and_lowers_its_line_alone():
    found = kept(SOLD, returns(("o1", 1, "a", "cup", 9, 2, 150)), cases())
    assert states(found) == [
        ("o1", 1, 3.0, 300, 0, 9),
        ("o1", 1, 1.0, 150, 9, None),
        ("o1", 2, 1.0, 900, 0, 9),
        ("o1", 2, 1.0, 900, 9, None),
        ("o2", 1, 1.0, 100, 5, None),
    ]


def test_what_is_wholly_given_back_is_no_line_any_more():
    # The return names no line: the newest earlier sale of that sku to that consumer, which is o2.
    found = kept(
        SOLD, returns((None, None, "a", "cup", 7, 1, 100), (None, None, None, "pot", 7, 1, 9)), cases()
    )
    assert states(found.filter(pl.col("order_id") == "o2")) == [("o2", 1, 1.0, 100, 5, 7)]
    assert states(found.filter(pl.col("order_id") == "o1")) == [
        ("o1", 1, 3.0, 300, 0, None),
        ("o1", 2, 1.0, 900, 0, None),
    ]


def test_returns_without_a_line_number_take_the_line_of_that_sku():
    found = kept(SOLD, returns(("o1", None, "a", "pot", 3, 1, 900)), cases())
    assert states(found.filter(pl.col("sku_id") == "pot")) == [("o1", 2, 1.0, 900, 0, 3)]


def test_closed_cases_give_back_a_line_or_money_unless_a_return_line_did():
    found = kept(
        SOLD,
        returns(("o2", 1, "a", "cup", 6, 1, 100)),
        cases(("o1", 2, True, None, 4), ("o1", 1, False, 30, 8), ("o2", 1, True, 100, 9)),
    )
    assert states(found) == [
        ("o1", 1, 3.0, 300, 0, 4),
        ("o1", 1, 3.0, 300, 4, 8),
        ("o1", 1, 3.0, 270, 8, None),
        ("o1", 2, 1.0, 900, 0, 4),
        ("o2", 1, 1.0, 100, 5, 6),
    ]


def test_lines_as_they_stand_are_lowered_with_their_list_price():
    standing = SOLD.drop("received_at", "superseded_at").with_columns(list_price_cents=pl.lit(600))
    found = kept(
        standing, returns(("o1", 1, "a", "cup", 9, 2, 150), ("o1", 2, "a", "pot", 9, 1, 900)), cases()
    )
    assert found.select("order_id", "qty", "net_paid_cents", "list_price_cents").rows() == [
        ("o1", 1.0, 150, 200),
        ("o2", 1.0, 100, 600),
    ]


def test_a_return_is_no_purchase_in_history_labels_and_value():
    sold = lines(
        ("o1", 1, "a", "cup", 0, 1, 100), ("o2", 1, "a", "cup", 20, 2, 200), ("o3", 1, "b", "cup", 20, 1, 50)
    )
    net = kept(sold, returns(("o2", 1, "a", "cup", 25, 2, 200)), cases())
    history = read_history(net, at(40))
    consumers = (
        history.consumers.to_frame("id")
        .with_row_index("consumer")
        .with_columns(pl.col("consumer").cast(pl.Int32))
    )
    # At day 24 the second order of a stood; since day 25 it does not, and a has not come back.
    for known, came in ((at(24), False), (at(40), True)):
        gone = churned(history, consumers["consumer"], at(10), at(38), known).to_list()
        assert gone == [came, False]
    pairs = consumers.select("consumer", kind=pl.lit(0, dtype=pl.Int32))
    assert rebought(history, pairs, at(10), at(24), at(40)).to_list() == [False, True]
    assert history.known(at(24)).purchases.height == 3
    assert history.known(at(40)).purchases.height == 2
    days = purchase_days(purchases_of(history, at(40)), at(40))
    assert days.select("consumer_id", "value_cents").rows() == [("a", 100.0), ("b", 50.0)]


def test_a_case_tells_until_a_return_line_does_and_is_not_undone_before():
    """The case of day 4 gave back the line wholly; the return line of day 9 says that it was one of three."""
    found = kept(SOLD, returns(("o1", 1, "a", "cup", 9, 1, 100)), cases(("o1", 1, True, None, 4)))
    assert states(found.filter(pl.col("sku_id") == "cup", pl.col("order_id") == "o1")) == [
        ("o1", 1, 3.0, 300, 0, 4),
        ("o1", 1, 2.0, 200, 9, None),
    ]
    refunded = kept(SOLD, returns(("o1", 1, "a", "cup", 9, 1, 100)), cases(("o1", 1, False, 50, 4)))
    assert states(refunded.filter(pl.col("sku_id") == "cup", pl.col("order_id") == "o1")) == [
        ("o1", 1, 3.0, 300, 0, 4),
        ("o1", 1, 3.0, 250, 4, 9),
        ("o1", 1, 2.0, 200, 9, None),
    ]


def test_returns_that_name_no_order_take_the_newest_first_and_then_those_before():
    """Bought 3 and then 1: two returns of one piece, or one of three, leave what was kept."""
    two = returns((None, None, "a", "cup", 8, 1, 100), (None, None, "a", "cup", 9, 1, 100))
    one = returns((None, None, "a", "cup", 8, 3, 300))
    assert [row[:4] for row in states(kept(SOLD, two, cases())) if row[5] is None and row[1] == 1] == [
        ("o1", 1, 2.0, 200)
    ]
    assert [row[:4] for row in states(kept(SOLD, one, cases())) if row[5] is None and row[1] == 1] == [
        ("o1", 1, 1.0, 100)
    ]


def test_a_return_that_names_its_order_alone_takes_every_line_of_that_sku():
    sold = lines(("o1", 1, "a", "cup", 0, 2, 200), ("o1", 2, "a", "cup", 0, 2, 200))
    found = kept(sold, returns(("o1", None, "a", "cup", 3, 3, 300)), cases())
    assert [row[:4] for row in states(found) if row[5] is None] == [("o1", 1, 1.0, 100)]


def test_more_than_was_bought_comes_back_only_as_far_as_it_was():
    found = kept(SOLD, returns((None, None, "a", "cup", 8, 9, 900)), cases())
    assert [row[:4] for row in states(found) if row[5] is None] == [("o1", 2, 1.0, 900)]
