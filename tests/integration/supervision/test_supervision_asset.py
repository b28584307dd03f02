"""The step of the graph: from the warehouse's facts to cases that orders obey; again after a decision."""

from contextlib import contextmanager
from datetime import timedelta

import dagster as dg
import duckdb
import pytest
from small_market import Shop
from supervised_market import case, day, decide, listing, offer

from models.supply.supervision.ladder import Level
from pipelines import supervision_night
from pipelines.defs import supervision
from pipelines.graph import resources
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.stores.supervision import CASES
from serving.db.operations import Operations
from serving.orders.errors import ListingHeldError
from serving.supervision.invoices import NewInvoice, state_invoice

AS_OF = day(100)
TABLES = """
create table core.dim_listings (merchant_id text, sku_id text, list_price_cents bigint, title text,
    image_hash text, valid_from timestamptz, is_current boolean, is_listed boolean);
create table core.dim_products (sku_id text, brand_id text, supplier_id text);
create table core.dim_offers (supplier_id text, sku_id text, supply_price_cents bigint, is_current boolean);
create table core.dim_licences (kind text, brand_id text, supplier_id text, merchant_id text,
    is_in_force boolean);
create table core.fct_order_lines (order_id text, merchant_id text, supplier_id text, sku_id text,
    qty double, qty_milli bigint, is_merchandise boolean, placed_at timestamptz, is_sale boolean);
create table core.fct_after_sales (merchant_id text, supplier_id text, sku_id text, order_id text,
    reason_code text, opened_at timestamptz, received_at timestamptz);
create table core.dim_batches (batch_id text, sku_id text, supplier_id text, qty bigint);
create table core.fct_supply_observations (batch_id text, shipment_id text, sku_id text, kind text,
    occurred_at timestamptz, received_at timestamptz);
create table core.fct_shipments (shipment_id text, order_id text, supplier_id text);
"""


class Facts:
    """The tables that a night reads, in a DuckDB, as the published warehouse; counts its readers."""

    def __init__(self):
        self.connection, self.opened = duckdb.connect(), 0
        self.connection.execute("set timezone = 'UTC'; create schema core;" + TABLES)

    @contextmanager
    def open(self):
        self.opened += 1
        yield self.connection

    def put(self, table, *values):
        self.connection.execute(f"insert into core.{table} values ({', '.join('?' * len(values))})", values)


@pytest.fixture
def facts():
    """A guarded brand: m1 is cheap and has no papers, m2 has; S1 sends a batch that nobody made."""
    made = Facts()
    for merchant, cents in (("m1", 400), ("m2", 1200)):
        made.put(
            "dim_listings", merchant, "branded", cents, None, None, AS_OF - timedelta(days=90), True, True
        )
    made.put("dim_listings", "m1", "branded-too", 1, None, None, AS_OF - timedelta(days=90), True, False)
    made.put("dim_products", "branded", "B", "S1")
    made.put("dim_offers", "S1", "branded", 1000, True)
    made.put("dim_offers", "S1", "branded", 10, False)
    made.put("dim_licences", "brand_authorisation", "B", None, "m2", True)
    made.put("dim_licences", "brand_authorisation", "B", None, "m1", False)
    made.put("dim_licences", "business", "B", None, "m1", True)
    made.put("dim_batches", "b1", "branded", "S1", 100)
    gone = ("gone", "m2", "S1", "branded", 9.0, 9000, True, AS_OF - timedelta(days=5), False)
    made.put("fct_order_lines", *gone)
    for number in range(3):
        order, at = f"o{number}", AS_OF - timedelta(days=5)
        made.put("fct_order_lines", order, "m2", "S1", "branded", 2.0, 2000, True, at, True)
        made.put("fct_shipments", f"p{number}", order, "S1")
        made.put("fct_supply_observations", "made-up", f"p{number}", "branded", "parcel_scan", at, at)
    return made


@pytest.fixture
def shop(database_url):
    """A market of this test's own: a case that another test left open is judged again by every step."""
    with Operations(database_url, size=16, timeout_s=60) as operations:
        made = Shop(database_url, operations)
        made.may_lose(10**12)  # these tests are not about what a line brings
        yield made


@pytest.fixture
def step(shop, facts, database_url, tmp_path, monkeypatch):
    """Runs the step; what it tells, its checks, and how often it worked."""
    for name in ("MUYUN_AS_OF", "MUYUN_DATA"):
        monkeypatch.delenv(name, raising=False)
    shop.plan()

    def run(as_of=AS_OF, **more):
        settings = Settings.model_construct(
            home=tmp_path / "home",
            data=tmp_path / "feeds",
            as_of=as_of,
            database_url=database_url,
            **more,
        )
        made = resources(settings, {"warehouse": facts})
        wanted = {
            name: made[name] for name in ("steps", "settings", "clock", "warehouse", "lake", "database")
        }
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([supervision.supervision], resources=wanted, instance=instance)
            (event,) = done.get_asset_materialization_events()
            checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
        return event.materialization.metadata, checks, facts.opened

    run.lake = Lake(tmp_path / "home" / "lake")
    return run


def test_a_night_from_facts_to_an_order_that_is_refused_and_one_that_is_not(step, shop):
    for merchant in ("m1", "m2"):
        shop.list("branded", 2000, merchant=merchant)
        shop.may_lose(10**12, merchant=merchant)
    shop.supply("S1", "branded", 50)
    told, checks, worked = step()
    assert told["signs"].value == {"authorisation": 1, "batch_unknown": 1, "price": 1}
    assert told["open_by_level"].value == {"1": 1, "2": 1}
    assert checks == {"no_case_is_below_its_signs": True}
    held, asked = case(shop, listing("branded")), case(shop, offer("branded"))
    assert (held.level, asked.level) == (Level.HOLD, Level.ASK)
    assert held.evidence["price"] == {
        "weight": 0.4, "strength": 1.0, "price_cents": 400, "market_cents": 1000, "share": 0.4, "offers": 1,
    }  # fmt: skip
    assert asked.evidence["batch_unknown"]["codes"] == ["made-up"]
    with pytest.raises(ListingHeldError):
        shop.place("night-1", ("branded", 1), at=AS_OF)
    shop.place("night-2", ("branded", 1), merchant="m2", at=AS_OF)
    kept = step.lake.get(CASES).select("party_id", "level", "signs").rows()
    assert kept == [("m1", 2, "authorisation, price"), ("S1", 1, "batch_unknown")]
    assert step()[2] == worked == 1, "nothing changed: the step is reported again"

    decide(shop, held.case_id, "cleared", at=AS_OF)
    shop.place("night-3", ("branded", 1), at=AS_OF)
    told, _, worked = step()
    assert (worked, told["open_by_level"].value) == (2, {"1": 1})
    assert step.lake.get(CASES).height == 1
    # The papers that S1 was asked for do not come: a week later it is held.
    step(as_of=AS_OF + timedelta(days=7))
    assert case(shop, offer("branded")).level is Level.HOLD


def test_invoices_with_fewer_units_than_were_sold_stand_in_the_evidence(step, shop):
    """S1 sold six units with a batch that nobody made, and states an invoice of five."""
    issued, issuer = day(80).date(), "91350100M000100Y43"
    told = NewInvoice(None, f"{issued:%y}442000000123456789", issuer, issued, 500_000, 5)
    shop.act(state_invoice, offer("branded"), told, "key", issued, day(80))
    found, checks, _ = step(as_of=day(110))
    assert found["signs"].value["invoice_oversold"] == 1
    assert checks == {"no_case_is_below_its_signs": True}
    asked = case(shop, offer("branded"))
    assert asked.level is Level.HOLD
    assert (asked.evidence["invoice_oversold"]["sold"], asked.evidence["invoice_oversold"]["units"]) == (6, 5)


def test_what_is_cleared_while_a_night_reads_is_not_held_by_what_it_read(step, shop, facts, monkeypatch):
    """Complaints from before the decision are answered by it, though the night had not heard of it."""
    for order in ("o0", "o1", "o2"):
        facts.put("fct_after_sales", "m1", None, "branded", order, "fake_goods", day(295), day(295))
    step(as_of=day(300))
    held = case(shop, listing("branded"))
    assert "complaints" in held.evidence
    read = supervision_night.facts

    def read_slowly(*arguments, **named):
        seen = read(*arguments, **named)
        decide(shop, held.case_id, "cleared", at=day(301))
        return seen

    monkeypatch.setattr(supervision_night, "facts", read_slowly)
    step(as_of=day(302))
    assert case(shop, listing("branded")) is None
    monkeypatch.setattr(supervision_night, "facts", read)
    _, checks, _ = step(as_of=day(303))
    assert case(shop, listing("branded")) is None
    assert checks == {"no_case_is_below_its_signs": True}


def test_other_lines_are_another_judgement(step, shop):
    told, _, _ = step(as_of=day(300), supervision_lines=(0.75, 0.8, 0.9))
    assert told["opened"].value == 0


def test_a_listing_that_is_held_lower_than_asked_fails_the_check(step, shop):
    """Somebody judged it later, with less against it: the check says so, the step fails."""
    shop.sql(
        "insert into supervision.listing_case (tenant_id, party_type, party_id, sku_id, level, score,"
        " evidence, opened_at, judged_at) values ('default', 'merchant', 'm1', 'branded', 1, 0.5, '{}',"
        " %(at)s, %(at)s)",
        at=day(900),
    )
    with pytest.raises(dg.DagsterError, match="no_case_is_below_its_signs"):
        step(as_of=day(800))
