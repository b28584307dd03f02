"""What suppliers state about their prices: what is taken over, what waits, what is refused."""

from datetime import timedelta

import polars as pl
import pytest
from small_market import NOW, TENANT

from serving.approvals import decisions
from serving.approvals.errors import ImpossibleMoveError, NotAllowedError
from serving.approvals.records import newest_of_subject
from serving.db.urls import libpq_url
from serving.jobs.effects import EFFECTS
from serving.orders.assortment import catalogue, offers
from serving.orders.errors import FreeOfferError, OutOfStockError, SkuNotApprovedError
from serving.security import Principal, Role, Scope

CORRIDOR = offers.Corridor(own_bps=2_000, others_bps=5_000, days=7)


def state(shop, supplier, sku, price, *, after=1, freight=0, active=True, now=None):
    """What became of one statement: `accepted`, `outdated`, or the judgement of one that waits."""
    at = NOW + timedelta(hours=after)
    offer = catalogue.Offer(supplier, sku, price, freight, 1, at, is_active=active)
    done = shop.act(offers.state_offers, supplier, [offer], CORRIDOR, "key", now or at)
    return done.waiting[0].judgement if done.waiting else "accepted" if done.accepted else "outdated"


def in_force(shop, supplier, sku):
    rows = shop.sql(
        "select supply_price_cents, is_active from orders.offer where supplier_id = %(s)s and sku_id = %(k)s",
        s=supplier,
        k=sku,
    )
    return rows[0] if rows else None


OPERATOR = Principal("op", TENANT, Role.OPERATOR, None, frozenset(Scope))


def decide(shop, supplier, sku, rejected=None, *, by=OPERATOR, now=NOW + timedelta(hours=2)):
    """Approve or reject what was last asked about an offer."""
    with shop.transaction() as conn:
        asked = newest_of_subject(conn, TENANT, "offer", ("offer", f"{len(supplier)}:{supplier}/{sku}"))
        seen = decisions.Seen(approval_id=asked.approval_id, version=asked.version, digest=asked.digest)
        decider = decisions.Decider(principal=by, now=now)
        if rejected:
            return decisions.reject(conn, EFFECTS, seen, decider, rejected)
        return decisions.approve(conn, EFFECTS, seen, decider)


def states(shop, supplier, sku):
    rows = shop.sql(
        "select state from orders.offer_proposal where supplier_id = %(s)s and sku_id = %(k)s"
        " order by source_at",
        s=supplier,
        k=sku,
    )
    return [state for (state,) in rows]


def test_a_supplier_offers_only_what_it_was_approved_for(shop):
    shop.list("o-approve", 10_000)
    with pytest.raises(SkuNotApprovedError, match="'o-approve'"):
        state(shop, "SA", "o-approve", 7_000)
    shop.act(catalogue.approve_skus, "SA", [catalogue.SupplierSku("o-approve")])
    assert state(shop, "SA", "o-approve", 7_000).reason == "no_reference"
    shop.act(catalogue.approve_skus, "SA", [catalogue.SupplierSku("o-approve", is_approved=False)])
    with pytest.raises(SkuNotApprovedError):
        decide(shop, "SA", "o-approve")
    assert in_force(shop, "SA", "o-approve") is None


def test_withdrawn_approval_ends_the_routing_of_an_offer(shop):
    shop.list("o-withdrawn", 10_000)
    shop.supply("SA", "o-withdrawn", 5, price=7_000)
    shop.place("o-w1", ("o-withdrawn", 1))
    shop.act(catalogue.approve_skus, "SA", [catalogue.SupplierSku("o-withdrawn", is_approved=False)])
    with pytest.raises(OutOfStockError, match="no_offer"):
        shop.place("o-w2", ("o-withdrawn", 1))


def test_outside_the_corridor_the_old_price_stays_until_somebody_accepts_the_new_one(shop):
    shop.list("o-wait", 10_000)
    shop.supply("SA", "o-wait", 9, price=7_000)
    assert state(shop, "SA", "o-wait", 8_401, after=1).high_cents == 8_400
    assert in_force(shop, "SA", "o-wait") == (7_000, True)
    shop.place("o-wait-1", ("o-wait", 1))
    assert shop.read("o-wait-1")[1][0].supply_price_cents == 7_000
    assert state(shop, "SA", "o-wait", 8_401, after=1) == "outdated"
    with pytest.raises(NotAllowedError):
        decide(shop, "SA", "o-wait", by=Principal("s", TENANT, Role.SUPPLIER, "SA", frozenset(Scope)))
    assert decide(shop, "SA", "o-wait").effect == {"sku_id": "o-wait", "supply_price_cents": 8_401}
    assert in_force(shop, "SA", "o-wait") == (8_401, True)
    with pytest.raises(ImpossibleMoveError):
        decide(shop, "SA", "o-wait", "too_high")
    # What was accepted is what the next prices are measured against: 8401 x 1.2 = 10081.2.
    assert state(shop, "SA", "o-wait", 10_081, after=3) == "accepted"
    assert states(shop, "SA", "o-wait") == ["accepted"]


def test_a_rejected_price_is_not_taken_over(shop):
    shop.supply("SA", "o-no", 9, price=7_000)
    state(shop, "SA", "o-no", 100_000, after=1)
    decide(shop, "SA", "o-no", "too_high")
    assert in_force(shop, "SA", "o-no") == (7_000, True)
    found = shop.act(offers.terms_of, "SA", after=("o-no", ""), limit=2)
    assert [(terms.supply_price_cents, terms.state) for terms in found] == [
        (7_000, "in_force"),
        (100_000, "rejected"),
    ]


def test_a_newer_statement_supersedes_one_that_waits(shop):
    shop.supply("SA", "o-newer", 9, price=7_000)
    state(shop, "SA", "o-newer", 100_000, after=1)
    state(shop, "SA", "o-newer", 200_000, after=2)
    assert states(shop, "SA", "o-newer") == ["superseded", "waiting"]
    assert state(shop, "SA", "o-newer", 7_100, after=3) == "accepted"
    assert states(shop, "SA", "o-newer") == ["superseded", "superseded"]
    with pytest.raises(ImpossibleMoveError):
        decide(shop, "SA", "o-newer")
    subject = ("offer", "2:SA/o-newer")
    rows = shop.sql("select state from approvals.request where subject_id = %(s)s order by 1", s=subject[1])
    assert rows == [("superseded",), ("superseded",)]


def test_small_steps_lead_no_further_than_one_within_the_days_of_the_reference(shop):
    shop.supply("SA", "o-creep", 9, price=10_000)
    assert state(shop, "SA", "o-creep", 12_000, after=1) == "accepted"
    assert state(shop, "SA", "o-creep", 12_001, after=2).high_cents == 12_000
    assert state(shop, "SA", "o-creep", 11_000, after=24 * 8) == "accepted"
    # After a week the price that was in force becomes the reference: 12000 x 1.2.
    assert state(shop, "SA", "o-creep", 14_400, after=24 * 8 + 1) == "accepted"
    assert state(shop, "SA", "o-creep", 14_401, after=24 * 8 + 2).high_cents == 14_400


def test_a_first_price_is_measured_against_the_median_of_the_others(shop):
    for supplier, price in (("SA", 6_000), ("SB", 8_000), ("SC", 90_000)):
        shop.supply(supplier, "o-median", 1, price=price)
    shop.act(catalogue.approve_skus, "SD", [catalogue.SupplierSku("o-median")])
    assert state(shop, "SD", "o-median", 12_001, after=1).high_cents == 12_000
    assert state(shop, "SD", "o-median", 12_000, after=2) == "accepted"


def test_nothing_is_free_unless_the_operator_says_so(shop):
    shop.supply("SA", "o-free", 9, price=700)
    with pytest.raises(FreeOfferError, match="'o-free'"):
        state(shop, "SA", "o-free", 0)
    shop.act(catalogue.approve_skus, "SA", [catalogue.SupplierSku("o-free", may_be_free=True)])
    assert state(shop, "SA", "o-free", 0, after=1) == "accepted"
    assert in_force(shop, "SA", "o-free") == (0, True)
    # Free goods do not make the buyer pay through the freight.
    assert state(shop, "SA", "o-free", 0, freight=50_000, after=2).reason == "delivered_price"


def test_an_offer_is_ended_at_any_price_and_its_price_is_not_taken_over(shop):
    shop.supply("SA", "o-end", 9, price=7_000)
    assert state(shop, "SA", "o-end", 10**9, after=1, active=False) == "accepted"
    assert in_force(shop, "SA", "o-end") == (7_000, False)
    assert state(shop, "SA", "o-end", 10**9, after=2).reason == "own_price"
    found = shop.act(offers.terms_of, "SA", after=("o-end", ""), limit=2)
    assert [(terms.sku_id, terms.state) for terms in found] == [("o-end", "ended"), ("o-end", "waiting")]
    assert TENANT == "default"


def recorded(shop, sku):
    """What the warehouse reads of a sku: moment, price and whether it is offered, by supplier."""
    from pipelines.sources.recorded.reading import snapshot, versions_since
    from pipelines.sources.recorded.streams import RECORDED

    (stream,) = (one for one in RECORDED["feeds"] if one.table == "offers")
    with snapshot(libpq_url(shop.url), "test", TENANT) as connection:
        rows = versions_since(connection, stream, 0, replayed_origin="overlay").filter(sku_id=sku)
    assert rows["valid_from"].equals(rows["received_at"].alias("valid_from"))
    told = rows.select("supplier_id", "valid_from", "supply_price_cents", "is_active")
    return {supplier: rest for supplier, *rest in told.iter_rows()}


def test_the_warehouse_reads_terms_from_when_they_were_taken_over(shop):
    hours = [NOW + timedelta(hours=hour) for hour in range(6)]
    shop.list("o-read", 10_000)
    shop.supply("SA", "o-read", 9, price=7_000)
    assert recorded(shop, "o-read") == {}, "terms of the feed are known from there"
    assert state(shop, "SA", "o-read", 7_100, after=1, now=hours[2]) == "accepted"
    assert recorded(shop, "o-read") == {"SA": [hours[2], 7_100, True]}
    assert state(shop, "SA", "o-read", 9_000, after=3).reason == "own_price"
    assert recorded(shop, "o-read") == {"SA": [hours[2], 7_100, True]}, "what waits is not in force"
    decide(shop, "SA", "o-read", now=hours[4])
    assert recorded(shop, "o-read") == {"SA": [hours[4], 9_000, True]}
    assert state(shop, "SA", "o-read", 9_000, after=5, active=False) == "accepted"
    assert recorded(shop, "o-read") == {"SA": [hours[5], 9_000, False]}


class LakeOf:
    """A lake with nothing but versions of offers."""

    def __init__(self, *offers):
        self._offers = pl.DataFrame(
            [
                {"supplier_id": "SA", "sku_id": sku, "valid_from": at, "supply_price_cents": cents,
                 "stock_qty": None, "lead_time_days": 1, "min_order_qty": 1, "ship_from_region": "east",
                 "is_active": active}
                for sku, at, cents, active in offers
            ],
            schema_overrides={"is_active": pl.Boolean, "stock_qty": pl.Int64},
        )  # fmt: skip

    def scan(self, table):
        if table == "offers":
            return self._offers.lazy()
        columns = ("merchant_id", "sku_id", "valid_from", "list_price_cents", "is_listed")
        return pl.LazyFrame(
            schema=dict.fromkeys(columns, pl.String) | {"valid_from": pl.Datetime("us", "UTC")}
        )

    def read(self, table, columns):
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def test_what_was_stated_here_comes_home_from_the_lake_unchanged_and_newer_terms_of_the_feed_hold(shop):
    from pipelines.replay.catalogue import load_catalogue

    def replay(*offers):
        with shop.transaction() as conn:
            load_catalogue(conn, LakeOf(*offers), NOW + timedelta(days=1))

    def stands():
        query = (
            "select supply_price_cents, reference_price_cents, is_active, in_force_at from orders.offer"
            " where sku_id = 'o-home'"
        )
        return shop.sql(query)[0]

    taken = NOW + timedelta(hours=2)
    shop.supply("SA", "o-home", 9, price=7_000)
    state(shop, "SA", "o-home", 7_100, after=1, now=taken)
    replay(("o-home", taken, 7_100, True))
    assert stands() == (7_100, 7_000, True, taken)
    replay(("o-home", taken, 7_100, True), ("o-home", taken + timedelta(hours=1), 8_000, None))
    assert stands() == (8_000, None, True, None)
    replay(("o-home", taken + timedelta(hours=2), 8_000, False))
    assert stands() == (8_000, None, False, None)
