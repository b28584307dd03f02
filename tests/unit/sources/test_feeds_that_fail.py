"""Exports of real shops, each with one fault: the right rows come out, or each is refused with its reason."""

import datetime as dt
import gzip
import io

import polars as pl
import pytest
from feed_folder import AS_OF, LINES, LOADED_AT, ORDERS, PRODUCTS, add_lines, write_csv
from spreadsheet import write_xlsx

from pipelines.sources.contract import SourceError
from pipelines.sources.files import Files
from pipelines.sources.ingest import ingest
from pipelines.sources.quarantine import read_quarantine

SHANGHAI = "Asia/Shanghai"
LOST = "the id went through a float and lost digits; export the column as text"
YUAN = "amounts look like yuan: set money: major in muyun.yaml"
UNCLEAR = "day and month cannot be told apart: set day_first in muyun.yaml"


@pytest.fixture
def loaded(folder, lake):
    """Loads the folder in a zone, up to a table; gives the report of that table."""

    def run(until="order_lines", zone=SHANGHAI):
        source = Files(folder, time_zone=zone)
        for table in source.tables():
            report = ingest(source, table, lake, as_of=AS_OF, window=None, loaded_at=LOADED_AT)
            assert report.received == report.accepted + report.quarantined
            assert lake.read(table).height == report.accepted
            if table == until:
                return report
        raise AssertionError(until)

    return run


def utc(day, hour=10, minute=0, second=0):
    return dt.datetime(2026, 11, day, hour, minute, second, tzinfo=dt.UTC)


def write(folder, table, rows):
    """Writes a table; each order has a line, without which it would be refused."""
    if table == "orders":
        add_lines(folder, *(row["order_id"] for row in rows))
    return write_csv(folder / f"{table}.csv", rows)


def with_times(*texts):
    return [{**ORDERS[0], "order_id": f"x{n}", "placed_at": text} for n, text in enumerate(texts)]


def lines_with(column, *texts):
    zero = {"list_price_cents": "0", "promo_discount_cents": "0", "net_paid_cents": "0"}
    return [{**LINES[0], **zero, "line_no": str(n), column: text} for n, text in enumerate(texts, 1)]


def placed(lake):
    return lake.read("orders").sort("order_id")["placed_at"].to_list()


def refused(lake, table):
    """Value and reason of what was refused, by line."""
    return read_quarantine(lake, table).sort("line").select("value", "reason").rows()


def test_excel_dates_beside_dates_that_could_be_two_days(folder, lake, loaded):
    write(folder, "orders", with_times("46327.416666667", "2026/11/2 10:00", "02/11/2026 10:00:00"))
    assert loaded("orders").reasons == {UNCLEAR: 1}
    assert placed(lake) == [utc(1, 2), utc(2, 2)]
    assert refused(lake, "orders") == [("02/11/2026 10:00:00", UNCLEAR)]


@pytest.mark.parametrize(
    ("document", "other", "expected"),
    [
        ("day_first: true\n", "03/11/2026", utc(2, 2)),
        ("orders:\n  day_first: false\n", "11/03/2026", dt.datetime(2026, 2, 11, 2, tzinfo=dt.UTC)),
        (None, "31/10/2026", utc(2, 2)),
        (None, "10/31/2026", dt.datetime(2026, 2, 11, 2, tzinfo=dt.UTC)),
    ],
)
def test_the_owner_or_another_value_tells_the_order_of_day_and_month(
    folder, lake, loaded, document, other, expected
):
    write(folder, "orders", with_times("02/11/2026 10:00:00", other))
    if document:
        (folder / "muyun.yaml").write_text(document)
    assert loaded("orders").quarantined == 0
    assert placed(lake)[0] == expected


def test_the_last_value_of_a_long_file_tells_for_the_first(folder, lake, loaded, monkeypatch):
    monkeypatch.setattr("pipelines.sources.files.lines._BLOCK_BYTES", 200)
    write(folder, "orders", with_times(*["02/11/2026"] * 30, "30/10/2026"))
    assert loaded("orders").accepted == 31
    assert set(placed(lake)) == {utc(1, 16), dt.datetime(2026, 10, 29, 16, tzinfo=dt.UTC)}


def test_a_merchant_with_a_zone_of_its_own_reads_the_order_of_day_and_month_too(folder, lake, loaded):
    rows = with_times("02/11/2026 10:00", "31/10/2026 10:00", "2/11/2026 10:00")
    write(folder, "orders", [*rows[:2], {**rows[2], "merchant_id": "m2"}])
    (folder / "muyun.yaml").write_text("time_zones: {m1: Europe/London}\n")
    assert loaded("orders").reasons == {}
    assert placed(lake) == [utc(2), dt.datetime(2026, 10, 31, 10, tzinfo=dt.UTC), utc(2, 2)]


def test_two_files_with_different_orders_of_day_and_month(folder, lake, loaded):
    (folder / "orders.csv").unlink()
    (folder / "orders").mkdir()
    write_csv(folder / "orders" / "a.csv", with_times("05/11/2026", "31/10/2026"))
    rows = [{**row, "order_id": f"y{n}"} for n, row in enumerate(with_times("11/05/2026", "10/31/2026"))]
    write_csv(folder / "orders" / "b.csv", rows)
    add_lines(folder, "x0", "x1", "y0", "y1")
    assert loaded("orders").accepted == 4
    assert placed(lake)[0] == placed(lake)[2] == utc(4, 16)


def test_values_that_contradict_each_other_tell_nothing(folder, lake, loaded):
    write(folder, "orders", with_times("02/11/2026", "31/10/2026", "10/31/2026", "10/10/2026"))
    assert loaded("orders").reasons == {UNCLEAR: 1}


def test_times_of_every_kind_in_one_column(folder, lake, loaded):
    texts = {
        "2026-11-01 23:30:00+08": utc(1, 15, 30), "2026-11-01T23:30:00+08:00": utc(1, 15, 30),
        "2026-11-01 23:30:00 +0800": utc(1, 15, 30), "2026-11-01T23:30:00Z": utc(1, 23, 30),
        "2026-11-01 23:30:00": utc(1, 15, 30), "2026年11月1日": dt.datetime(2026, 10, 31, 16, tzinfo=dt.UTC),
        "2026年11月1日 09:05:30": utc(1, 1, 5, 30), "２０２６/１１/１ ９：０５": utc(1, 1, 5),
        "1793520000": dt.datetime.fromtimestamp(1793520000, dt.UTC), "1793520000000": utc(1, 8),
        "20261101": dt.datetime(2026, 10, 31, 16, tzinfo=dt.UTC), "2026-11-01 下午3:05": utc(1, 7, 5),
        "Sun Nov 01 2026 10:00:00 GMT+0800 (China Standard Time)": utc(1, 2),
        "Sun Nov  1 10:00:00 2026": utc(1, 2), "46327,416666667": utc(1, 2),
        "2026-11-01T10:00:00+08:00[Asia/Shanghai]": utc(1, 2),
        "2026/11/1 3:05 PM": utc(1, 7, 5), "1 Nov 2026 15:05": utc(1, 7, 5),
        "46327": dt.datetime(2026, 10, 31, 16, tzinfo=dt.UTC),
    }  # fmt: skip
    write(folder, "orders", with_times(*texts))
    assert loaded("orders").reasons == {}
    rows = lake.read("orders")
    got = dict(zip(rows["order_id"], rows["placed_at"], strict=True))
    assert [got[f"x{n}"] for n in range(len(texts))] == list(texts.values())


def test_the_local_evening_is_no_future(folder, lake, loaded):
    write(folder, "orders", with_times("2026-11-10 07:30:00"))
    assert loaded("orders").accepted == 1
    assert placed(lake) == [utc(9, 23, 30)]
    assert loaded("orders", zone="UTC").reasons == {"in the future": 1}


def test_daylight_saving_of_the_zone(folder, lake, loaded):
    write(
        folder, "orders", with_times("2026-07-01 12:00", "2026-10-25 01:30", "2026-03-29 01:30", "2026-01-01")
    )
    report = loaded("orders", zone="Europe/London")
    assert placed(lake) == [
        dt.datetime(2026, 7, 1, 11, tzinfo=dt.UTC), dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    ]  # fmt: skip
    assert "placed_at: local times that happen twice: the first is taken (1)" in report.notes
    assert "placed_at: local times that clocks skip: moved forward (1)" in report.notes


@pytest.mark.parametrize(
    "text",
    ["1970-01-01T00:00:00Z", "1970-01-01 08:00:00", "0001-01-01T00:00:00Z", "1900-01-01 00:00:00",
     "0000-00-00 00:00:00", "1899-12-30", "0", "1"],
)  # fmt: skip
def test_an_unset_clock_is_refused_and_moves_nothing(folder, lake, loaded, text):
    write(folder, "orders", [*ORDERS, *with_times(text)])
    report = loaded("orders")
    assert (report.accepted, report.quarantined) == (3, 1)
    assert Files(folder).history()[0] == utc(1)


def test_gbk_text(folder, lake, loaded):
    (folder / "products.csv").write_bytes(
        "sku_id,title,category_id\na,苹果,水果\nb,面包,烘焙\n".encode("gbk")
    )
    assert loaded("products").accepted == 2
    assert set(lake.read("products")["title"]) == {"苹果", "面包"}
    assert set(lake.read("categories")["category_id"]) == {"水果", "烘焙"}


def test_a_gbk_header_is_named_and_can_be_mapped(folder, lake, loaded):
    (folder / "products.csv").write_bytes("商品编号,标题,类目\na,苹果,水果\n".encode("gbk"))
    with pytest.raises(SourceError, match="Its columns: 商品编号, 标题, 类目"):
        loaded("products")
    (folder / "muyun.yaml").write_text(
        "products:\n  columns: {sku_id: 商品编号, title: 标题, category_id: 类目}\n", encoding="utf-8"
    )
    assert loaded("products").accepted == 1
    assert lake.read("products")["title"].to_list() == ["苹果"]


@pytest.mark.parametrize(
    "guard",
    [
        "{}",
        "'{}",
        '="{}"',
        '"{}"',
        "\t{}",
        "{}\t",
        "\u200b{}",
        "{}\u00a0",
        "“{}”",
        "\ufeff{}",
        "‘{}’",
        ' "{}" ',
    ],
)
def test_ids_keep_their_zeros_and_lose_their_guards(folder, lake, loaded, guard):
    names = ["0001", "0002", "0010"]
    write(
        folder, "orders", [{**row, "order_id": guard.format(n)} for row, n in zip(ORDERS, names, strict=True)]
    )
    write(folder, "order_lines", [{**row, "order_id": n} for row, n in zip(LINES, names, strict=True)])
    assert loaded().accepted == 3
    assert sorted(lake.read("orders")["order_id"]) == names


@pytest.mark.parametrize(
    "text", ["1.23E+17", "1.23e+17", "1.23e17", "1,23E+17", "123e15", "1E+05", "9.00719925474099E+15"]
)
def test_two_orders_never_become_one(folder, lake, loaded, text):
    rows = [{**ORDERS[0], "order_id": text}, {**ORDERS[1], "order_id": text}]
    write(folder, "orders", rows)
    write(folder, "order_lines", [{**row, "order_id": text} for row in LINES[:2]])
    assert loaded().reasons == {LOST: 2}
    assert read_quarantine(lake, "orders")["reason"].to_list() == [LOST] * 2


def test_codes_that_only_look_like_an_exponent_stay(folder, lake, loaded):
    names = ["2E5", "12E5", "E10", "1.2", "5e", "1-2E+3"]
    write(folder, "products", [{**PRODUCTS[0], "sku_id": name} for name in names])
    assert loaded("products").accepted == 6
    assert sorted(lake.read("products")["sku_id"]) == sorted(names)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
def test_float_ids_of_typed_files(folder, lake, loaded, dtype):
    ids = [1.2345678901234568e17, 1.2345678901234568e17, 3.0]
    (folder / "orders.csv").unlink()
    frame = pl.DataFrame(ORDERS).with_columns(pl.Series("order_id", ids, dtype=dtype))
    frame.write_parquet(folder / "orders.parquet")
    add_lines(folder, "3")
    assert loaded("orders").reasons == {LOST: 2}
    assert lake.read("orders")["order_id"].to_list() == ["3"]


def test_guests_turn_ids_into_floats_in_a_data_frame(folder, lake, loaded):
    rows = [
        {**row, "merchant_id": f"{number}.0"}
        for row, number in zip(ORDERS, (17, 18, 9007199254740993), strict=True)
    ]
    write(folder, "orders", rows)
    assert loaded("orders").reasons == {LOST: 1}
    assert sorted(lake.read("orders")["merchant_id"]) == ["17", "18"]


MINOR = {
    "1234": 1234, "１２３４": 1234, "1234\u00a0": 1234, " 1234 ": 1234, "+5": 5, "12.0": 12, "5分": 5,
    "1,234": 1234,
    "1,234,567": 1234567, "12 fen": 12, "12,34,567": 1234567,
}  # fmt: skip


def test_amounts_in_fen(folder, lake, loaded):
    write(folder, "order_lines", lines_with("list_price_cents", *MINOR))
    assert loaded().reasons == {}
    assert lake.read("order_lines").sort("line_no")["list_price_cents"].to_list() == list(MINOR.values())


@pytest.mark.parametrize(
    "text", ["12.34", "￥12.00", "¥12", "12元", "CNY 5.10", "$5", "0.5", "1.234,50", "12,34"]
)
def test_yuan_in_a_column_of_fen_are_refused_with_the_remedy(folder, lake, loaded, text):
    write(folder, "order_lines", [*LINES, *lines_with("list_price_cents", "7", text)[1:]])
    assert loaded().reasons == {YUAN: 1}
    assert refused(lake, "order_lines") == [(text, YUAN)]


def test_amounts_with_two_decimals_are_fen_only_where_no_other_is_yuan(folder, lake, loaded):
    write(folder, "order_lines", lines_with("list_price_cents", "1,234.00", "500.00", "7"))
    assert loaded().reasons == {}
    assert lake.read("order_lines").sort("line_no")["list_price_cents"].to_list() == [1234, 500, 7]
    write(folder, "order_lines", lines_with("list_price_cents", "1,234.00", "500.00", "7", "0.99"))
    assert loaded().reasons == {YUAN: 3}
    assert lake.read("order_lines")["list_price_cents"].to_list() == [7]


def test_a_column_full_of_decimals_is_yuan_throughout(folder, lake, loaded):
    write(folder, "order_lines", lines_with("list_price_cents", "12.5", "8.25", "5", "0.99", "12"))
    assert loaded().reasons == {YUAN: 5}


MAJOR = {
    "1,234.00": 123400, "￥12.00": 1200, "12.34": 1234, "１２．３４": 1234,
    "1.234,56": 123456, "1 234,50": 123450,
    "1'234.50": 123450, "12,34": 1234, "5.10元整": 510, "CNY 5.1": 510, "5": 500, "0.30000000000000004": 30,
    "12.299999999999999": 1230, ".5": 50, "￥1,234,567.89": 123456789, "1.234.567,89": 123456789,
}  # fmt: skip


def test_amounts_in_yuan(folder, lake, loaded):
    (folder / "muyun.yaml").write_text("money: major\n")
    write(folder, "order_lines", lines_with("list_price_cents", *MAJOR))
    assert loaded().reasons == {}
    assert lake.read("order_lines").sort("line_no")["list_price_cents"].to_list() == list(MAJOR.values())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12.345", "more than 2 decimals in an amount of money"), ("5分", "not an amount of money"),
        ("1e3", "not an amount of money"), ("0x10", "not an amount of money"),
        ("1_000", "not an amount of money"), ("--5", "not an amount of money"),
        ("12,34,56", "not an amount of money"), ("1.2.3", "not an amount of money"), ("-", "missing value"),
        ("NULL", "missing value"), ("nan", "missing value"), ("#N/A", "missing value"),
    ],
)  # fmt: skip
def test_what_is_no_amount(folder, lake, loaded, text, reason):
    (folder / "muyun.yaml").write_text("money: major\n")
    write(folder, "order_lines", lines_with("list_price_cents", "12.00", text))
    assert loaded().reasons == {reason: 1}


@pytest.mark.parametrize("money", ["minor", "major"])
@pytest.mark.parametrize(
    "text",
    ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "92233720368547758",
     "10000000000001",
     "99999999999999999999999999999999999999999"],
)  # fmt: skip
def test_amounts_near_the_end_of_what_fits_neither_wrap_nor_pass(folder, lake, loaded, text, money):
    (folder / "muyun.yaml").write_text(f"money: {money}\n")
    write(folder, "order_lines", lines_with("list_price_cents", "7", text))
    report = loaded()
    assert (report.accepted, report.quarantined) == (1, 1)
    assert text in read_quarantine(lake, "order_lines")["row_json"][0]


QUANTITIES = {
    "１": 1000, "1.5": 1500, "0.250": 250, "1,000": 1_000_000, "2 件": 2000, "1.000": 1000,
    "0.30000000000000004": 300, "2.4499999999999997": 2450, "9": 9000,
}  # fmt: skip


def test_quantities_with_decimals_and_units(folder, lake, loaded):
    write(folder, "order_lines", lines_with("qty", *QUANTITIES))
    assert loaded().reasons == {}
    assert lake.read("order_lines").sort("line_no")["qty_milli"].to_list() == list(QUANTITIES.values())


def test_quantities_that_cannot_be_told(folder, lake, loaded):
    texts = ["1.2345", "1e3", "500ml*2", "half", "-"]
    write(folder, "order_lines", lines_with("qty", "1", *texts))
    assert loaded().accepted == 1
    assert [reason for _, reason in refused(lake, "order_lines")] == [
        "more than 3 decimals in a quantity", "not a quantity", "not a quantity", "not a quantity",
        "missing value",
    ]  # fmt: skip


def test_units_that_differ_are_not_added_up(folder, lake, loaded):
    write(folder, "order_lines", lines_with("qty", "1.5kg", "500g", "2 公斤"))
    reason = "units differ in one column (g, kg, 公斤): convert all to the unit of sale"
    assert loaded().reasons == {reason: 3}
    write(folder, "order_lines", lines_with("qty", "1.5kg", "2 kg", "3"))
    assert loaded().accepted == 3


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("order_id", "a\x00b"),
        ("order_id", "a\x07"),
        ("order_id", "a\x7fb"),
        ("order_id", "a\tb"),
        ("agent_id", "\x00"),
    ],
)
def test_control_characters_in_ids_are_refused(folder, lake, loaded, column, text):
    rows = [*ORDERS, {**ORDERS[0], "order_id": "x", column: text}]
    write(folder, "orders", [{"agent_id": "", **row} for row in rows])
    assert loaded("orders").reasons == {
        "a control character (such as NUL) in the text; remove it at the source": 1
    }


def test_control_characters_in_texts_of_any_kind_of_file(folder, lake, loaded):
    (folder / "products.csv").unlink()
    rows = [*PRODUCTS, {**PRODUCTS[0], "sku_id": "c", "title": "a\x00"}, {**PRODUCTS[0], "sku_id": "d\x00"}]
    pl.DataFrame(rows).write_parquet(folder / "products.parquet")
    report = loaded("products")
    assert (report.accepted, report.quarantined) == (2, 2)
    assert set(lake.read("products")["title"]) == {"Apple", "Bread"}


def test_compressed_and_mixed_files_of_a_table(folder, lake, loaded):
    (folder / "orders.csv").unlink()
    parts = folder / "orders"
    parts.mkdir()
    out = [write_csv(parts / f"2026-11-0{n}.csv", [row]).read_bytes() for n, row in enumerate(ORDERS, 1)]
    (parts / "2026-11-02.csv").rename(parts / "2026-11-02.CSV")
    (parts / "2026-11-03.csv").unlink()
    (parts / "2026-11-03.csv.gz").write_bytes(gzip.compress(out[2]))
    write_xlsx(parts / "2026-11-04.xlsx", {"a": [list(ORDERS[0]), [*["o4", *list(ORDERS[0].values())[1:]]]]})
    pl.DataFrame([{**ORDERS[0], "order_id": "o5"}]).write_parquet(parts / "2026-11-05.parquet")
    add_lines(folder, "o4", "o5")
    assert loaded("orders").accepted == 5
    assert sorted(lake.read("orders")["order_id"]) == ["o1", "o2", "o3", "o4", "o5"]
    (parts / "2026-11-05.xlsx").write_text("PK")
    with pytest.raises(SourceError, match=r"orders/2026-11-05.xlsx is not a readable spreadsheet"):
        loaded("orders")


def test_a_broken_spreadsheet_of_any_kind_is_named(folder, loaded):
    good = write_xlsx(folder / "orders.xlsx", {"a": [list(ORDERS[0])]}).read_bytes()
    (folder / "orders.csv").unlink()
    empty = io.BytesIO()
    for content in (
        b"PK",
        b"x",
        good[:300],
        good[:-40],
        empty.getvalue() + b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ):
        (folder / "orders.xlsx").write_bytes(content)
        with pytest.raises(SourceError, match=r"orders\.xlsx is not a readable spreadsheet .* save it again"):
            loaded("orders")
