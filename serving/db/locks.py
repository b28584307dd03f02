"""Every lock that a transaction waits for, and the one order in which transactions take them.

The order; a transaction takes locks from the top down, and skips what it does not need:

0. a batch of approvals, the subject of an approval, requests for approval by id: what is approved happens
   in the transaction of the decision;
1. gates: the nonce and the fact of a notice (their rows), erasures, the months of tiers, regions, plans, an
   idempotency key (its row), skus of a supplier, the prices in force, bills and
   receivers of an account, what is ordered at suppliers, the journeys, the members and the experiments
   of a tenant, the tests of a channel, a material, trainings, the alarms and the record of the supply watch,
   the history of grades, a system that pushes stock, a community, a promotion, a buyer in a promotion, a
   group of buyers, a purchase invoice that is stated;
2. orders, by id; 3. their sub-orders, by supplier; 4. the name of a parcel; a purchase order; a transfer;
5. stock, by supplier and sku; the brake of the tenant (what quality and supervision hold); warehouses with
   a limit, by id; the loss budget of a merchant and day;
6. the name of a fee, fees, pay-outs, requests to channels and misfits, by id;
7. agents, by id; 8. parties, by type and id; 9. the consumer;
10. holds, by id;
11. accounts that are opened, by kind and party; 12. balances of money, by id; 13. of points, by id;
14. coupons, by code; 15. their programmes, by id.

Whoever waits holds only what stands above, so nobody waits in a circle. Locks of one level are taken in one
call. The consumer comes before the balances: which balances a payment moves depends on whether it is the
consumer's first. Rows that are claimed with `CLAIMED` are taken only where nobody holds them: that waits for
nobody. `balances_of_orders` takes every balance that work on orders can move, so that work in several
postings stays one level.

Nothing outside of this module and the functions of the migrations locks; a test reads the sources.
See ADR 33.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

CLAIMED = " for update skip locked"
"""Ends a query that takes only the rows that nobody holds."""
CLAIMED_ORDERS = " for update of o, s skip locked"
"""The same for a query over sub-orders `s` with their orders `o`."""
CLAIMED_PAYOUTS = " for update of o skip locked"
"""The same for a query over pay-outs `o` with what belongs to them."""
TAKE_MIGRATIONS = f"select pg_advisory_xact_lock({0x6D757975})"
"""One process at a time changes the schema; a statement, since migrations have a driver of their own."""

_ERASURES = 0x65726165
"""Also in the function `consumers.erase` of the migrations."""
_PUBLISHERS = 0x70756273
_DELTAS = 0x6C697665


# Approvals --------------------------------------------------------------------------------------------------


def approval_batch(conn: Connection, tenant_id: str, batch_id: int) -> None:
    """Lock a frozen selection of requests."""
    conn.execute(
        "select from approvals.batch where tenant_id = %s and batch_id = %s for update", (tenant_id, batch_id)
    )


def approval_subject(conn: Connection, tenant_id: str, kind: str, subject: tuple[str, str]) -> None:
    """Be the one who asks about a subject."""
    _name(conn, "approvals.subject", "\x1f".join((tenant_id, kind, *subject)))


def approvals(conn: Connection, tenant_id: str, approval_ids: Sequence[int]) -> None:
    """Lock requests, and those about the same subjects that stand: a newer one in effect ends them."""
    conn.execute(
        "select from approvals.request r where r.tenant_id = %(tenant)s and (r.approval_id = any(%(ids)s)"
        " or (r.state in ('approved', 'in_effect') and (r.kind, r.subject_type, r.subject_id) in"
        "     (select n.kind, n.subject_type, n.subject_id from approvals.request n"
        "      where n.tenant_id = %(tenant)s and n.approval_id = any(%(ids)s))))"
        " order by r.approval_id for update of r",
        {"tenant": tenant_id, "ids": list(approval_ids)},
    )


# Gates ------------------------------------------------------------------------------------------------------


def community_stays(conn: Connection, tenant_id: str, merchant_id: str, community_id: str) -> None:
    """Keep a community from being closed until commit, with others who join it or plan in it."""
    conn.execute(
        "select from communities.community where tenant_id = %s and merchant_id = %s and community_id = %s"
        " for share",
        (tenant_id, merchant_id, community_id),
    )


def community(conn: Connection, tenant_id: str, merchant_id: str, community_id: str) -> None:
    """Be the one who closes a community; whoever joins it or plans in it is waited for."""
    conn.execute(
        "select from communities.community where tenant_id = %s and merchant_id = %s and community_id = %s"
        " for update",
        (tenant_id, merchant_id, community_id),
    )


def promotion(conn: Connection, tenant_id: str, promotion_id: str) -> None:
    """Lock a promotion whose state is going to change; orders that take of it do not."""
    conn.execute(
        "select from promotions.promotion where tenant_id = %s and promotion_id = %s for update",
        (tenant_id, promotion_id),
    )


def promotion_buyer(conn: Connection, tenant_id: str, promotion_id: str, consumer_id: str) -> None:
    """Two orders of one buyer for one promotion come one after the other."""
    _name(conn, "promotions.buyer", "\x1f".join((tenant_id, promotion_id, consumer_id)))


def group_stays(conn: Connection, tenant_id: str, group_id: str) -> None:
    """Keep the state of a group of buyers until commit, with others who join."""
    conn.execute(
        "select from promotions.buying_group where tenant_id = %s and group_id = %s for share",
        (tenant_id, group_id),
    )


def group(conn: Connection, tenant_id: str, group_id: str) -> None:
    """Be the one who completes or ends a group of buyers; whoever joins it is waited for."""
    conn.execute(
        "select from promotions.buying_group where tenant_id = %s and group_id = %s for update",
        (tenant_id, group_id),
    )


def no_erasure(conn: Connection) -> None:
    """Let no erasure begin before this transaction ends; waits for one that is at work."""
    conn.execute("select pg_advisory_xact_lock_shared(%s)", (_ERASURES,))


def erasure(conn: Connection, tenant_id: str, consumer_id: str) -> None:
    """Be the one erasure at work, with the orders of the person in the order of their ids."""
    conn.execute("select pg_advisory_xact_lock(%s)", (_ERASURES,))
    conn.execute(
        "select from orders.customer_order where tenant_id = %s and consumer_id = %s"
        " order by order_id for update",
        (tenant_id, consumer_id),
    )


def month_close(conn: Connection, tenant_id: str) -> None:
    """Be the one close of the tiers of a tenant."""
    _name(conn, "agents.month_close", tenant_id)


def region(conn: Connection, tenant_id: str, region_code: str) -> None:
    """Be the one who grants a region."""
    _name(conn, "agents.protected_region", f"{tenant_id}/{region_code}")


def plans(conn: Connection, tenant_id: str) -> None:
    """Be the one who publishes plans of a tenant."""
    _name(conn, "settlement.plan", tenant_id)


def supplier_skus(conn: Connection, tenant_id: str, supplier_id: str, sku_ids: Iterable[str]) -> None:
    """Lock what a supplier may offer."""
    conn.execute(
        "select from orders.supplier_sku where tenant_id = %s and supplier_id = %s and sku_id = any(%s)"
        " order by sku_id for update",
        (tenant_id, supplier_id, sorted(set(sku_ids))),
    )


def offer_proposal(
    conn: Connection, tenant_id: str, supplier_id: str, sku_id: str, source_at: datetime
) -> None:
    """Lock an offer that waits for agreement; what its supplier may offer is locked."""
    conn.execute(
        "select from orders.offer_proposal where tenant_id = %s and supplier_id = %s and sku_id = %s"
        " and source_at = %s for update",
        (tenant_id, supplier_id, sku_id, source_at),
    )


def publishers(conn: Connection, wait_s: float) -> None:
    """Be the one publisher of scores.

    Raises:
        psycopg.errors.LockNotAvailable: Another one did not end in time.
    """
    _patiently(conn, _PUBLISHERS, wait_s)


def live_deltas(conn: Connection, wait_s: float) -> None:
    """Be the one who lays a delta over the published scores.

    Raises:
        psycopg.errors.LockNotAvailable: Another one did not end in time.
    """
    _patiently(conn, _DELTAS, wait_s)


def prices_in_force(conn: Connection, tenant_id: str) -> None:
    """Be the one who changes which prices of a tenant are in force: a publication, a delta, an approval."""
    _name(conn, "market.price_change", tenant_id)


def publication(conn: Connection, tenant_id: str, version: str) -> bool:
    """Keep a published version from being dropped; whether there is one."""
    row = conn.execute(
        "select 1 from scores.publication where tenant_id = %s and version = %s for key share",
        (tenant_id, version),
    )
    return row.fetchone() is not None


def data_keys(conn: Connection, *, alone: bool) -> None:
    """Add a data key; `alone`: wrap all of them anew, after everybody who adds one."""
    mode = "share row exclusive" if alone else "row exclusive"
    conn.execute(f"lock table privacy.data_key in {mode} mode".encode())


def seal_mark(conn: Connection) -> str | None:
    """Be the one who seals the hash chain; up to which transaction it is sealed."""
    row = conn.execute("select xact_id::text from ledger.mark where job = 'seal' for update").fetchone()
    return None if row is None else str(row[0])


# Orders -----------------------------------------------------------------------------------------------------


def orders(conn: Connection, tenant_id: str, order_ids: Iterable[str]) -> list[str]:
    """Lock orders in the order of their ids; ids of those that there are."""
    rows = conn.execute(
        "select order_id from orders.customer_order where tenant_id = %s and order_id = any(%s)"
        " order by order_id for update",
        (tenant_id, sorted(set(order_ids))),
    )
    return [order_id for (order_id,) in rows]


def sub_orders(conn: Connection, tenant_id: str, order_id: str) -> None:
    """Lock the sub-orders of an order that is locked."""
    conn.execute(
        "select from orders.sub_order where tenant_id = %s and order_id = %s order by supplier_id for update",
        (tenant_id, order_id),
    )


def parcel(conn: Connection, tenant_id: str, shipment_id: str) -> None:
    """Two notices with one id on different orders do not wait for each other's order: here they do."""
    _name(conn, "orders.shipment", f"{tenant_id}/{shipment_id}")


def purchases(conn: Connection, tenant_id: str) -> None:
    """Be the one who orders at suppliers what is suggested: what is on order counts against it."""
    _name(conn, "purchasing.purchase_order", tenant_id)


def journeys(conn: Connection, tenant_id: str) -> None:
    """Be the one who moves runs of journeys: what one sends counts against the cap of the next."""
    _name(conn, "journeys.run", tenant_id)


def members(conn: Connection, tenant_id: str) -> None:
    """Be the one who closes a day of members, or changes their programme: a stay gives its coupon once."""
    _name(conn, "members.standing", tenant_id)


def experiments(conn: Connection, tenant_id: str) -> None:
    """Be the one who drafts, starts and stops experiments: what one takes of a layer no other gets."""
    _name(conn, "experiments.experiment", tenant_id)


def channel_tests(conn: Connection, tenant_id: str, channel: str) -> None:
    """Be the one who declares tests of a channel: of those that overlap one stands."""
    _name(conn, "channel_tests.test", f"{tenant_id}/{channel}")


def journey_task(conn: Connection, tenant_id: str, task_id: int) -> None:
    """Lock a task of a journey."""
    conn.execute(
        "select from journeys.task where tenant_id = %s and task_id = %s for update", (tenant_id, task_id)
    )


def trainings(conn: Connection, tenant_id: str) -> None:
    """Be the one who gives seats of trainings: who is in a lot is in no other one meanwhile."""
    _name(conn, "reviews.training", tenant_id)


def material(conn: Connection, tenant_id: str, material_id: str) -> None:
    """Lock a material."""
    conn.execute(
        "select from materials.material where tenant_id = %s and material_id = %s for update",
        (tenant_id, material_id),
    )


def watch(conn: Connection, tenant_id: str) -> None:
    """Be the one who changes alarms of the supply watch."""
    _name(conn, "watch.alarm", tenant_id)


def watch_record(conn: Connection, tenant_id: str) -> None:
    """Be the one who seals the record of the supply watch."""
    _name(conn, "watch.block", tenant_id)


def grade_history(conn: Connection, tenant_id: str) -> None:
    """Be the one who writes the history of grades: of two gradings at once each would write what is new."""
    _name(conn, "supply.grade_change", tenant_id)


def push_source_stays(conn: Connection, tenant_id: str, source_id: str) -> None:
    """Keep a system that pushes stock from being renewed or ended."""
    conn.execute(
        "select from orders.push_source where tenant_id = %s and source_id = %s for share",
        (tenant_id, source_id),
    )


def purchase_order(conn: Connection, tenant_id: str, purchase_order_id: str) -> None:
    """Lock a purchase order."""
    conn.execute(
        "select from purchasing.purchase_order where tenant_id = %s and purchase_order_id = %s for update",
        (tenant_id, purchase_order_id),
    )


def transfer(conn: Connection, tenant_id: str, transfer_id: str) -> None:
    """Lock a transfer between warehouses."""
    conn.execute(
        "select from transfers.transfer where tenant_id = %s and transfer_id = %s for update",
        (tenant_id, transfer_id),
    )


def stock(conn: Connection, tenant_id: str, keys: Iterable[tuple[str, str]]) -> None:
    """Lock stock of (supplier, sku)."""
    wanted = sorted(set(keys))
    conn.execute(
        "select from orders.stock s join unnest(%(suppliers)s::text[], %(skus)s::text[])"
        " as n (supplier_id, sku_id) using (supplier_id, sku_id) where s.tenant_id = %(tenant)s"
        " order by s.supplier_id, s.sku_id for update of s",
        {
            "tenant": tenant_id,
            "suppliers": [supplier for supplier, _ in wanted],
            "skus": [sku for _, sku in wanted],
        },
    )


def stock_of_skus(conn: Connection, tenant_id: str, sku_ids: Iterable[str]) -> list[str]:
    """Lock the stock of skus at every supplier; the suppliers."""
    rows = conn.execute(
        "select supplier_id from orders.stock where tenant_id = %s and sku_id = any(%s)"
        " order by supplier_id, sku_id for update",
        (tenant_id, sorted(set(sku_ids))),
    )
    return sorted({supplier_id for (supplier_id,) in rows})


def invoice(conn: Connection, tenant_id: str, invoice_id: str) -> None:
    """Be the one who states a purchase invoice: of two statements at once each sees the other."""
    _name(conn, "supervision.invoice", f"{tenant_id}/{invoice_id}")


def brake_stays(conn: Connection, tenant_id: str) -> None:
    """Keep what the quality brake and supervision hold as it is until commit, with others who sell."""
    conn.execute("select pg_advisory_xact_lock_shared(hashtext('quality.brake'), hashtext(%s))", (tenant_id,))


def brake(conn: Connection, tenant_id: str) -> None:
    """Be the one who changes what the quality brake or supervision holds, after everybody about to sell."""
    _name(conn, "quality.brake", tenant_id)


def warehouses(conn: Connection, tenant_id: str, warehouse_ids: Sequence[str]) -> None:
    """Lock those of some warehouses that have a limit a day."""
    conn.execute(
        "select from supply.warehouse where tenant_id = %s and warehouse_id = any(%s)"
        " and capacity_per_day is not null order by warehouse_id for update",
        (tenant_id, list(warehouse_ids)),
    )


def every_warehouse(conn: Connection, tenant_id: str) -> None:
    """Lock all warehouses of a tenant, to put others in their place."""
    conn.execute(
        "select from supply.warehouse where tenant_id = %s order by warehouse_id for update", (tenant_id,)
    )


def loss_budget(conn: Connection, tenant_id: str, merchant_id: str, day: date) -> None:
    """Lock what a merchant may lose on a day, by an order that takes coupons before it knows its loss."""
    conn.execute(
        "select from orders.loss_budget where tenant_id = %s and merchant_id = %s and day = %s for update",
        (tenant_id, merchant_id, day),
    )


# Papers and people ------------------------------------------------------------------------------------------


def fee_name(conn: Connection, tenant_id: str, fee_id: str) -> None:
    """Two bookings of one fee come one after the other."""
    _name(conn, "settlement.fee", f"{tenant_id}/{fee_id}")


def fee(conn: Connection, tenant_id: str, fee_id: str) -> None:
    """Lock a fee."""
    conn.execute(
        "select from settlement.service_fee where tenant_id = %s and fee_id = %s for update",
        (tenant_id, fee_id),
    )


def payout(conn: Connection, tenant_id: str, payout_id: str) -> None:
    """Lock a pay-out."""
    conn.execute(
        "select from settlement.payout where tenant_id = %s and payout_id = %s for update",
        (tenant_id, payout_id),
    )


def misfit(conn: Connection, tenant_id: str, misfit_id: int) -> None:
    """Lock money that fits nothing."""
    conn.execute(
        "select from channels.misfit where tenant_id = %s and misfit_id = %s for update",
        (tenant_id, misfit_id),
    )


def receivers(conn: Connection, tenant_id: str, channel_id: str) -> None:
    """Be the one who registers receivers of an account at a channel."""
    _name(conn, "channels.receiver", f"{tenant_id}/{channel_id}")


def bills_of_account(conn: Connection, tenant_id: str, channel_id: str) -> None:
    """Be the one who takes the bills of an account at a channel."""
    _name(conn, "settlement.channel_bill", f"{tenant_id}/{channel_id}")


def channel_request(conn: Connection, tenant_id: str, reference: str) -> None:
    """Lock a request to a payment channel."""
    conn.execute(
        "select from channels.request where tenant_id = %s and reference = %s for update",
        (tenant_id, reference),
    )


def agent(conn: Connection, tenant_id: str, agent_id: str) -> None:
    """Lock an agent."""
    conn.execute(
        "select from agents.agent where tenant_id = %s and agent_id = %s for update", (tenant_id, agent_id)
    )


def agents(conn: Connection, tenant_id: str) -> None:
    """Lock all agents of a tenant."""
    conn.execute("select from agents.agent where tenant_id = %s order by agent_id for update", (tenant_id,))


def party(conn: Connection, tenant_id: str, party_type: str, party_id: str) -> bool:
    """Lock a party; whether there is one."""
    row = conn.execute(
        "select 1 from parties.party where tenant_id = %s and party_type = %s and party_id = %s for update",
        (tenant_id, party_type, party_id),
    )
    return row.fetchone() is not None


def parties_stay(
    conn: Connection, tenant_id: str, parties: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], bool]:
    """Keep parties as they are until commit, together with others who do; (type, id) to whether verified."""
    rows = conn.execute(
        "select p.party_type, p.party_id, p.is_verified from parties.party p"
        " where p.tenant_id = %s and (p.party_type, p.party_id) in"
        " (select * from unnest(%s::text[], %s::text[])) order by p.party_type, p.party_id for share",
        (tenant_id, [kind for kind, _ in parties], [party_id for _, party_id in parties]),
    )
    return {(kind, party_id): is_verified for kind, party_id, is_verified in rows}


def consumer(conn: Connection, tenant_id: str, consumer_id: str) -> None:
    """Two orders of one buyer that are paid at once come one after the other."""
    _name(conn, "orders.consumer", f"{tenant_id}/{consumer_id}")


def holds(conn: Connection, tenant_id: str, hold_ids: Iterable[int]) -> None:
    """Lock holds."""
    conn.execute(
        "select from settlement.hold where tenant_id = %s and hold_id = any(%s) order by hold_id for update",
        (tenant_id, sorted(set(hold_ids))),
    )


# Money ------------------------------------------------------------------------------------------------------


def balances(conn: Connection, tenant_id: str, account_ids: Iterable[int]) -> dict[int, int]:
    """Lock balances; account id to what it holds, for the accounts that have a balance row."""
    rows = conn.execute(
        "select account_id, amount from ledger.lock_balances(%s, %s::bigint[])",
        (tenant_id, sorted(set(account_ids))),
    )
    return {int(account_id): int(amount) for account_id, amount in rows}


def balances_of_orders(
    conn: Connection, tenant_id: str, order_ids: Sequence[str], suppliers: Iterable[str] = ()
) -> None:
    """Lock every balance that a refund or a re-routing of orders can move, and open what it may need.

    The compensations that hang on the orders' legs come first.

    Args:
        conn: Inside a transaction of the tenant that holds the orders' rows (and their stock).
        tenant_id: The tenant.
        order_ids: The orders.
        suppliers: Who may become a supplier of them.
    """
    conn.execute(
        "select from settlement.service_fee where tenant_id = %s and leg_id in (select leg_id"
        " from settlement.leg where tenant_id = %s and order_id = any(%s)) order by fee_id for update",
        (tenant_id, tenant_id, list(order_ids)),
    )
    rows = conn.execute(
        """
        with payee as (
            select payee_type as party_type, payee_id as party_id from settlement.leg
            where tenant_id = %(tenant)s and order_id = any(%(orders)s) and payee_type <> 'platform'
            union select 'supplier', supplier_id from unnest(%(suppliers)s::text[]) as s (supplier_id)
            union select party_type, party_id from settlement.discount_debt
            where tenant_id = %(tenant)s and order_id = any(%(orders)s)
            union select f.beneficiary_type, f.beneficiary_id from settlement.service_fee f
            join settlement.leg l using (tenant_id, leg_id)
            where f.tenant_id = %(tenant)s and l.order_id = any(%(orders)s)
        ), wanted as (
            select k.kind, p.party_type, p.party_id, k.kind not like '%%\\_locked' as is_opened
            from payee p cross join lateral (values ('clawback_receivable'),
                (p.party_type || '_pending'), (p.party_type || '_available'), (p.party_type || '_locked')
            ) as k (kind)
            union all
            select 'consumer_points', 'consumer', o.consumer_id, false from orders.customer_order o
            where o.tenant_id = %(tenant)s and o.order_id = any(%(orders)s)
        ), ordered as (select * from wanted order by kind, party_type, party_id)
        select w.kind, coalesce(a.account_id, case when w.is_opened then
            ledger.open_account(%(tenant)s, w.kind, w.party_type, w.party_id) end)
        from ordered w left join ledger.account a on a.tenant_id = %(tenant)s and a.kind = w.kind
            and a.party_type = w.party_type and a.party_id = w.party_id
        order by w.kind, w.party_type, w.party_id
        """,
        {"tenant": tenant_id, "orders": list(order_ids), "suppliers": sorted(set(suppliers))},
    ).fetchall()
    found = [(kind, int(account_id)) for kind, account_id in rows if account_id is not None]
    balances(conn, tenant_id, [account_id for kind, account_id in found if kind != "consumer_points"])
    points = [account_id for kind, account_id in found if kind == "consumer_points"]
    if points:
        balances(conn, tenant_id, points)


# Budgets ----------------------------------------------------------------------------------------------------


def coupons(conn: Connection, tenant_id: str, codes: Iterable[str]) -> None:
    """Lock issued coupons."""
    conn.execute(
        "select from coupons.coupon where tenant_id = %s and code = any(%s) order by code for update",
        (tenant_id, sorted(set(codes))),
    )


def programmes(conn: Connection, tenant_id: str, programme_ids: Iterable[str]) -> None:
    """Lock coupon programmes: a budget has one writer at a time."""
    conn.execute(
        "select from coupons.programme where tenant_id = %s and programme_id = any(%s)"
        " order by programme_id for update",
        (tenant_id, sorted(set(programme_ids))),
    )


def _name(conn: Connection, kind: str, name: str) -> None:
    conn.execute("select pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", (kind, name))


def _patiently(conn: Connection, key: int, wait_s: float) -> None:
    conn.execute("select set_config('lock_timeout', %s, true)", (f"{int(wait_s * 1000)}ms",))
    conn.execute("select pg_advisory_xact_lock(%s)", (key,))
