"""Exports of real shops, each with one fault: the right rows come out, or each is refused with its reason."""

import datetime as dt
import gzip
import io

import polars as pl
import pytest
from fault_rows import refused, write
from feed_folder import LINES, ORDERS, PRODUCTS, add_lines, write_csv
from spreadsheet import write_xlsx

from pipelines.sources.contract import SourceError
from pipelines.sources.files import Files
from pipelines.sources.refused.quarantine import read_quarantine

LOST = "the id went through a float and lost digits; export the column as text"
UNCLEAR = "day and month cannot be told apart: set day_first in muyun.yaml"


def utc(day, hour=10, minute=0, second=0):
    return dt.datetime(2026, 11, day, hour, minute, second, tzinfo=dt.UTC)


def with_times(*texts):
    return [{**ORDERS[0], "order_id": f"x{n}", "placed_at": text} for n, text in enumerate(texts)]


def placed(lake):
    return lake.read("orders").sort("order_id")["placed_at"].to_list()


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
