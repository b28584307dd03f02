"""What is read of each table of the operational database, and how it becomes a contract table. SQL only.

Orders that were replayed from the lake are not read back: their rows came from there. Their money is: legs
and entries exist nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

VERSION_COLUMN = "_xact_id"
"""The transaction that wrote this version of the row."""
MOVEMENT_PREFIX = "op-"
"""Begins the id of every stock movement that was recorded here, so that no feed's movement has it."""

MESSAGE_PREFIX = "jm-"
"""Begins the id of every message that a journey sent."""
FEEDBACK_PREFIX = "fb-"
"""Begins the id of every text that was recorded here."""


@dataclass(frozen=True)
class Stream:
    """One contract table as the operational database records it.

    Attributes:
        table: The contract table.
        key: Columns that identify a row.
        query: Select list in the order of the contract (`received_at` and `origin` last), then the version;
            the parameter `since` bounds the versions, `replayed` is the origin of what replayed orders
            settle. Instants are microseconds since 1970.
        absent: Columns of the contract that the database does not have.
    """

    table: str
    key: tuple[str, ...]
    query: str
    absent: frozenset[str] = frozenset()


def _us(expression: str) -> str:
    return f"(extract(epoch from {expression}) * 1000000)::bigint"


_ORIGIN = "case when o.source = 'replay' then %(replayed)s else 'observed' end"

# Every word the orders' state machine has.
_STATE = """case o.status when 'placed' then 'unpaid' when 'cancelled' then 'cancelled'
             when 'refunded' then 'refunded' else 'paid' end"""

_ORDERS = Stream(
    "orders",
    ("order_id",),
    f"""
    select o.order_id, o.consumer_id, o.merchant_id, o.agent_id, o.channel, {_us("o.placed_at")},
           {_us("o.paid_at")}, o.status, {_STATE}, o.coupon_discount_cents, o.freight_cents,
           {_us("o.placed_at")}, 'observed', o.xact_id::text as xact_id
    from orders.customer_order o
    where o.xact_id >= %(since)s::xid8 and o.source = 'api'
    order by o.placed_at, o.order_id
    """,
)

# A line has no version of its own: a change of it writes the order as well.
_ORDER_LINES = Stream(
    "order_lines",
    ("order_id", "line_no"),
    f"""
    select l.order_id, l.line_no, l.sku_id, l.supplier_id, l.qty * 1000, l.list_price_cents,
           l.promo_discount_cents, l.net_paid_cents, l.supply_price_cents, {_us("o.placed_at")}, 'observed',
           o.xact_id::text as xact_id
    from orders.customer_order o
    join orders.order_line l on l.tenant_id = o.tenant_id and l.order_id = o.order_id
    where o.xact_id >= %(since)s::xid8 and o.source = 'api'
    order by o.placed_at, l.order_id, l.line_no
    """,
    frozenset({"returned_order_id", "returned_line_no"}),
)

# Goods of a drop-shipper lie with the supplier: he is the warehouse, unless he says where they lie.
_STOCK = Stream(
    "inventory_movements",
    ("movement_id",),
    f"""
    select '{MOVEMENT_PREFIX}' || m.movement_id, coalesce(m.warehouse_id, m.supplier_id), m.sku_id,
           m.supplier_id, m.qty_delta,
           m.reason, {_us("m.occurred_at")}, {_us("m.occurred_at")}, 'observed', m.xact_id::text as xact_id
    from orders.stock_movement m
    left join orders.customer_order o on o.tenant_id = m.tenant_id and o.order_id = m.order_id
    where m.xact_id >= %(since)s::xid8 and coalesce(o.source, 'api') = 'api'
    order by m.movement_id
    """,
)

_SHIPMENTS = Stream(
    "shipments",
    ("shipment_id",),
    f"""
    select s.shipment_id, s.order_id, s.supplier_id, coalesce(s.from_region, 'unknown'),
           coalesce(s.to_region, 'unknown'), {_us("s.promised_at")}, {_us("s.shipped_at")},
           {_us("s.delivered_at")}, {_us("s.shipped_at")}, 'observed', s.xact_id::text as xact_id
    from orders.shipment s
    join orders.customer_order o on o.tenant_id = s.tenant_id and o.order_id = s.order_id
    where s.xact_id >= %(since)s::xid8 and o.source = 'api'
    order by s.shipped_at, s.shipment_id
    """,
    frozenset({"last_node", "last_node_at"}),
)

# A case about freight (line 0) is not a case of a line; its money is in the ledger.
_AFTER_SALES = Stream(
    "after_sales",
    ("case_id",),
    f"""
    select a.case_id, a.order_id, a.line_no, a.kind, a.reason_code, {_us("a.opened_at")},
           {_us("a.resolved_at")}, case when a.status = 'refunded' then a.refund_cents end,
           {_us("a.opened_at")}, 'observed', a.xact_id::text as xact_id
    from orders.after_sale a
    join orders.customer_order o on o.tenant_id = a.tenant_id and o.order_id = a.order_id
    where a.xact_id >= %(since)s::xid8 and o.source = 'api' and a.line_no >= 1
    order by a.opened_at, a.case_id
    """,
)

_EVENTS = Stream(
    "events",
    ("event_id",),
    f"""
    select e.event_id, e.consumer_id, e.anonymous_id, e.session_id, e.event_type, e.sku_id, e.query,
           e.dwell_ms, e.position, e.policy_version, e.propensity, {_us("e.occurred_at")},
           {_us("e.received_at")}, 'observed', e.xact_id::text as xact_id
    from events.event e
    where e.xact_id >= %(since)s::xid8
    order by e.occurred_at, e.event_id
    """,
)

# A click becomes a touch when the shop says whose it was; one whose person was erased names nobody any more.
_TOUCHES = Stream(
    "touches",
    ("touch_id",),
    f"""
    select c.click_id, c.consumer_id, c.anonymous_id, l.channel, l.campaign, null, {_us("c.occurred_at")},
           {_us("c.named_at")}, 'observed', c.xact_id::text as xact_id
    from links.click c
    join links.link l using (tenant_id, link_id)
    where c.xact_id >= %(since)s::xid8 and (c.consumer_id is not null or c.anonymous_id is not null)
    order by c.occurred_at, c.click_id
    """,
)

# Neither the words nor the person, nor the order by which one could be found.
_FEEDBACK = Stream(
    "feedback",
    ("feedback_id",),
    f"""
    select '{FEEDBACK_PREFIX}' || f.number, f.merchant_id, f.sku_id, f.rating, f.is_verified, f.topic,
           f.sentiment, {_us("f.occurred_at")}, {_us("f.answered_at")}, {_us("f.received_at")}, 'observed',
           f.xact_id::text as xact_id
    from feedback.message f
    where f.xact_id >= %(since)s::xid8
    order by f.number
    """,
)

_CONSENTS = Stream(
    "consents",
    ("consumer_id", "purpose", "stated_at"),
    f"""
    select c.consumer_id, c.purpose, {_us("c.stated_at")}, c.granted, c.source, {_us("c.received_at")},
           'observed', c.xact_id::text as xact_id
    from consumers.consent c
    where c.xact_id >= %(since)s::xid8
    order by c.consumer_id, c.purpose, c.stated_at
    """,
)

_EDGES = Stream(
    "identity_edges",
    ("anonymous_id", "consumer_id", "valid_from"),
    f"""
    select i.anonymous_id, i.consumer_id, {_us("i.valid_from")}, i.evidence, {_us("i.revoked_at")},
           {_us("i.received_at")}, 'observed', i.xact_id::text as xact_id
    from identity.edge i
    where i.xact_id >= %(since)s::xid8
    order by i.anonymous_id, i.consumer_id, i.valid_from
    """,
)

# Which merchant it concerns is kept there; the contract's price is of the sku everywhere.
_COMPETITOR_PRICES = Stream(
    "competitor_prices",
    ("sku_id", "competitor", "observed_at"),
    f"""
    select p.sku_id, p.competitor, {_us("p.observed_at")}, p.price_cents, {_us("p.received_at")},
           'observed', p.xact_id::text as xact_id
    from market.competitor_price p
    where p.xact_id >= %(since)s::xid8
    order by p.observed_at, p.sku_id, p.competitor
    """,
)

_PRICE_CHANGES = Stream(
    "price_changes",
    ("merchant_id", "sku_id", "changed_at"),
    f"""
    select p.merchant_id, p.sku_id, {_us("p.changed_at")}, p.price_cents, {_us("p.changed_at")},
           'observed', p.xact_id::text as xact_id
    from market.price_change p
    where p.xact_id >= %(since)s::xid8
    order by p.changed_at, p.merchant_id, p.sku_id
    """,
)

# Terms that were stated here, from when they were taken over; those that came from the lake are not read
# back. A statement says nothing of stock, whose counts are movements, or of capacity.
_OFFERS = Stream(
    "offers",
    ("supplier_id", "sku_id", "valid_from"),
    f"""
    select o.supplier_id, o.sku_id, {_us("o.in_force_at")}, o.supply_price_cents, o.lead_time_days,
           o.min_order_qty, coalesce(o.ship_from_region, 'unknown'), o.is_active, {_us("o.in_force_at")},
           'observed', o.xact_id::text as xact_id
    from orders.offer o
    where o.xact_id >= %(since)s::xid8 and o.in_force_at is not null
    order by o.supplier_id, o.sku_id
    """,
    frozenset({"stock_qty", "capacity_per_day"}),
)

_OBSERVATIONS = Stream(
    "supply_observations",
    ("observation_id",),
    f"""
    select w.observation_id, w.kind, w.supplier_id, w.warehouse_id, w.sku_id, w.shipment_id, w.batch_id,
           w.device_id, w.place, w.status, w.qty, w.reading, w.reading_unit, {_us("w.occurred_at")},
           {_us("w.received_at")}, 'observed', w.xact_id::text as xact_id
    from watch.observation w
    where w.xact_id >= %(since)s::xid8
    order by w.occurred_at, w.observation_id
    """,
)

# A line has no version of its own: a change of it moves its order. What the demonstration tells of the feed's
# deliveries came from the lake.
_PURCHASES = Stream(
    "purchase_lines",
    ("purchase_order_id", "sku_id"),
    f"""
    select l.purchase_order_id, l.sku_id, o.supplier_id, o.status, l.ordered_qty, l.confirmed_qty,
           l.received_qty, {_us("o.placed_at")}, o.expected_on, l.promised_on, {_us("a.arrived_at")},
           {_us("greatest(o.placed_at, o.answered_at, o.shipped_at, o.closed_at, a.arrived_at)")}, 'observed',
           o.xact_id::text as xact_id
    from purchasing.purchase_order o
    join purchasing.purchase_line l using (tenant_id, purchase_order_id)
    left join lateral (
        select max(m.occurred_at) as arrived_at from orders.stock_movement m
        where m.tenant_id = o.tenant_id and m.purchase_order_id = o.purchase_order_id and m.sku_id = l.sku_id
    ) a on true
    where o.xact_id >= %(since)s::xid8 and o.source <> 'feed'
    order by o.placed_at, l.purchase_order_id, l.sku_id
    """,
)

# What journeys sent. A message that waits, was withheld or would have been sent is none; what an erased
# person was told stays out.
_MESSAGES = Stream(
    "messages",
    ("message_id",),
    f"""
    select '{MESSAGE_PREFIX}' || m.message_id, m.consumer_id, m.journey_id, m.channel, {_us("m.sent_at")},
           case when m.opted_out_at is not null then 'opted_out' when m.state = 'failed' then 'failed'
                when m.converted_at is not null then 'converted' when m.clicked_at is not null then 'clicked'
                when m.state = 'delivered' then 'delivered' end,
           {_us("greatest(m.sent_at, m.told_at, m.clicked_at, m.opted_out_at, m.converted_at)")},
           case when r.source = 'simulated' then 'overlay' else 'observed' end, m.xact_id::text as xact_id
    from journeys.message m
    join journeys.run r using (tenant_id, run_id)
    where m.xact_id >= %(since)s::xid8 and m.sent_at is not null and m.consumer_id not like 'erased-%%'
    order by m.sent_at, m.message_id
    """,
)
# Lines of a part that was taken, as far as nothing of them was refused, and what was refused.
_ANSWERS = Stream(
    "supply_answers",
    ("order_id", "line_no", "supplier_id"),
    f"""
    with refused as (
        select r.* from orders.refused_line r join orders.customer_order o using (tenant_id, order_id)
        where o.source = 'api'
    )
    select r.order_id, r.line_no, r.supplier_id, r.sku_id, r.ordered_qty, r.kept_qty, {_us("r.refused_at")},
           {_us("r.refused_at")}, 'observed', r.xact_id::text as xact_id
    from refused r
    where r.xact_id >= %(since)s::xid8
    union all
    select l.order_id, l.line_no, l.supplier_id, l.sku_id, l.qty, l.qty, {_us("s.accepted_at")},
           {_us("s.accepted_at")}, 'observed', o.xact_id::text
    from orders.customer_order o
    join orders.sub_order s on s.tenant_id = o.tenant_id and s.order_id = o.order_id
    join orders.order_line l on l.tenant_id = o.tenant_id and l.order_id = o.order_id
        and l.supplier_id = s.supplier_id
    where o.xact_id >= %(since)s::xid8 and o.source = 'api' and s.accepted_at is not null
        and not exists (
            select from orders.refused_line r where r.tenant_id = l.tenant_id and r.order_id = l.order_id
                and r.line_no = l.line_no and r.supplier_id = l.supplier_id
        )
    order by 1, 2, 3
    """,
)

_GRADES = Stream(
    "grade_changes",
    ("change_id",),
    f"""
    select 'g-' || g.change_no, g.supplier_id, nullif(g.category_id, ''), g.grade, g.gate, g.score_low,
           {_us("g.graded_at")}, {_us("g.graded_at")}, 'observed', g.xact_id::text as xact_id
    from supply.grade_change g
    where g.xact_id >= %(since)s::xid8
    order by g.change_no
    """,
)

_LEVELS = Stream(
    "level_changes",
    ("change_id",),
    f"""
    select 'lv-' || c.change_no, c.consumer_id, c.cause, c.level, c.growth, c.growth_to_next, c.is_at_risk,
           {_us("c.changed_at")}, {_us("c.changed_at")}, 'observed', c.xact_id::text as xact_id
    from members.change c
    where c.xact_id >= %(since)s::xid8
    order by c.change_no
    """,
)

_DECISIONS = Stream(
    "assortment_decisions",
    ("merchant_id", "sku_id", "version"),
    f"""
    select d.merchant_id, d.sku_id, d.version, d.is_taken, d.reason_code, {_us("d.decided_at")},
           {_us("d.until_at")}, d.rank, d.basis, d.propensity, d.category_id, d.supplier_id, d.expected_qty,
           d.list_price_cents, {_us("d.decided_at")}, 'observed', d.xact_id::text as xact_id
    from assortment.decision d
    where d.xact_id >= %(since)s::xid8
    order by d.decision_no
    """,
)

_LEGS = Stream(
    "settlement_legs",
    ("leg_id",),
    f"""
    select l.leg_id, l.order_id, l.line_no, l.supplier_id, l.kind, l.scenario, l.rule_id, l.plan_id,
           l.plan_version, l.payee_type,
           case when l.payee_type = 'platform' then 'platform' else l.payee_id end, l.level, l.base,
           l.base_cents, l.rate_bps, l.wanted_cents, l.amount_cents, l.reversed_cents, l.rounding_cents,
           l.forfeited_cents, l.cut_reason, l.explanation, l.state, l.is_unfrozen, l.is_replaced,
           {_us("l.accrued_at")}, {_us("l.released_at")}, {_us("l.accrued_at")}, {_ORIGIN},
           l.xact_id::text as xact_id
    from settlement.leg l
    join orders.customer_order o on o.tenant_id = l.tenant_id and o.order_id = l.order_id
    where l.xact_id >= %(since)s::xid8
    order by l.leg_id
    """,
)

# A pay-out belongs to no order: it was generated when its batch was made for replayed orders.
_ENTRIES = Stream(
    "ledger_entries",
    ("entry_id",),
    f"""
    select e.transaction_id || '-' || e.entry_no, e.transaction_id, e.entry_no, t.kind, t.order_id, a.kind,
           a.party_type, case when a.party_type = 'platform' then 'platform' else a.party_id end, e.unit,
           e.amount, e.leg_id, {_us("t.booked_at")}, {_us("t.booked_at")},
           case when t.idempotency_key like 'payout:replay-%%' then %(replayed)s else {_ORIGIN} end,
           t.xact_id::text as xact_id
    from ledger.transaction t
    join ledger.entry e on e.transaction_id = t.transaction_id
    join ledger.account a on a.account_id = e.account_id
    left join orders.customer_order o on o.tenant_id = t.tenant_id and o.order_id = t.order_id
    where t.xact_id >= %(since)s::xid8
    order by e.transaction_id, e.entry_no
    """,
)

RECORDED: Mapping[str, tuple[Stream, ...]] = MappingProxyType(
    {
        "feeds": (
            _ORDERS,
            _ORDER_LINES,
            _STOCK,
            _SHIPMENTS,
            _AFTER_SALES,
            _EVENTS,
            _TOUCHES,
            _FEEDBACK,
            _CONSENTS,
            _EDGES,
            _COMPETITOR_PRICES,
            _OFFERS,
        ),
        "observations": (_OBSERVATIONS,),
        # The platform's own output: what its runs and ticks brought into force, ordered and sent, and what
        # was answered to it.
        "prices": (_PRICE_CHANGES, _PURCHASES, _MESSAGES, _ANSWERS, _GRADES, _LEVELS, _DECISIONS),
        "books": (_LEGS, _ENTRIES),
    }
)
"""Streams by group; a group is read on one snapshot."""
