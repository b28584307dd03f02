"""Every way a file can be wrong: the bad rows are quarantined with file, line, column, value and reason."""

import datetime as dt
import hashlib
import json
from pathlib import Path

import polars as pl
import pytest
from feed_folder import LINES, LOADED_AT, ORDERS, PRODUCTS, add_lines, write_csv

from pipelines.sources.contract import SourceError
from pipelines.sources.files import Files
from pipelines.sources.files.csv_rows import MAX_RECORD_LINES
from pipelines.sources.files.lines import MAX_LINE_BYTES
from pipelines.sources.refused.quarantine import QUARANTINE_SCHEMA, read_quarantine, summary


def quarantined(lake, table="orders"):
    """(line, column, value, reason) of each quarantined row, by line."""
    rows = read_quarantine(lake, table)
    assert dict(rows.schema) == QUARANTINE_SCHEMA
    return rows.sort("line").select("line", "column", "value", "reason").rows()


def with_order(**changes):
    return [*ORDERS, {**ORDERS[0], "order_id": "new", **changes}]


def test_a_healthy_folder_loads_whole(folder, lake, load):
    reports = load(folder)
    assert {name: (r.received, r.accepted) for name, r in reports.items()} == {
        "categories": (2, 2), "products": (2, 2), "merchants": (1, 1), "consumers": (2, 2),
        "orders": (3, 3), "order_lines": (3, 3),
    }  # fmt: skip
    lines = lake.read("order_lines")
    assert lines["net_paid_cents"].sum() == 1200
    assert lines["received_at"].to_list() == [
        dt.datetime(2026, 11, day, 10, tzinfo=dt.UTC) for day in (1, 2, 3)
    ]
    assert set(lines["origin"]) == {"observed"}
    assert lake.days("order_lines") == lake.days("orders") == [dt.date(2026, 11, day) for day in (1, 2, 3)]
    assert reports["orders"].first_time == dt.datetime(2026, 11, 1, 10, tzinfo=dt.UTC)
    assert reports["orders"].last_time == dt.datetime(2026, 11, 3, 10, tzinfo=dt.UTC)
    assert "received_at was not given: event time taken" in reports["orders"].notes


def test_derived_tables_have_documented_defaults(folder, lake, load):
    load(folder)
    consumers = lake.read("consumers")
    assert consumers["consumer_id"].to_list() == ["c0", "c1"]
    assert consumers["merchant_id"].to_list() == ["m1", "m1"]
    assert consumers["consent_marketing"].to_list() == [False, False]
    assert consumers["registered_at"].dt.day().to_list() == [2, 1]
    assert lake.read("merchants").row(0)[:5] == ("m1", "m1", "general", "unknown", dt.date(2026, 11, 1))
    assert lake.read("categories")["category_id"].to_list() == ["bakery", "fruit"]


@pytest.mark.parametrize(
    ("changes", "column", "value", "reason"),
    [
        ({"placed_at": "yesterday"}, "placed_at", "yesterday", "not a time (ISO 8601"),
        ({"placed_at": "2026-11-10T00:00:01Z"}, "placed_at", "2026-11-10T00:00:01Z", "in the future"),
        ({"placed_at": "1969-12-31"}, "placed_at", "1969-12-31", "an unset clock: before 1971-01-01"),
        ({"placed_at": ""}, "placed_at", "", "missing value"),
        ({"order_id": ""}, "order_id", "", "missing value"),
        ({"order_id": "o1"}, "order_id", "o1", "duplicate key: an earlier row"),
        ({"channel": "phone"}, "channel", "phone", "not one of mini_program, wecom, live, store, other"),
        ({"freight_cents": "-1"}, "freight_cents", "-1", "negative"),
        ({"freight_cents": "1.5"}, "freight_cents", "1.5", "amounts look like yuan"),
        ({"freight_cents": "12 kg"}, "freight_cents", "12 kg", "not a whole number"),
    ],
)
def test_one_bad_order(folder, lake, load, changes, column, value, reason):
    write_csv(folder / "orders.csv", with_order(**changes))
    report = load(folder, until="orders")["orders"]
    assert (report.received, report.accepted, report.quarantined) == (4, 3, 1)
    ((line, got_column, got_value, got_reason),) = quarantined(lake)
    assert (line, got_column) == (5, column)
    assert (got_value or "") == value
    assert got_reason.startswith(reason)
    row = read_quarantine(lake, "orders").row(0, named=True)
    assert row["file"] == "orders.csv"
    assert row["table"] == "orders"
    assert row["loaded_at"] == LOADED_AT
    assert (json.loads(row["row_json"])["status"]) == "completed"
    assert summary(lake, "orders").rows() == [(column, got_reason, 1)]


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"order_id": "nobody"}, "order_id", "unknown key: not in orders"),
        ({"sku_id": "z"}, "sku_id", "unknown key: not in products"),
        ({"qty": "0"}, "qty", "a line of nothing"),
        ({"net_paid_cents": "401"}, "net_paid_cents", "more than the list amount less promotions"),
        (
            {"line_no": "1"},
            "order_id",
            "duplicate key: an earlier row of this load has the same order_id, line_no",
        ),
        ({"line_no": "9999999999"}, "line_no", "not a whole number in range"),
    ],
)
def test_one_bad_line(folder, lake, load, changes, column, reason):
    write_csv(folder / "order_lines.csv", [*LINES, {**LINES[0], "line_no": "2", **changes}])
    report = load(folder)["order_lines"]
    assert (report.received, report.quarantined) == (4, 1)
    assert report.reasons == {reason: 1}
    assert quarantined(lake, "order_lines")[0][1] == column


def test_all_reasons_are_kept_and_the_first_counts(folder, lake, load):
    write_csv(folder / "order_lines.csv", [*LINES, {**LINES[0], "line_no": "2", "qty": "0", "sku_id": "z"}])
    report = load(folder)["order_lines"]
    assert report.reasons == {"a line of nothing": 1}
    assert read_quarantine(lake, "order_lines")["reasons"].to_list() == [
        ["a line of nothing", "unknown key: not in products"]
    ]


def test_the_first_of_two_good_rows_wins_and_a_bad_row_takes_no_key(folder, lake, load):
    first = {**ORDERS[0], "order_id": "twice", "channel": "phone"}
    second = {**ORDERS[0], "order_id": "twice", "status": "paid"}
    third = {**ORDERS[0], "order_id": "twice", "status": "shipped"}
    write_csv(folder / "orders.csv", [first, second, third])
    add_lines(folder, "twice")
    load(folder, until="orders")
    assert lake.read("orders")["status"].to_list() == ["paid"]
    assert [row[0] for row in quarantined(lake)] == [2, 4]


def test_keys_into_the_same_table_are_followed_to_the_end(folder, lake, load):
    rows = [
        {
            "category_id": name,
            "parent_category_id": parent,
            "name": name,
            "level": "1",
            "received_at": "2026-01-01",
        }
        for name, parent in (("fruit", ""), ("bakery", "fruit"), ("x", "missing"), ("y", "x"), ("z", "y"))
    ]
    write_csv(folder / "categories.csv", rows)
    report = load(folder, until="categories")["categories"]
    assert report.reasons == {"unknown key: not in categories": 3}
    assert lake.read("categories")["category_id"].to_list() == ["bakery", "fruit"]


def test_supplied_parents_are_checked(folder, lake, load):
    merchant = {
        "merchant_id": "m2",
        "name": "x",
        "scene": "general",
        "region_code": "r",
        "joined_on": "2026-01-01",
    }
    write_csv(folder / "merchants.csv", [merchant])
    reports = load(folder, until="orders")
    assert reports["consumers"].reasons == {"unknown key: not in merchants": 2}
    assert reports["orders"].accepted == 0
    assert read_quarantine(lake, "orders")["reasons"][0].to_list() == [
        "its consumer was refused: unknown key: not in merchants", "unknown key: not in merchants",
    ]  # fmt: skip


def test_a_supplier_is_checked_only_when_suppliers_are_supplied(folder, lake, load):
    write_csv(folder / "order_lines.csv", [{**row, "supplier_id": "s1"} for row in LINES])
    assert load(folder)["order_lines"].accepted == 3
    supplier = {
        "supplier_id": "s2", "name": "x", "channel": "jd", "region_code": "r", "joined_on": "2026-01-01",
        "is_active": "yes",
    }  # fmt: skip
    write_csv(folder / "suppliers.csv", [supplier])
    assert load(folder)["order_lines"].reasons == {"unknown key: not in suppliers": 3}


def test_bytes_that_are_not_utf8(folder, lake, load):
    path = folder / "orders.csv"
    good = path.read_bytes()
    path.write_bytes(
        good + good.splitlines(keepends=True)[1].replace(b"completed", b"\xff\xfe").replace(b"o1", b"o9")
    )
    report = load(folder, until="orders")["orders"]
    reason = "not UTF-8: save the file as UTF-8 or set encoding in muyun.yaml"
    assert (report.accepted, report.reasons) == (3, {reason: 1})
    assert quarantined(lake)[0][0] == 5


def test_a_line_of_many_megabytes_does_not_fill_the_memory(folder, lake, load):
    path = folder / "orders.csv"
    with path.open("ab") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + path.read_bytes().splitlines()[1].replace(b"o1", b"o9") + b"\n")
    add_lines(folder, "o9")
    report = load(folder, until="orders")["orders"]
    assert report.reasons == {f"line longer than {MAX_LINE_BYTES} bytes": 1}
    assert (report.received, report.accepted) == (5, 4)
    ((line, _, value, _),) = quarantined(lake)
    assert line == 5
    assert len(value) == 501


@pytest.mark.parametrize("quote", ["", '"'])
def test_ragged_lines(folder, lake, load, quote):
    path = folder / "orders.csv"
    with path.open("a") as file:
        file.write(f"{quote}o8{quote},c1\n\n{quote}o9{quote}{',x' * 9}\n")
    report = load(folder, until="orders")["orders"]
    assert report.reasons == {"too few fields: 2 instead of 8": 1, "too many fields: 10 instead of 8": 1}
    assert [row[0] for row in quarantined(lake)] == [5, 7]


def test_quoted_fields_with_commas_quotes_and_line_ends(folder, lake, load):
    texts = ["a,b", 'say "x"', "two\nlines", "a gap\n\nof a line", '12" tv', "plain"]
    rows = [{**PRODUCTS[0], "sku_id": f"q{n}", "title": text} for n, text in enumerate(texts)]
    good = [{**row, "launched_on": ""} for row in rows]
    write_csv(folder / "products.csv", [*good, {**PRODUCTS[0], "launched_on": "never"}])
    load(folder, until="products")
    assert lake.read("products").sort("sku_id")["title"].to_list() == texts
    assert quarantined(lake, "products")[0][0] == 11  # the header, six rows, two of them over more lines


def test_a_quote_that_is_never_closed_costs_one_line(folder, lake, load):
    path = folder / "orders.csv"
    lines = path.read_text().splitlines()
    broken = lines[1].replace("o1", "o9").replace("completed", '"open')
    more = [lines[1].replace("o1", f"n{number}") for number in range(MAX_RECORD_LINES + 50)]
    path.write_text("\n".join([*lines, broken, *more]) + "\n")
    add_lines(folder, *(f"n{number}" for number in range(MAX_RECORD_LINES + 50)))
    report = load(folder, until="orders")["orders"]
    assert report.reasons == {"a quote is opened and never closed": 1}
    assert report.accepted == 3 + len(more)
    assert quarantined(lake)[0][0] == 5


def test_bom_crlf_and_header_only(folder, lake, load):
    path = folder / "orders.csv"
    text = path.read_text().replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    header = "touch_id,consumer_id,channel,campaign,occurred_at,extra\n"
    (folder / "touches.csv").write_text(header)
    (folder / "messages.csv").write_bytes(b"")
    reports = load(folder)
    assert reports["orders"].accepted == 3
    assert (reports["touches"].received, reports["touches"].extra_columns) == (0, ("extra",))
    assert reports["touches"].notes == ("touches.csv has no rows",)
    assert reports["messages"].received == 0


def test_extra_columns_are_set_aside_and_reported(folder, lake, load):
    write_csv(folder / "orders.csv", [{**row, "colour": "red", "origin": "made up"} for row in ORDERS])
    report = load(folder, until="orders")["orders"]
    assert report.extra_columns == ("colour", "origin")
    assert set(lake.read("orders")["origin"]) == {"observed"}


def test_a_missing_required_column_quarantines_every_row(folder, lake, load):
    consumer = {
        "registered_at": "2026-01-01", "merchant_id": "m1", "consent_marketing": "yes",
    }  # fmt: skip
    write_csv(folder / "consumers.csv", [{**consumer, "consumer_id": f"c{number}"} for number in (0, 1)])
    reports = load(folder, until="orders")
    assert reports["consumers"].reasons == {"the column is missing from the source": 2}
    assert reports["orders"].reasons == {"its consumer was refused: the column is missing from the source": 3}


def test_missing_required_tables_name_the_files_looked_for(folder, tmp_path):
    (folder / "order_lines.csv").rename(folder / "order_line.csv")
    with pytest.raises(
        SourceError, match=r"order_lines: order_lines.csv or .*match no table: order_line.csv"
    ):
        Files(folder).tables()
    with pytest.raises(SourceError, match="does not exist"):
        Files(tmp_path / "nowhere").tables()


def test_missing_optional_tables_are_reported(folder):
    missing = Files(folder).missing_tables()
    assert "offers" in missing
    assert "consumers" not in missing


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nummer;kunde\n1;2\n", r"no column of the table 'orders'\. Its columns: nummer, kunde\."),
        ("订单,顾客\n1,2\n".encode("gbk"), r"Its columns: 订单, 顾客\..*`columns` of orders in muyun.yaml"),
        (b"order_id,order_id\n1,2\n", "names 'order_id' more than once"),
        (b"\xff\xffo\x00r\x00\n", "first line is longer than 1048576 bytes or not in the encoding"),
        (b"x" * (MAX_LINE_BYTES + 1) + b"\n", "first line is longer than"),
        (b'"order_id\n', "header cannot be read"),
    ],
)
def test_headers_that_cannot_be_read(folder, content, message):
    (folder / "orders.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        list(Files(folder).read("orders"))


def test_json_lines(folder, lake, load):
    (folder / "orders.csv").unlink()
    rows = [
        json.dumps({**row, "freight_cents": 0, "coupon_discount_cents": 0, "nested": {"x": [1]}})
        for row in ORDERS
    ]
    bad = [
        '{"order_id": "x"', "[1]", '{"order_id": NaN}', "\x80",
        '{"order_id": "\\ud800"}', "[" * 5000, json.dumps({**ORDERS[0], "order_id": 7, "freight_cents": 1.5}),
        json.dumps({**ORDERS[0], "order_id": 8, "freight_cents": True}),
    ]  # fmt: skip
    (folder / "orders.jsonl").write_bytes("\n".join([*rows, "", *bad]).encode() + b'\n{"order_id": "\xff"}\n')
    report = load(folder, until="orders")["orders"]
    assert report.accepted == 3
    assert report.extra_columns == ("nested",)
    got = [(line, reason.split(" (")[0]) for line, _, _, reason in quarantined(lake)]
    assert got == [
        (5, "not JSON"), (6, "not a JSON object"), (7, "not JSON"), (8, "not JSON"),
        (9, "not JSON: half of a surrogate pair is no text"),
        (10, "not JSON"),
        (11, "amounts look like yuan: set money: major in muyun.yaml"),
        (12, "not a whole number in range"),
        (13, "not UTF-8: save the file as UTF-8 or set encoding in muyun.yaml"),
    ]  # fmt: skip


def test_json_lines_that_are_all_broken(folder, lake, load):
    (folder / "touches.jsonl").write_text("{\n]\n")
    assert load(folder)["touches"].reasons == {"not JSON": 2}


def test_parquet_parts_in_a_folder_and_a_corrupt_one(folder, lake, load):
    (folder / "orders.csv").unlink()
    part = folder / "orders"
    part.mkdir()
    typed = pl.DataFrame(ORDERS).with_columns(
        pl.col("placed_at").str.to_datetime(time_zone="UTC"),
        pl.col("coupon_discount_cents", "freight_cents").cast(pl.Int32),
        pl.col("channel").cast(pl.Categorical),
    )
    typed.head(2).write_parquet(part / "2026-11-01.parquet")
    twice = pl.concat([typed.tail(2), typed.tail(1)])
    twice.write_parquet(part / "2026-11-02.parquet")
    report = load(folder, until="orders")["orders"]
    assert (report.received, report.accepted, report.current, report.unchanged) == (5, 4, 3, 1)
    row = read_quarantine(lake, "orders").row(0, named=True)
    assert (row["file"], row["line"], row["value"]) == ("orders/2026-11-02.parquet", 3, "o3")
    content = bytearray((part / "2026-11-01.parquet").read_bytes())
    (part / "2026-11-01.parquet").write_bytes(content[:-20])
    with pytest.raises(SourceError, match=r"orders/2026-11-01\.parquet is not a readable Parquet file"):
        list(Files(folder).read("orders"))


def hashes(lake, table):
    return {
        str(path.relative_to(lake.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in lake.accepted_files(table)
    }


@pytest.mark.parametrize("rule", ["event_time", "load_time"])
def test_loading_twice_changes_nothing(folder, lake, load, rule):
    bad = {**ORDERS[0], "order_id": "x", "channel": "phone"}
    write_csv(folder / "orders.csv", [*ORDERS, bad])
    load(folder, received_at_rule=rule)
    before = {table: hashes(lake, table) for table in ("products", "orders", "order_lines", "consumers")}
    load(folder, received_at_rule=rule, loaded_at=LOADED_AT + dt.timedelta(days=1))
    assert before == {table: hashes(lake, table) for table in before}
    assert len(quarantined(lake)) == 1
    expected = LOADED_AT if rule == "load_time" else dt.datetime(2026, 11, 1, 10, tzinfo=dt.UTC)
    assert lake.read("orders")["received_at"].min() == expected


def test_the_fingerprint_follows_content_not_times(folder):
    before = Files(folder).fingerprint()
    (folder / "orders.csv").touch()
    assert Files(folder).fingerprint() == before
    write_csv(folder / "orders.csv", ORDERS[:2])
    assert Files(folder).fingerprint() != before


def test_as_of_is_the_newest_order_that_may_be(folder):
    write_csv(folder / "orders.csv", with_order(placed_at="2099-01-01"))
    assert Files(folder).as_of().year == 2099
    assert Files(folder, not_after=LOADED_AT).as_of() == dt.datetime(2026, 11, 3, 10, tzinfo=dt.UTC)
    write_csv(folder / "orders.csv", [{**ORDERS[0], "placed_at": "never"}])
    with pytest.raises(SourceError, match="no order has a readable placed_at"):
        Files(folder).as_of()
    with pytest.raises(SourceError, match="received_at_rule is 'now'"):
        Files(folder, received_at_rule="now")


def test_products_without_rows_load(folder: Path, lake, load):
    (folder / "products.csv").write_text(",".join(PRODUCTS[0]) + "\n")
    reports = load(folder)
    assert reports["products"].received == 0
    assert reports["order_lines"].reasons == {"unknown key: not in products": 3}
