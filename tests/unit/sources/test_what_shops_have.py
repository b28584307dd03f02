"""What shops have: guests, returns, states, services, columns that files lack, clocks never set."""

import polars as pl
import pytest
from feed_folder import LINES, ORDERS, PRODUCTS, add_lines, write_csv

from pipelines.sources.refused.quarantine import NO_LINE, read_quarantine
from pipelines.sources.states import folded, shipped_words, states

BLANK = {"returned_order_id": "", "returned_line_no": "", "supply_price_cents": ""}
SOLD = [{**line, **BLANK} for line in LINES]
RETURN = {
    **SOLD[0], "line_no": "2", "qty": "-2", "list_price_cents": "-500", "promo_discount_cents": "-100",
    "net_paid_cents": "-400", "returned_order_id": "o0", "returned_line_no": "7",
}  # fmt: skip


def without(rows, *columns):
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


def test_three_tables_with_the_least_columns_are_enough(folder, lake, load):
    write_csv(folder / "products.csv", without(PRODUCTS, "title", "category_id", "received_at"))
    least = ("consumer_id", "merchant_id", "channel", "status", "coupon_discount_cents", "freight_cents")
    write_csv(folder / "orders.csv", without(ORDERS, *least))
    lines = [*LINES, {**LINES[0], "sku_id": "b", "net_paid_cents": "150"}]
    write_csv(
        folder / "order_lines.csv", without(lines, "line_no", "list_price_cents", "promo_discount_cents")
    )
    reports = load(folder)
    assert {name: report.reasons for name, report in reports.items() if report.reasons} == {}
    product = lake.read("products").sort("sku_id").row(0, named=True)
    assert (product["title"], product["category_id"]) == ("a", "uncategorised")
    order = lake.read("orders").sort("order_id").row(0, named=True)
    told = (
        "merchant_id",
        "channel",
        "status",
        "state",
        "coupon_discount_cents",
        "freight_cents",
        "consumer_id",
    )
    assert [order[name] for name in told] == ["shop", "other", "completed", "paid", 0, 0, None]
    lines = lake.read("order_lines").sort("order_id", "line_no")
    columns = ("order_id", "line_no", "list_price_cents", "promo_discount_cents", "net_paid_cents")
    assert lines.select(columns).rows() == [
        ("o1", 1, 400, 0, 400), ("o1", 2, 150, 0, 150), ("o2", 1, 400, 0, 400), ("o3", 1, 400, 0, 400),
    ]  # fmt: skip
    assert "channel was not given: other taken (3)" in reports["orders"].notes
    assert "line_no was not given: the running number in the order taken" in reports["order_lines"].notes
    assert lake.read("consumers").height == 0
    assert lake.read("merchants")["merchant_id"].to_list() == ["shop"]


def test_lines_are_numbered_through_the_chunks_of_a_file_and_anew_in_the_next(
    folder, lake, load, monkeypatch
):
    monkeypatch.setattr("pipelines.sources.files.lines._BLOCK_BYTES", 60)
    (folder / "order_lines.csv").unlink()
    (folder / "order_lines").mkdir()
    rows = without([{**LINES[0], "net_paid_cents": str(cents)} for cents in (10, 20, 30, 40, 50)], "line_no")
    write_csv(folder / "order_lines" / "a.csv", [*rows, *without(LINES[1:], "line_no")])
    write_csv(folder / "order_lines" / "b.csv", [{**rows[0], "net_paid_cents": "99"}])
    report = load(folder)["order_lines"]
    mine = lake.read("order_lines").filter(order_id="o1").sort("line_no")
    assert mine.select("line_no", "net_paid_cents").rows() == [(1, 99), (2, 20), (3, 30), (4, 40), (5, 50)]
    assert report.history == 1


def test_guests_are_orders_of_nobody(folder, lake, load):
    write_csv(folder / "orders.csv", [{**ORDERS[0], "consumer_id": ""}, *ORDERS[1:]])
    assert load(folder)["orders"].accepted == 3
    assert lake.read("orders")["consumer_id"].null_count() == 1
    assert lake.read("consumers").height == 2


def test_returns_are_negative_lines(folder, lake, load):
    write_csv(folder / "order_lines.csv", [*SOLD, RETURN])
    assert load(folder)["order_lines"].accepted == 4
    line = lake.read("order_lines").filter(line_no=2).row(0, named=True)
    assert (line["qty_milli"], line["net_paid_cents"]) == (-2000, -400)
    assert (line["returned_order_id"], line["returned_line_no"]) == ("o0", 7)


SIGN = "an amount has not the sign of the quantity: on a return every amount is negative or zero"
OVER = "more than the list amount less promotions"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"net_paid_cents": "400"}, SIGN),
        ({"qty": "2"}, SIGN),
        ({"list_price_cents": "500", "promo_discount_cents": "0", "net_paid_cents": "0"}, SIGN),
        ({"net_paid_cents": "-401"}, OVER),
        ({"net_paid_cents": "0"}, None),
        ({"qty": "2", "list_price_cents": "0", "promo_discount_cents": "0", "net_paid_cents": "0"}, None),
        ({"supply_price_cents": "3"}, SIGN),
        ({"supply_price_cents": "-3"}, None),
        ({"qty": "-0.000"}, "a line of nothing"),
        ({"qty": "-1000000001"}, "less than -1,000,000,000,000"),
        ({"net_paid_cents": "-9223372036854775807"}, "less than -10,000,000,000,000"),
    ],
)
def test_amounts_of_a_line_have_its_sign(folder, lake, load, changes, reason):
    write_csv(folder / "order_lines.csv", [*SOLD, {**RETURN, **changes}])
    report = load(folder)["order_lines"]
    assert report.accepted == (4 if reason is None else 3)
    if reason is not None:
        assert reason in read_quarantine(lake, "order_lines")["reasons"].to_list()[0]


def test_words_of_a_status_tell_the_state(folder, lake, load):
    words = ["Completed", " part_shipped ", "交易关闭"]
    write_csv(folder / "orders.csv", [{**o, "status": w} for o, w in zip(ORDERS, words, strict=True)])
    report = load(folder)["orders"]
    assert report.reasons == {"not a status we know; map it in muyun.yaml: orders.values.status": 1}
    assert read_quarantine(lake, "orders")["value"].to_list() == [words[1]]
    (folder / "muyun.yaml").write_text(
        "orders:\n  values:\n    status: {Part shipped: paid, completed: refunded}\n"
    )
    assert load(folder)["orders"].quarantined == 0
    orders = lake.read("orders").sort("order_id")
    assert orders["state"].to_list() == ["refunded", "paid", "cancelled"], "the user's words come first"
    assert orders["status"][2] == "交易关闭", "the word is kept as it came"


def test_every_shipped_word_has_one_meaning():
    words = shipped_words()
    assert set(words.values()) == {"unpaid", "paid", "cancelled", "refunded"}
    assert words[folded("Partially  refunded")] == "paid"
    assert words[folded("CANCELED")] == "cancelled"
    assert all(word == folded(word) for word in words)
    told = states(pl.Series(["paid", None, "moon"]), {})
    assert told.to_list() == ["paid", None, None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1970-01-01T00:00:00Z", "unset clock"),
        ("1970-12-31 23:59:59", "unset clock"),
        ("1900-01-01", "unset clock"),
        ("0001-01-01T00:00:00Z", "unset clock"),
        ("9999-12-31", "in the future"),
        ("1900-01-00", "not a time"),
        ("0000-00-00 00:00:00", ""),
    ],
)
def test_a_clock_that_was_never_set_is_no_history(folder, lake, load, text, reason):
    write_csv(folder / "orders.csv", [*ORDERS, {**ORDERS[0], "order_id": "new", "placed_at": text}])
    add_lines(folder, "new")
    reports = load(folder)
    assert reports["orders"].first_time.year == reports["orders"].last_time.year == 2026
    (found,) = reports["orders"].reasons
    assert reason in found
    assert list(reports["order_lines"].reasons) == [f"its order was refused: {found}"]


@pytest.mark.parametrize(
    ("table", "column", "text"),
    [("products", "launched_on", "1970-01-01"), ("orders", "paid_at", "1900-01-01"),
     ("consumers", "birthday", "1900-01-01"), ("merchants", "joined_on", "0001-01-01")],
)  # fmt: skip
def test_other_times_and_dates_are_guarded_too(folder, load, table, column, text):
    rows = {
        "products": PRODUCTS,
        "orders": ORDERS,
        "consumers": [
            {"consumer_id": f"c{n}", "merchant_id": "m1", "registered_at": "2026-01-01",
             "consent_marketing": "no", "consent_profiling": "no"} for n in (0, 1)
        ],
        "merchants": [
            {"merchant_id": "m1", "name": "x", "scene": "general", "region_code": "r",
             "joined_on": "2026-01-01"}
        ],
    }[table]  # fmt: skip
    write_csv(folder / f"{table}.csv", [{**rows[0], column: text}, *rows[1:]])
    (reason,) = load(folder, until=table)[table].reasons
    assert "unset clock" in reason


def test_an_order_without_an_accepted_line_goes_with_its_lines(folder, lake, load):
    write_csv(
        folder / "order_lines.csv", [{**LINES[0], "qty": "0"}, {**LINES[1], "sku_id": "nothing"}, LINES[2]]
    )
    reports = load(folder)
    assert reports["orders"].reasons == {NO_LINE: 2}
    assert reports["order_lines"].reasons == {"a line of nothing": 1, "unknown key: not in products": 1}
    assert lake.read("orders")["order_id"].to_list() == ["o3"]
    assert read_quarantine(lake, "order_lines")["reasons"].to_list()[1] == [
        "unknown key: not in products",
        f"its order was refused: {NO_LINE}",
    ]


def test_what_hangs_on_a_refused_row_says_why(folder, lake, load):
    write_csv(folder / "products.csv", [{**PRODUCTS[0], "launched_on": "soon"}, PRODUCTS[1]])
    reports = load(folder)
    assert reports["products"].quarantined == 1
    (cause,) = reports["order_lines"].reasons
    assert cause.startswith("its product was refused: not a date")
    assert sorted(read_quarantine(lake, "orders")["key"].to_list()) == [["o1"], ["o3"]]


def test_roles_and_themes_come_in_as_data(folder, lake, load):
    write_csv(
        folder / "products.csv",
        [
            {**PRODUCTS[0], "role": "service", "is_private_label": "yes"},
            PRODUCTS[1] | {"role": "", "is_private_label": ""},
        ],
    )
    load(folder, until="products")
    assert lake.read("products").sort("sku_id").select("role", "is_private_label").rows() == [
        ("service", True), (None, None),
    ]  # fmt: skip
    write_csv(folder / "products.csv", [{**PRODUCTS[0], "role": "goods"}])
    (reason,) = load(folder, until="products")["products"].reasons
    assert reason.startswith("not one of merchandise")


def test_a_refused_row_is_kept_whole(folder, lake, load):
    text = "x" * 5000
    write_csv(folder / "orders.csv", [{**ORDERS[0], "channel": "phone", "agent_id": text}, *ORDERS[1:]])
    load(folder, until="orders")
    (row,) = read_quarantine(lake, "orders").to_dicts()
    assert text in row["row_json"]
    assert (row["file"], row["line"], row["key"]) == ("orders.csv", 2, ["o1"])
