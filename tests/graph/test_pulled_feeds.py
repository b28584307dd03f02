"""Through the graph: connectors named in `muyun.yaml` are pulled, and the raw tables read what they bring."""

import datetime as dt
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

import pipelines.sources.connectors as package
from pipelines.graph import build_defs
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.sources.connectors.drift import reason_of
from pipelines.sources.refused.quarantine import read_quarantine
from tests.feed_server import ENVIRONMENT, FeedShop, feed_server

pytestmark = pytest.mark.xdist_group("graph")

REFERENCES = Path(package.__file__).parent / "reference"
AS_OF = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
TABLES = ("suppliers", "categories", "products", "offers")
FOLDER = {
    "suppliers.csv": "supplier_id,name,channel,region_code,joined_on,is_active\n"
    "shop-1,Shop,jd,east,2025-01-01,true\nbrand,Brand,brand,east,2025-01-01,true\n",
    "products.csv": "sku_id,title,category_id\nown,Our own,tea\n",
    "orders.csv": "order_id,placed_at,merchant_id,consumer_id\no1,2026-11-20T00:00:00Z,m1,c1\n",
    "order_lines.csv": "order_id,line_no,sku_id,qty,net_paid_cents\no1,1,own,1,900\n",
    "muyun.yaml": "time_zone: Etc/UTC\nconnectors: [market.yaml, brand.yaml]\n",
}


class World:
    """A folder with two connectors, the shop behind them, and the graph over it."""

    def __init__(self, folder, shop, url, parsed_project):
        self.shop = shop
        self.folder = folder / "feeds"
        self.folder.mkdir()
        for name, text in FOLDER.items():
            (self.folder / name).write_text(text)
        self.declare("market", "marketplace", {"https://marketplace.example.com": url})
        self.declare("brand", "brand", {"https://open.brand.example.com": url})
        self.settings = Settings.model_construct(
            home=folder / "home", data=self.folder, as_of=AS_OF, time_zone="Etc/UTC", seed=1
        )
        self._project = parsed_project

    def declare(self, file, name, changes):
        text = (REFERENCES / f"{name}.yaml").read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (self.folder / f"{file}.yaml").write_text(text)

    def run(self):
        """Pull and load, in one run; answers what the two checks of the pull said."""
        graph = build_defs(self.settings, {"dbt_project": self._project})
        keys = [dg.AssetKey(["operations", "pulled_feeds"]), *(dg.AssetKey(["raw", name]) for name in TABLES)]
        with dg.DagsterInstance.ephemeral() as instance:
            done = graph.resolve_job_def("platform_build").execute_in_process(
                instance=instance, asset_selection=keys
            )
        assert done.success
        return {check.check_name: check for check in done.get_asset_check_evaluations()}

    @property
    def lake(self):
        return Lake(self.settings.lake_dir)


@pytest.fixture
def world(tmp_path, parsed_project, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    shop = FeedShop()
    shop.stock_up(7)
    shop.prices["lines"] = [
        {
            "code": "own",
            "price_fen": 500,
            "days": 3,
            "moq": 2,
            "from": "east",
            "valid_from": "2026-11-01T00:00:00Z",
        }
    ]
    with feed_server(shop) as url:
        yield World(tmp_path, shop, url, parsed_project)


def test_a_run_reads_what_its_connectors_bring_and_a_second_one_what_is_new(world):
    checks = world.run()
    assert checks["every_feed_answered"].passed
    assert checks["every_feed_is_as_declared"].passed
    products = world.lake.read("products").sort("sku_id")
    assert products["sku_id"].to_list() == [*(f"{number:05d}" for number in range(7)), "own"]
    assert products.row(by_predicate=pl.col("sku_id") == "00003", named=True)["title"] == "茶 3"
    offers = world.lake.read("offers").filter(pl.col("supplier_id") == "shop-1").sort("sku_id")
    assert offers["supply_price_cents"].to_list() == [1010 + 100 * number for number in range(7)]
    own = world.lake.read("offers").row(by_predicate=pl.col("sku_id") == "own", named=True)
    assert (own["supplier_id"], own["supply_price_cents"]) == ("brand", 500)

    world.shop.items[3]["title"] = "新茶"
    world.shop.items[3]["updated_at"] = "2026-11-29T00:00:00Z"
    world.shop.offers.append({**world.shop.offers[3], "price": 1.5, "updated_at": "2026-11-29T00:00:00Z"})
    world.run()
    products = world.lake.read("products")
    assert products.height == 8
    assert products.row(by_predicate=pl.col("sku_id") == "00003", named=True)["title"] == "新茶"
    offers = world.lake.read("offers").filter(pl.col("sku_id") == "00003").sort("valid_from")
    assert offers["supply_price_cents"].to_list() == [1310, 150]
    report = world.lake.read_report("operations/pulled_feeds")
    assert {row["stream"]: row["rows"] for row in report["streams"]}["marketplace/offers"] == 1


def test_a_renamed_field_is_quarantined_and_read_again_once_the_declaration_is_mended(world):
    world.shop.reshape = lambda page, rows: [
        {("selling_price" if name == "price" else name): value for name, value in row.items()} for row in rows
    ]
    checks = world.run()
    drift = checks["every_feed_is_as_declared"]
    assert not drift.passed
    assert drift.severity == dg.AssetCheckSeverity.WARN
    assert "7 rows lack 'price'" in drift.metadata["drift"].value[0]
    refused = read_quarantine(world.lake, "offers")
    assert refused.height == 7
    assert set(refused["reason"]) == {reason_of(("price",))}
    assert refused["file"].str.starts_with("feeds/marketplace/offers/2").all()
    assert '"selling_price":"10.1"' in refused["row_json"][0]

    text = (world.folder / "market.yaml").read_text()
    (world.folder / "market.yaml").write_text(
        text.replace("supply_price_cents: price", "supply_price_cents: {first_of: [selling_price, price]}")
    )
    checks = world.run()
    assert checks["every_feed_is_as_declared"].passed
    offers = world.lake.read("offers").filter(pl.col("supplier_id") == "shop-1").sort("sku_id")
    assert offers["supply_price_cents"].to_list() == [1010 + 100 * number for number in range(7)]
    assert read_quarantine(world.lake, "offers").height == 0


def test_a_feed_that_does_not_answer_stops_no_run(world, monkeypatch):
    world.run()
    monkeypatch.setenv("MARKETPLACE_TOKEN", "no longer in force")
    world.shop.prices |= {"written_at": "2026-11-30T00:00:00Z"}
    world.shop.prices["lines"][0]["price_fen"] = 600
    checks = world.run()
    assert not checks["every_feed_answered"].passed
    problems = checks["every_feed_answered"].metadata["problems"].value
    assert any(line.startswith("marketplace/offers: /api/v1/offers: answered 401") for line in problems)
    assert world.lake.read("products").height == 8
    own = world.lake.read("offers").filter(pl.col("sku_id") == "own")
    assert own["supply_price_cents"].to_list() == [600]


def test_without_connectors_nothing_is_pulled_and_the_panel_has_no_such_step(world, tmp_path, parsed_project):
    (world.folder / "muyun.yaml").write_text("time_zone: Etc/UTC\n")
    world.run()
    assert world.shop.asked == []
    assert world.lake.read("products")["sku_id"].to_list() == ["own"]
    panel = Settings.model_construct(home=tmp_path / "panel", data=None, as_of=AS_OF, seed=1)
    graph = build_defs(panel, {"dbt_project": parsed_project})
    assert dg.AssetKey(["operations", "pulled_feeds"]) not in graph.resolve_asset_graph().get_all_asset_keys()
