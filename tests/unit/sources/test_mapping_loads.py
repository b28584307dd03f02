"""What muyun.yaml says is done to the rows: every feature through the file adapter and the load."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from feed_folder import LINES, ORDERS, write_csv

from pipelines.lake.tables import Lake
from pipelines.sources.contract import SourceError
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import IngestReport

Load = Callable[..., dict[str, IngestReport]]

EXPORT = """Invoice,No,Code,Description,Quantity,Date,Price,Customer
1001,1,A1,,6,2026-11-01 08:26:00,2.55,c7
1001,2,B2,LANTERN,3,2026-11-01 08:26:00,3.335,c7
1002,1,A1,T-LIGHT HOLDER,1,2026-11-02 09:00:00,2.55,c8
1002,2,POST,,1,2026-11-02 09:00:00,18.00,c8
1001,3,B2,LANTERN,1,2026-11-01 08:27:00,0.1,c7
"""

EXPORT_YAML = """
money: major
currency: GBP
time_zone: Europe/London
not_merchandise: {skus: POST}
orders:
  file: export.csv
  one_row_per: order_id
  columns: {order_id: Invoice, placed_at: Date, consumer_id: Customer}
  constants:
    {merchant_id: web, channel: other, status: completed, coupon_discount_cents: 0, freight_cents: 0}
order_lines:
  file: export.csv
  columns:
    order_id: Invoice
    line_no: No
    sku_id: Code
    qty: Quantity
    net_paid_cents: {product: [Quantity, Price]}
    list_price_cents: {product: [Quantity, Price]}
  constants: {promo_discount_cents: 0}
products:
  file: export.csv
  one_row_per: sku_id
  columns:
    sku_id: Code
    title: {first_of: [Description, Code]}
  constants: {category_id: gifts}
"""


def _say(folder: Path, text: str) -> None:
    (folder / "muyun.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "export.csv").write_text(EXPORT)
    _say(folder, EXPORT_YAML)
    return folder


def test_a_title_is_the_first_that_is_filled_in_any_row(export: Path, lake: Lake, load: Load) -> None:
    _say(export, EXPORT_YAML.replace("{first_of: [Description, Code]}", "Description"))
    reports = load(export, until="products")
    titles = dict(lake.read("products").select("sku_id", "title").iter_rows())
    assert titles["A1"] == "T-LIGHT HOLDER"
    assert reports["products"].received == 3


def test_a_line_number_of_a_made_row_is_that_of_its_first_row(export: Path, lake: Lake, load: Load) -> None:
    (export / "export.csv").write_text(EXPORT.replace("2026-11-02 09:00:00", "soon"))
    load(export)
    quarantined = lake.read_quarantine("orders")
    assert quarantined["line"].to_list() == [4]
    assert quarantined["value"].to_list() == ["soon"]


def test_a_column_that_the_file_does_not_have_is_named_with_the_nearest(export: Path, load: Load) -> None:
    _say(export, EXPORT_YAML.replace("placed_at: Date", "placed_at: Dat"))
    with pytest.raises(
        SourceError, match=r"orders.columns.placed_at: export.csv has no column 'Dat'; did you mean 'Date'"
    ):
        load(export)


def test_a_column_that_is_mapped_is_not_reported_as_set_aside(export: Path, load: Load) -> None:
    reports = load(export)
    assert "Invoice" not in reports["orders"].extra_columns
    assert "Quantity" not in reports["order_lines"].extra_columns


def test_words_defaults_and_constants(folder: Path, lake: Lake, load: Load) -> None:
    rows = [{**row, "channel": word} for row, word in zip(ORDERS, (" Shop", "WeChat", ""), strict=True)]
    write_csv(folder / "orders.csv", [{**row, "freight_cents": ""} for row in rows])
    _say(
        folder,
        "orders:\n  constants: {merchant_id: one}\n  defaults: {freight_cents: 250}\n"
        "  values:\n    channel: {shop: store, wechat: mini_program, '': other}\n",
    )
    reports = load(folder, until="orders")
    assert reports["orders"].accepted == 3
    orders = lake.read("orders").sort("order_id")
    assert orders["channel"].to_list() == ["store", "mini_program", "other"]
    assert orders["freight_cents"].to_list() == [250, 250, 250]
    assert orders["merchant_id"].unique().to_list() == ["one"]


def test_a_word_that_no_map_names_is_refused(folder: Path, load: Load) -> None:
    write_csv(folder / "orders.csv", [{**row, "channel": "Shop"} for row in ORDERS])
    _say(folder, "orders:\n  values:\n    channel: {stall: store}\n")
    assert load(folder, until="orders")["orders"].quarantined == 3


def test_columns_can_be_swapped(folder: Path, lake: Lake, load: Load) -> None:
    _say(folder, "products:\n  columns: {title: category_id, category_id: title}\n")
    load(folder, until="products")
    assert sorted(lake.read("products")["title"]) == ["bakery", "fruit"]


def test_goods_get_roles_themes_and_own_brands(folder: Path) -> None:
    _say(
        folder,
        "not_merchandise:\n  - {skus: a}\n  - {role: coupon, categories: [bakery]}\n"
        "themes: {health_food: [fruit]}\nprivate_label: {sku_pattern: '^b'}\n",
    )
    source = Files(folder)
    products = pl.concat([chunk.frame for chunk in source.read("products")], how="diagonal")
    assert dict(products.select("sku_id", "role").iter_rows()) == {"a": "service", "b": None}
    assert dict(products.select("sku_id", "is_private_label").iter_rows()) == {"a": None, "b": "true"}
    categories = pl.concat([chunk.frame for chunk in source.read("categories")], how="diagonal")
    assert dict(categories.select("category_id", "role").iter_rows()) == {"bakery": "coupon", "fruit": None}
    assert dict(categories.select("category_id", "theme").iter_rows()) == {
        "bakery": None,
        "fruit": "health_food",
    }


def test_the_document_is_part_of_the_fingerprint(folder: Path) -> None:
    before = Files(folder).fingerprint()
    _say(folder, "currency: CNY\n")
    assert Files(folder).fingerprint() != before


def test_files_that_the_document_names_are_not_unmatched(export: Path, load: Load) -> None:
    (export / "notes.txt").write_text("hello")
    reports = load(export)
    assert "files that match no table: notes.txt" in reports["orders"].notes


def test_lines_of_the_folder_are_untouched_without_a_document(folder: Path, lake: Lake, load: Load) -> None:
    load(folder)
    assert lake.read("order_lines").height == len(LINES)


def test_one_export_feeds_orders_lines_and_products(export: Path, lake: Lake, load: Load) -> None:
    reports = load(export)
    assert {name: reports[name].accepted for name in ("orders", "order_lines", "products")} == {
        "orders": 2,
        "order_lines": 5,
        "products": 3,
    }
    assert sum(report.quarantined for report in reports.values()) == 0
    orders = lake.read("orders").sort("order_id")
    assert orders["order_id"].to_list() == ["1001", "1002"]
    assert orders["placed_at"][0] == dt.datetime(2026, 11, 1, 8, 26, tzinfo=dt.UTC)  # the first of its lines
    assert orders["merchant_id"].unique().to_list() == ["web"]
    # 3 x 3.335 is 10.005: half a penny goes up.
    assert sorted(lake.read("order_lines")["net_paid_cents"]) == [10, 255, 1001, 1530, 1800]
    assert dict(lake.read("products").select("sku_id", "title").iter_rows()) == {
        "A1": "A1",
        "B2": "LANTERN",
        "POST": "POST",
    }
    assert "5 rows of the files made 2, one per order_id" in reports["orders"].notes


def test_rows_without_a_key_are_refused_one_by_one(export: Path, load: Load) -> None:
    with (export / "export.csv").open("a") as file:
        file.write(",1,A1,X,1,2026-11-02 09:00:00,1.00,c8\n,1,A1,X,2,2026-11-02 09:00:00,1.00,c8\n")
    reports = load(export)
    assert reports["orders"].received == 4
    assert reports["orders"].reasons == {"missing value": 2}
    assert reports["order_lines"].quarantined == 2


def test_a_factor_that_is_no_number_is_refused_with_both_in_sight(
    export: Path, lake: Lake, load: Load
) -> None:
    (export / "export.csv").write_text(EXPORT.replace("2.55", "n/a", 1))
    load(export)
    quarantined = lake.read_quarantine("order_lines")
    assert quarantined["column"].to_list() == ["list_price_cents"]
    assert quarantined["value"].to_list() == ["6 x n/a"]


def test_one_row_is_made_across_files(export: Path, lake: Lake, load: Load) -> None:
    header, *rows = EXPORT.splitlines(keepends=True)
    (export / "export.csv").write_text(header + "".join(rows[:1]))
    (export / "export-2.csv").write_text(header + "".join(rows[1:]))
    _say(export, EXPORT_YAML.replace("export.csv", "export*.csv"))
    reports = load(export)
    assert reports["orders"].accepted == 2
    assert reports["order_lines"].accepted == 5


def test_merchants_have_their_own_zones(folder: Path, lake: Lake, load: Load) -> None:
    rows = [
        {**row, "merchant_id": merchant, "placed_at": "2026-07-01 10:00:00"}
        for row, merchant in zip(ORDERS, ("london", "tokyo", "home"), strict=True)
    ]
    write_csv(folder / "orders.csv", rows)
    _say(folder, "time_zone: UTC\ntime_zones: {london: Europe/London, tokyo: Asia/Tokyo}\n")
    load(folder, until="orders")
    orders = lake.read("orders").sort("order_id")
    assert [time.hour for time in orders["placed_at"]] == [9, 1, 10]


def test_a_column_that_no_table_uses_is_reported_as_set_aside(export: Path, load: Load) -> None:
    rows = EXPORT.strip().splitlines()
    (export / "export.csv").write_text("\n".join([rows[0] + ",Country", *(row + ",UK" for row in rows[1:])]))
    reports = load(export)
    for table in ("orders", "order_lines", "products"):
        assert reports[table].extra_columns == ("Country",)


@pytest.mark.parametrize(
    ("document", "nobody"),
    [("", ["", "0", " Guest ", "散客"]), ("guests: [walk in, X9]\n", ["Walk In", "x9"])],
)
def test_guests_are_nobody(folder: Path, lake: Lake, load: Load, document: str, nobody: list[str]) -> None:
    for word in nobody:
        write_csv(folder / "orders.csv", [{**ORDERS[0], "consumer_id": word}, *ORDERS[1:]])
        _say(folder, document)
        load(folder)
        orders = lake.read("orders").sort("order_id")
        assert orders["consumer_id"].to_list() == [None, "c0", "c1"], word
        assert sorted(lake.read("consumers")["consumer_id"]) == ["c0", "c1"]


def test_a_guest_of_another_shop_may_be_a_member_here(folder: Path, lake: Lake, load: Load) -> None:
    write_csv(folder / "orders.csv", [{**ORDERS[0], "consumer_id": "guest"}, *ORDERS[1:]])
    _say(folder, "guests: [nobody]\n")
    load(folder)
    assert "guest" in lake.read("orders")["consumer_id"].to_list()


def test_a_status_of_ones_own_is_told(folder: Path, lake: Lake, load: Load) -> None:
    words = ("Handed Over", "sent back", "done")
    write_csv(folder / "orders.csv", [{**row, "status": w} for row, w in zip(ORDERS, words, strict=True)])
    assert load(folder)["orders"].accepted == 1
    _say(folder, "orders:\n  values:\n    status: {handed over: paid, Sent Back: refunded}\n")
    load(folder)
    orders = lake.read("orders").sort("order_id")
    assert orders["state"].to_list() == ["paid", "refunded", "paid"]
    assert orders["status"].to_list() == list(words)


def test_the_newest_version_wins_and_deleted_rows_go(folder: Path, lake: Lake, load: Load) -> None:
    changes = [("2026-11-04 08:00", "completed", "0"), ("2026-11-06 08:00", "cancelled", "0")]
    versions = [
        {**ORDERS[0], "modified": modified, "status": status, "gone": gone}
        for modified, status, gone in reversed(changes)
    ]
    rest = [{**row, "modified": "2026-11-05 08:00", "gone": "0"} for row in ORDERS[1:]]
    removed = {**rest[1], "modified": "2026-11-07 08:00", "gone": "1"}
    write_csv(folder / "orders.csv", [*versions, *rest, removed])
    _say(folder, "orders:\n  changed_at: modified\n  deleted_when: {gone: ['1', 'true']}\n")
    load(folder)
    orders = lake.read("orders").sort("order_id")
    assert orders["order_id"].to_list() == ["o1", "o2"]
    assert orders["state"].to_list() == ["cancelled", "paid"]


def test_a_column_that_is_changed_at_may_be_mapped_too(folder: Path, lake: Lake, load: Load) -> None:
    write_csv(
        folder / "orders.csv",
        [
            {**ORDERS[0], "paid": "2026-11-01T11:00:00Z"},
            {**ORDERS[0], "paid": "2026-11-01T12:00:00Z", "status": "closed"},
        ]
        + [{**row, "paid": "2026-11-04T12:00:00Z"} for row in ORDERS[1:]],
    )
    _say(folder, "orders:\n  columns: {paid_at: paid}\n  changed_at: paid\n")
    load(folder)
    assert lake.read("orders").sort("order_id")["state"].to_list() == ["cancelled", "paid", "paid"]


def test_three_tables_without_a_category_or_a_shop_are_enough(tmp_path: Path, lake: Lake, load: Load) -> None:
    folder = tmp_path / "least"
    folder.mkdir()
    write_csv(folder / "products.csv", [{"sku_id": "a"}])
    write_csv(folder / "orders.csv", [{"order_id": "o1", "placed_at": "2026-11-01T10:00:00Z"}])
    line = {"order_id": "o1", "sku_id": "a", "qty": "2", "net_paid_cents": "400"}
    write_csv(folder / "order_lines.csv", [line, line])
    reports = load(folder)
    assert sum(report.quarantined for report in reports.values()) == 0
    assert lake.read("categories")["category_id"].to_list() == ["uncategorised"]
    assert lake.read("merchants")["merchant_id"].to_list() == ["shop"]
    assert lake.read("orders")["consumer_id"].to_list() == [None]
    assert sorted(lake.read("order_lines")["line_no"]) == [1, 2]


def test_the_form_of_a_file_may_be_said(folder: Path, lake: Lake, load: Load) -> None:
    text = "a|b|c|d|e\n1|2|3|4|5\nsku_id|title|category_id|x|y\ncafé|Café|drinks||\n"
    (folder / "products.csv").write_bytes(text.encode("cp1252"))
    write_csv(folder / "order_lines.csv", [{**row, "sku_id": "x"} for row in LINES])
    _say(folder, "products: {encoding: cp1252, delimiter: pipe, header_line: 3}\n")
    load(folder, until="products")
    assert lake.read("products").select("sku_id", "title").rows() == [("café", "Café")]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("day_first: true\ntime_zone: Europe/London\n", dt.datetime(2026, 7, 2, 9, 30, tzinfo=dt.UTC)),
        ("day_first: false\ntime_zone: Europe/London\n", dt.datetime(2026, 2, 7, 10, 30, tzinfo=dt.UTC)),
        ("orders: {day_first: true, time_zone: UTC}\n", dt.datetime(2026, 7, 2, 10, 30, tzinfo=dt.UTC)),
    ],
)
def test_day_month_and_summer_time(
    folder: Path, lake: Lake, load: Load, document: str, expected: dt.datetime
) -> None:
    write_csv(folder / "orders.csv", [{**row, "placed_at": "02/07/2026 10:30"} for row in ORDERS])
    _say(folder, document)
    load(folder)
    assert lake.read("orders")["placed_at"].unique().to_list() == [expected]


@pytest.mark.parametrize(
    ("document", "expected"),
    [("money: major\n", 123450), ("money: major\norder_lines: {money: minor}\n", None)],
)
def test_amounts_in_units_or_in_the_smallest(
    folder: Path, lake: Lake, load: Load, document: str, expected: int | None
) -> None:
    rows = [{**row, "net_paid_cents": "￥1,234.50", "list_price_cents": "2000.00"} for row in LINES]
    write_csv(folder / "order_lines.csv", rows)
    _say(folder, document)
    load(folder)
    assert lake.read("order_lines")["net_paid_cents"].to_list() == ([expected] * 3 if expected else [])


def test_a_product_of_decimal_commas(export: Path, lake: Lake, load: Load) -> None:
    (export / "export.csv").write_text(EXPORT.replace(",", ";").replace(".", ","))
    load(export)
    assert sorted(lake.read("order_lines")["net_paid_cents"]) == [10, 255, 1001, 1530, 1800]
