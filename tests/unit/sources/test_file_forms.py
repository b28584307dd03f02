"""Files as programs export them: whatever their form, the same rows come out, or the form is named."""

import codecs
import csv
import datetime as dt
import gzip
import io
import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from feed_folder import LINES, ORDERS, PRODUCTS, add_lines, write_csv
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spreadsheet import write_xlsx

from pipelines.sources.contract import SourceError
from pipelines.sources.files import Dialect, Files, sniff
from pipelines.sources.refused.quarantine import read_quarantine

TIMES = [dt.datetime(2026, 11, day, 10, tzinfo=dt.UTC) for day in (1, 2, 3)]
CHINESE = [{**row, "title": title} for row, title in zip(PRODUCTS, ("红富士苹果", "全麦面包"), strict=True)]


def text_of(rows, delimiter=",", end="\n", before="", after=""):
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return before + out.getvalue() + after


def replaced(folder, name, content):
    """The folder with another file in place of the orders."""
    (folder / "orders.csv").unlink()
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def orders_of(lake):
    rows = lake.read("orders").sort("order_id")
    assert rows["placed_at"].to_list() == TIMES
    assert rows["consumer_id"].to_list() == ["c1", "c0", "c1"]
    return rows["order_id"].to_list()


CRLF = text_of(ORDERS, end="\r\n")
FORMS = {
    "orders.CSV": CRLF,
    "ORDERS.csv": CRLF,
    "Orders.Csv.GZ": gzip.compress(CRLF.encode()),
    "orders/2026-11.csv.gz": gzip.compress(CRLF.encode()),
    "orders/packed-without-suffix.csv": gzip.compress(CRLF.encode()),
    "orders.tsv": text_of(ORDERS, "\t"),
    "orders.txt": text_of(ORDERS, "|"),
    "orders/semicolon.csv": text_of(ORDERS, ";"),
    "orders/cr.csv": text_of(ORDERS, end="\r"),
    "orders/mixed-ends.csv": text_of(ORDERS, end="\r") + "\n",
    "orders/bom.csv": codecs.BOM_UTF8 + CRLF.encode(),
    "orders/utf16le.csv": codecs.BOM_UTF16_LE + CRLF.encode("utf-16-le"),
    "orders/utf16be.csv": codecs.BOM_UTF16_BE + text_of(ORDERS, "\t").encode("utf-16-be"),
    "orders/utf16-without-mark.csv": CRLF.encode("utf-16-le"),
    "orders/utf32.csv": codecs.BOM_UTF32_LE + CRLF.encode("utf-32-le"),
    "orders/preamble.csv": text_of(ORDERS, before="导出时间：2026-11-10\n共3条\n\n"),
    "orders/wide-preamble.csv": text_of(ORDERS, before="订单导出,,,,,,,\n时间,2026-11-10,,,,,,\n"),
    "orders/preamble-with-commas.csv": text_of(ORDERS, ";", before="Report, made by hand, page 1, of 1\n"),
    "orders/sep.csv": text_of(ORDERS, ";", before="sep=;\n"),
    "orders/blank-lines.csv": CRLF.replace("\r\n", "\r\n\r\n,,,,,,,\r\n   \r\n"),
    "orders/empty-ends.csv": CRLF.replace("\r\n", ",,\r\n"),
    "orders/empty-ends-of-rows.csv": CRLF.replace("\r\n", ", ,\r\n").replace(", ,\r\n", "\r\n", 1),
    "orders/all-quoted.csv": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in CRLF.splitlines()
    ),
    "orders/header-in-capitals.csv": CRLF.replace(
        CRLF.splitlines()[0], CRLF.splitlines()[0].upper().replace("_", " ")
    ),
    "orders/guarded-header.csv": "\u200b" + CRLF.replace("order_id", " order_id\u00a0", 1),
    "orders.json": json.dumps(ORDERS, indent=1),
    "orders/one-line.json": json.dumps(ORDERS),
    "orders/wrapped.json": json.dumps({"code": 0, "data": ORDERS}, indent=2),
    "orders/lines.json": "\n".join(map(json.dumps, ORDERS)),
    "orders/array.jsonl": json.dumps(ORDERS),
    "orders.ndjson": "\r\n".join(map(json.dumps, ORDERS)),
    "orders/bom.jsonl": codecs.BOM_UTF8 + "\n".join(map(json.dumps, ORDERS)).encode(),
    "orders/utf16.json": codecs.BOM_UTF16_LE + json.dumps(ORDERS).encode("utf-16-le"),
    "orders/text-under-the-name-of-a-spreadsheet.xls": text_of(ORDERS, "\t"),
    "orders/utf16-under-the-name-of-a-spreadsheet.xls": codecs.BOM_UTF16_LE
    + text_of(ORDERS, "\t").encode("utf-16-le"),
    "orders/json.txt": json.dumps(ORDERS, indent=2),
    "orders/joined-with-marks.csv": codecs.BOM_UTF8
    + text_of(ORDERS[:2]).encode()
    + codecs.BOM_UTF8
    + text_of(ORDERS[2:]).split("\n", 1)[1].encode(),
    "orders/end-of-file-mark.csv": CRLF + "\x1a",
    "orders/x.jsonl.gz": gzip.compress("\n".join(map(json.dumps, ORDERS)).encode()),
}


def test_lines_before_the_header_are_shown(folder, load):
    replaced(folder, "orders.csv", FORMS["orders/preamble.csv"])
    report = load(folder, until="orders")["orders"]
    assert "orders.csv: 2 lines before the header left out: '导出时间：2026-11-10', '共3条'" in report.notes


@pytest.mark.parametrize("name", FORMS)
def test_the_same_rows_come_out_of_every_form(folder, lake, load, name):
    report = load(replaced(folder, name, FORMS[name]), until="orders")["orders"]
    assert (report.received, report.accepted) == (3, 3)
    assert orders_of(lake) == ["o1", "o2", "o3"]


@pytest.mark.parametrize("name", ["orders.PARQUET", "orders/x.parquet", "orders/x.parquet.gz"])
def test_parquet_under_any_name(folder, lake, load, name):
    out = io.BytesIO()
    pl.DataFrame(ORDERS).write_parquet(out)
    content = gzip.compress(out.getvalue()) if name.endswith("gz") else out.getvalue()
    assert load(replaced(folder, name, content), until="orders")["orders"].accepted == 3
    assert orders_of(lake) == ["o1", "o2", "o3"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "gbk", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_chinese_text_in_any_encoding(folder, lake, load, encoding, delimiter):
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    (folder / "products.csv").write_bytes(mark + text_of(CHINESE, delimiter).encode(encoding))
    report = load(folder, until="products")["products"]
    assert lake.read("products").sort("sku_id")["title"].to_list() == ["红富士苹果", "全麦面包"]
    expected = {"utf-8": None, "gbk": "gb18030"}.get(encoding, encoding)
    assert [note for note in report.notes if "read as" in note] == (
        [f"products.csv: read as {expected}"] if expected else []
    )


def test_chinese_that_begins_late_in_a_long_file(folder, lake, load):
    rows = [{**PRODUCTS[0], "sku_id": f"s{number}"} for number in range(200_000)]
    (folder / "products.csv").write_bytes(text_of([*rows, *CHINESE]).encode("gbk"))
    load(folder, until="products")
    assert "全麦面包" in lake.read("products")["title"]


def test_western_text_is_never_read_as_chinese(folder, lake, load):
    rows = [
        {**PRODUCTS[0], "sku_id": f"s{n}", "title": title} for n, title in enumerate(("Müller", "Café é"))
    ]
    (folder / "products.csv").write_bytes(text_of([*rows, PRODUCTS[1]]).encode("cp1252"))
    report = load(folder, until="products")["products"]
    assert (report.accepted, report.quarantined) == (1, 2)
    assert all(
        reason.startswith("not UTF-8: save the file as UTF-8 or set encoding") for reason in report.reasons
    )
    (folder / "muyun.yaml").write_text("products:\n  encoding: cp1252\n")
    load(folder, until="products")
    assert set(lake.read("products")["title"]) == {"Müller", "Café é", "Bread"}


def test_one_broken_line_of_a_chinese_file_is_refused_alone(folder, lake, load):
    content = text_of([*CHINESE, {**CHINESE[0], "sku_id": "c"}]).encode("gbk")
    (folder / "products.csv").write_bytes(content + b"d,\xff\xff,fruit,2026-01-01\n")
    report = load(folder, until="products")["products"]
    assert (report.accepted, report.quarantined) == (3, 1)
    assert read_quarantine(lake, "products")["line"].to_list() == [5]


def test_half_a_pair_in_utf16_is_refused(folder, lake, load):
    text = text_of(ORDERS) + "o4,c1,m1,store,2026-11-03T10:00:00Z,\ud83d,0,0\n"
    content = codecs.BOM_UTF16_LE + text.encode("utf-16-le", "surrogatepass")
    report = load(replaced(folder, "orders.csv", content), until="orders")["orders"]
    assert (report.accepted, report.quarantined) == (3, 1)


@pytest.mark.parametrize(
    "total",
    [
        "合计,,,6,1500,300,1200", "总计：,,,6,1500,300,1200", "小计,,,6,1500,300,1200",
        "Total,,,6,1500,300,1200",
        "GRAND TOTAL,,,6,1500,300,1200", "Grand total:,,,6,,,", "Sum,,,,,,1200", " 合 计 ,,,6,1500,300,1200",
        ",,合计,6,1500,300,1200", "本页合计,,,6,1500,300,1200", "Subtotal,,,6,1500,300,1200", "合计,6",
        "共3条,,,,,,", "Total (3 rows),,,6,1500,300,1200", '"合计",,,6,"1,500",300,1200',
    ],
)  # fmt: skip
@pytest.mark.parametrize("again", [False, True])
def test_a_total_row_is_no_row(folder, lake, load, total, again):
    rows = text_of(LINES).splitlines()
    lines = [rows[0], total, *rows[1:]] if again else [*rows, total]
    (folder / "order_lines.csv").write_text("\n".join(lines) + "\n")
    report = load(folder)["order_lines"]
    assert (report.received, report.accepted, report.quarantined) == (4, 3, 1)
    (reason,) = report.reasons
    assert reason.startswith("a total row")
    assert lake.read("order_lines")["net_paid_cents"].sum() == 1200
    row = read_quarantine(lake, "order_lines").row(0, named=True)
    assert row["line"] == (2 if again else 5)


def test_goods_and_orders_that_are_called_total_stay(folder, lake, load):
    write_csv(folder / "products.csv", [*PRODUCTS, {**PRODUCTS[0], "sku_id": "Total", "title": "Total 0%"}])
    write_csv(folder / "orders.csv", [*ORDERS, {**ORDERS[0], "order_id": "合计"}])
    add_lines(folder, "合计")
    reports = load(folder, until="orders")
    assert (reports["products"].accepted, reports["orders"].accepted) == (3, 4)


def test_a_header_in_the_middle_is_told_from_a_row(folder, lake, load):
    header, *rows = text_of(ORDERS).splitlines()
    quoted = f'"{header}"'.replace(",", '","')
    for again in (header, quoted):
        joined = [header, rows[0], again, *rows[1:]]
        (folder / "orders.csv").write_text("\n".join(joined) + "\n")
        report = load(folder, until="orders")["orders"]
        assert (report.accepted, report.reasons) == (3, {"the header again: files were joined": 1})
        assert read_quarantine(lake, "orders")["line"].to_list() == [3]


def test_a_column_without_a_name_is_set_aside_or_dropped_when_empty(folder, lake, load):
    lines = text_of(ORDERS).splitlines()
    (folder / "orders.csv").write_text(
        "\n".join([f",{lines[0]}", *(f"{n},{line}" for n, line in enumerate(lines[1:]))])
    )
    report = load(folder, until="orders")["orders"]
    assert (report.accepted, report.extra_columns) == (3, ("column 1",))


def test_a_value_too_many_is_not_an_empty_end(folder, lake, load):
    text = text_of(ORDERS).replace("\n", ",\n") + "o4,c1,m1,store,2026-11-03T10:00:00Z,completed,0,0,9\n"
    (folder / "orders.csv").write_text(text.replace(",\n", "\n", 1))
    report = load(folder, until="orders")["orders"]
    assert (report.accepted, report.reasons) == (3, {"too many fields: 9 instead of 8": 1})


@pytest.mark.parametrize(
    "name",
    [".orders.csv", ".~lock.orders.csv#", "~$orders.xlsx", "orders.csv.crdownload", "orders.csv.part",
     "orders.csv~", "orders/.hidden.csv", "orders/.DS_Store", "orders/Thumbs.db", "orders/~$x.xlsx",
     "orders/x.csv.tmp",
     "orders/__MACOSX/x.csv", "orders/notes.docx", "orders/README", "orders/desktop.ini"],
)  # fmt: skip
def test_what_is_not_read_is_named(folder, lake, load, name):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("x,y\n1,2\n")
    report = load(folder, until="orders")["orders"]
    assert report.accepted == 3
    (note,) = [note for note in report.notes if "not read" in note or "match no table" in note]
    assert name in note


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("orders/2026.zip", r"orders/2026\.zip is packed \(\.zip\); unpack it"),
        ("orders/2026.7z", "is packed"),
        ("orders.zip", r"orders\.zip is packed"),
        ("Orders.sqlite", "no kind of file that can be read"),
        ("orders/2026.sqlite", "no kind of file that can be read; export it as one of"),
        ("orders/2026.xml", "no kind of file that can be read"),
        (
            "orders/2026.xlsx",
            r"orders/2026\.xlsx is not a readable spreadsheet .*save it again as \.xlsx or \.csv",
        ),
        ("orders/2026.parquet", "is not a readable Parquet file"),
        ("orders/2026.csv.gz", None),
        ("orders/2026.json", "not JSON"),
    ],
)
def test_data_that_cannot_be_read_is_an_error_with_a_remedy(folder, name, message):
    (folder / "orders").mkdir()
    content = (
        gzip.compress(text_of(ORDERS).encode())[:-9]
        if message is None
        else b'[{"x": 1},'
        if "json" in name
        else b"PK"
    )
    (folder / name).write_bytes(content)
    message = message or "is a damaged gzip file .*; pack or download it again"
    message = "breaks off in line 1" if "json" in name else message
    with pytest.raises(SourceError, match=message):
        list(Files(folder).read("orders"))


def test_a_table_in_several_places_is_read_together(folder, lake, load):
    (folder / "orders").mkdir()
    write_csv(folder / "orders" / "b.csv", [{**ORDERS[0], "order_id": "o4"}])
    (folder / "orders.json").write_text(json.dumps([{**ORDERS[0], "order_id": "o5"}]))
    add_lines(folder, "o4", "o5")
    report = load(folder, until="orders")["orders"]
    assert report.accepted == 5
    assert "the table lies in 3 files, read together: orders.csv, orders.json, orders/b.csv" in report.notes


def test_files_at_tables_that_are_not_read_and_in_other_folders_are_named(folder, lake, load):
    for name in ("offers/.DS_Store", "archive/2025/old.csv", "archive/x.txt"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("x")
    notes = load(folder, until="orders")["orders"].notes
    assert "files not read: offers/.DS_Store (left behind by the system)" in notes
    assert "files that match no table: archive/2025/old.csv, archive/x.txt" in notes


def test_the_files_that_the_owner_names_are_read_and_the_others_named(folder, lake, load):
    (folder / "orders").mkdir()
    write_csv(folder / "orders" / "a.csv", ORDERS)
    write_csv(folder / "orders" / "b.csv", ORDERS)
    (folder / "muyun.yaml").write_text("orders:\n  file: orders/a.csv\n")
    report = load(folder, until="orders")["orders"]
    assert (report.received, report.accepted) == (3, 3)
    why = "(muyun.yaml names other files)"
    assert f"files not read: orders.csv {why}, orders/b.csv {why}" in report.notes


def test_a_link_that_leads_nowhere_is_an_error(folder):
    (folder / "orders").mkdir()
    (folder / "orders" / "x.csv").symlink_to(folder / "gone.csv")
    with pytest.raises(SourceError, match=r"orders/x\.csv is no file, or a link that leads nowhere"):
        Files(folder).tables()


@pytest.mark.parametrize(
    "content", ['[{"a": 1}]\n[{"a": 2}]', '[{"a": 1}] x', '[{"a": 1} {"a": 2}]', '[{"a": NaN}]']
)
def test_nothing_after_or_between_the_rows_of_an_array_is_lost(folder, content):
    replaced(folder, "orders.json", content)
    with pytest.raises(SourceError, match=r"orders\.json is a JSON array that breaks off in line"):
        list(Files(folder).read("orders"))


@pytest.mark.parametrize("encoding", ["big5", "shift_jis", "cp1251"])
def test_other_encodings_are_refused_and_not_taken_for_chinese(folder, lake, load, encoding):
    titles = {"big5": "訂單編號與顧客電話", "shift_jis": "りんごジュースのセット", "cp1251": "Яблоки и хлеб"}
    rows = [{**PRODUCTS[0], "title": titles[encoding]}, PRODUCTS[1]]
    (folder / "products.csv").write_bytes(text_of(rows).encode(encoding))
    assert load(folder, until="products")["products"].quarantined == 1
    (folder / "muyun.yaml").write_text(f"encoding: {encoding}\n")
    load(folder, until="products")
    assert titles[encoding] in lake.read("products")["title"]


@given(
    kind=st.sampled_from(["csv", "csv.gz", "xlsx", "parquet", "json", "jsonl"]),
    place=st.floats(0, 0.999),
    junk=st.binary(max_size=8),
    cut=st.integers(0, 40),
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_named(folder, kind, place, junk, cut):
    content = GOOD[kind]
    at = int(place * len(content))
    for path in folder.glob("orders.*"):
        path.unlink()
    (folder / f"orders.{kind}").write_bytes(content[:at] + junk + content[at + cut :])
    problem = f"orders.{kind}"
    try:
        list(Files(folder).read("orders"))
    except SourceError as error:
        problem = str(error)
    assert f"orders.{kind}" in problem


HEADER = list(ORDERS[0])
SHEET = [
    [*list(row.values())[:4], time.replace(tzinfo=None), row["status"], 0, 0.0]
    for row, time in zip(ORDERS, TIMES, strict=True)
]


def _good() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        book = write_xlsx(Path(name) / "x.xlsx", {"a": [HEADER, *SHEET]}).read_bytes()
    out = io.BytesIO()
    pl.DataFrame(ORDERS).write_parquet(out)
    array, lines = json.dumps(ORDERS, indent=1), "\n".join(map(json.dumps, ORDERS))
    return {
        "csv": CRLF.encode(), "csv.gz": gzip.compress(CRLF.encode()), "xlsx": book, "parquet": out.getvalue(),
        "json": array.encode(), "jsonl": lines.encode(),
    }  # fmt: skip


GOOD = _good()


def test_sniffing_says_what_a_file_is(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(text_of(CHINESE, ";", "\r\n", before="导出\r\n").encode("gbk"))
    found = sniff(path, Dialect())
    assert (found.kind, found.encoding, found.delimiter, found.header_line) == ("csv", "gb18030", ";", 2)
    assert (found.columns, found.skipped_lines) == (tuple(CHINESE[0]), ("导出",))
    assert found.line_end == "CRLF"
    found = sniff(path, Dialect(delimiter=";", header_line=1, encoding="gbk"))
    assert (found.columns, found.header_line) == (("导出",), 1)
    with pytest.raises(SourceError, match="has no line 99 that could be the header"):
        sniff(path, Dialect(header_line=99))
    with pytest.raises(SourceError, match="there is no encoding 'klingon'"):
        sniff(path, Dialect(encoding="klingon"))
