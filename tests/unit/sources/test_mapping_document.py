"""muyun.yaml itself: what it may say, and how a mistake in it is named."""

from pathlib import Path

import pytest

from pipelines.sources.contract import SourceError
from pipelines.sources.mapping.document import Mapping, load_mapping


def _load(folder: Path, text: str) -> Mapping:
    (folder / "muyun.yaml").write_text(text, encoding="utf-8")
    return load_mapping(folder)


def _problem(folder: Path, text: str) -> str:
    with pytest.raises(SourceError) as raised:
        _load(folder, text)
    return str(raised.value)


def test_a_folder_without_the_document_has_an_empty_one(tmp_path: Path) -> None:
    mapping = load_mapping(tmp_path)
    assert mapping.path is None
    assert mapping.rules_for("orders").money == "minor"
    assert mapping.rules_for("orders", "Asia/Shanghai").time_zone == "Asia/Shanghai"
    assert mapping.changed_at("orders") is None
    assert mapping.files(tmp_path, "orders") is None


def test_what_is_said_at_a_table_beats_what_is_said_at_the_top(tmp_path: Path) -> None:
    mapping = _load(
        tmp_path,
        "money: major\ntime_zone: Europe/London\nday_first: true\nencoding: GBK\ndelimiter: tab\n"
        "orders:\n  money: minor\n  time_zone: America/New_York\n  header_line: 3\n",
    )
    assert mapping.rules_for("orders").money == "minor"
    assert mapping.rules_for("orders").time_zone == "America/New_York"
    assert mapping.rules_for("orders").day_first is True
    assert mapping.rules_for("order_lines").money == "major"
    assert mapping.rules_for("order_lines", "Asia/Shanghai").time_zone == "Europe/London"
    assert mapping.text_form("orders") == ("gbk", "\t", 3)
    assert mapping.text_form("order_lines") == ("gbk", "\t", None)


def test_a_yen_has_no_smaller_unit_and_a_dinar_has_a_thousand(tmp_path: Path) -> None:
    assert _load(tmp_path, "currency: jpy\nmoney: major\n").rules_for("orders").money == "minor"
    assert _load(tmp_path, "currency: KWD\n").rules_for("orders").money == "minor"
    assert "line 3, orders.money: amounts in thousandths of KWD must be written as minor units" in _problem(
        tmp_path, "currency: KWD\norders:\n  money: major\n"
    )


def test_scalars_stay_the_text_that_was_written(tmp_path: Path) -> None:
    mapping = _load(
        tmp_path,
        "guests: [0, NO, 1e5]\norders:\n  constants: {merchant_id: 0001}\n  values: {status: {1: paid}}\n",
    )
    assert mapping.document.guests == ("0", "NO", "1e5")
    assert mapping.document.table("orders").constants == {"merchant_id": "0001"}
    assert mapping.status_words == {"1": "paid"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mony: major", "line 1, mony: unknown key; did you mean 'money'?"),
        ("oders:\n  file: x.csv", "line 1, oders: unknown key; did you mean 'orders'?"),
        (
            "orders:\n  file: x.csv\n  colums: {a: b}",
            "line 3, orders.colums: unknown key; did you mean 'columns'?",
        ),
        (
            "orders:\n  columns:\n    placed_att: X",
            "line 3, orders.columns.placed_att: orders has no column 'placed_att'; did you mean 'placed_at'?",
        ),
        ("time_zone: Europe/Londn", "there is no time zone 'Europe/Londn'; did you mean 'Europe/London'?"),
        ("time_zones:\n  shop1: Mars/One", "line 2, time_zones.shop1: there is no time zone 'Mars/One'"),
        ("encoding: gbkk", "there is no encoding 'gbkk'"),
        ("currency: pounds", "'pounds' is not an ISO code"),
        ("money: yuan", "'major' or 'minor'"),
        ("orders:\n  header_line: 0", "line 2, orders.header_line"),
        ("orders:\n  constants: {channel: shop}", "channel cannot be 'shop'; it is one of mini_program, "),
        (
            "orders:\n  values:\n    channel:\n      Shop: stores",
            "line 4, orders.values.channel.Shop: channel cannot be 'stores'",
        ),
        ("not_merchandise: {sku_pattern: '(('}", "'((' is not a regular expression"),
        ("not_merchandise: {role: postage}", "'service', 'fuel', 'coupon' or 'deposit'"),
        (
            "orders:\n  columns:\n    placed_at: {produkt: [a, b]}",
            "line 3, orders.columns.placed_at: give a column of the file",
        ),
        ("orders:\n  file: a.csv\n  file: b.csv", "line 3, orders.file: the key stands here twice"),
        ("orders: [a, b]", "line 1, orders: must be made of keys and values"),
        ("a: [1", "is not readable YAML in line"),
        ("just a text", "must be made of keys and values"),
        ("tables:\n  orders: {}", "line 1, tables: tables stand at the top"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_meant(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert expected in _problem(tmp_path, text)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    problem = _problem(tmp_path, "mony: major\ncurrency: pounds\norders:\n  header_line: 0\n")
    assert len(problem.splitlines()) == 3


def test_a_document_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "muyun.yaml").write_bytes("guests: [散客]".encode("gbk"))
    with pytest.raises(SourceError, match="not UTF-8"):
        load_mapping(tmp_path)


def test_files_are_found_by_pattern_and_a_name_that_fits_none_is_an_error(tmp_path: Path) -> None:
    for name in ("sales-2.csv", "sales-1.csv"):
        (tmp_path / name).write_text("a\n")
    mapping = _load(tmp_path, "orders: {file: 'sales-*.csv'}\norder_lines: {file: sale-1.csv}\n")
    assert [path.name for path in mapping.files(tmp_path, "orders") or ()] == ["sales-1.csv", "sales-2.csv"]
    with pytest.raises(SourceError, match=r"order_lines.file: no file fits 'sale-1.csv'; did you mean"):
        mapping.files(tmp_path, "order_lines")
    (tmp_path / "sales [1].csv").write_text("a\n")
    named = _load(tmp_path, "orders: {file: 'sales [1].csv'}").files(tmp_path, "orders")
    assert [path.name for path in named or ()] == ["sales [1].csv"]


@pytest.mark.parametrize("outside", ["/etc/passwd", "../other.csv", "''"])
def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path, outside: str) -> None:
    with pytest.raises(SourceError, match="no name or pattern inside the folder"):
        _load(tmp_path, f"orders: {{file: {outside}}}").files(tmp_path, "orders")
