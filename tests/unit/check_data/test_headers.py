"""Guesses by the names of columns, in English and Chinese."""

import pytest

from pipelines.check_data.headers import feeds_of, folded, guess


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("Order No.", "order_no"),
        ("ORDER-ID", "orderid"),
        ("金额（元）", "金额"),
        ("Amount [GBP]", "amount"),
        ("Ｏｒｄｅｒ　ＩＤ", "order id"),
    ],
)
def test_names_are_compared_without_case_blanks_signs_width_and_unit(written: str, same: str) -> None:
    assert folded(written) == folded(same)


def test_names_of_the_contract_come_before_synonyms() -> None:
    found = guess("orders", ["order_id", "Invoice No", "date", "placed_at"])
    assert found["order_id"] == "order_id"
    assert found["placed_at"] == "placed_at"


def test_the_more_telling_name_wins_and_no_column_is_used_twice() -> None:
    found = guess("order_lines", ["金额", "实付金额", "订单号", "商品编码", "数量"])
    assert found["net_paid_cents"] == "实付金额"
    assert len(set(found.values())) == len(found)


def test_one_file_of_lines_feeds_three_tables() -> None:
    columns = [
        "InvoiceNo",
        "StockCode",
        "Description",
        "Quantity",
        "InvoiceDate",
        "UnitPrice",
        "CustomerID",
        "Country",
    ]
    feeds = {feed.table: feed for feed in feeds_of(columns)}
    assert set(feeds) == {"orders", "order_lines", "products"}
    assert feeds["orders"].one_row_per == ("order_id",)
    assert feeds["orders"].columns == {
        "order_id": "InvoiceNo",
        "placed_at": "InvoiceDate",
        "consumer_id": "CustomerID",
    }
    assert feeds["products"].columns["title"] == "Description"
    assert feeds["order_lines"].columns["unit_price"] == "UnitPrice"


def test_chinese_headers() -> None:
    feeds = {
        feed.table: feed.columns
        for feed in feeds_of(
            ["订单编号", "下单时间", "买家会员名", "商品编码", "商品名称", "数量", "实付金额(元)", "订单状态"]
        )
    }
    assert feeds["orders"]["placed_at"] == "下单时间"
    assert feeds["orders"]["status"] == "订单状态"
    assert feeds["order_lines"]["net_paid_cents"] == "实付金额(元)"


@pytest.mark.parametrize(
    ("columns", "table"),
    [
        ("订单号 下单时间 会员号 订单状态", "orders"),
        ("sku,name,category".replace(",", " "), "products"),
        ("supplier_id sku_id valid_from supply_price_cents stock_qty capacity_per_day lead_time_days "
         "min_order_qty ship_from_region", "offers"),
        ("event_id session_id event_type occurred_at consumer_id", "events"),
    ],
)  # fmt: skip
def test_a_file_is_matched_by_its_columns(columns: str, table: str) -> None:
    assert [feed.table for feed in feeds_of(columns.split())] == [table]


def test_a_file_that_fits_no_table_fits_none() -> None:
    assert feeds_of(["colour", "mood"]) == ()
    assert feeds_of(["order_id", "mood"]) == ()


@pytest.mark.parametrize(
    ("columns", "table", "found"),
    [
        (
            ["仓库编号", "仓库名称", "纬度", "经度", "日发货能力"],
            "warehouses",
            {"warehouse_id", "name", "latitude", "longitude", "capacity_per_day"},
        ),
        (
            ["licence_id", "统一社会信用代码", "kind", "供应商", "生效日期", "失效日期"],
            "licences",
            {"licence_id", "licence_no", "kind", "supplier_id", "starts_on", "ends_on"},
        ),
        (
            ["批次号", "货号", "供应商", "生产日期", "保质期至"],
            "batches",
            {"batch_id", "sku_id", "supplier_id", "produced_on", "expires_on"},
        ),
        (
            ["observation_id", "kind", "运单号", "status", "扫描时间", "网点"],
            "supply_observations",
            {"observation_id", "kind", "shipment_id", "status", "occurred_at", "place"},
        ),
    ],
)
def test_headers_of_the_supply_side_are_known(columns, table, found):
    (feed,) = feeds_of(columns)
    assert (feed.table, set(feed.columns)) == (table, found)
