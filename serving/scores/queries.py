"""The statements of the API. Each reads the version pointer and the rows in one statement, hence one state.

Every statement of a scored answer begins with the columns `version, as_of`; no row at all means that nothing
is published, or that a version which a cursor names was dropped or is another tenant's. Every statement binds
`tenant`; values are always bound, never pasted.
Snapshot ids come from uncorrelated sub-selects: the planner fills them in once and then uses the whole
primary key of the score table, whatever the statistics say.
"""

from __future__ import annotations

from typing import Final, LiteralString

from serving.experiments.trials import RUNNING_ON_LISTS
from serving.orders.assortment.orderable import not_for_sale
from serving.scores.in_force import DECIDED, HELD

_CURRENT: Final[LiteralString] = (
    "(select c.version from scores.current_publication c where c.tenant_id = %(tenant)s)"
)
_PINNED: Final[LiteralString] = f"coalesce(%(version)s::text, {_CURRENT})"


_LISTED: Final[LiteralString] = f"coalesce(%(list_version)s::text, {_CURRENT})"


def _snapshot(table: LiteralString, version: LiteralString) -> LiteralString:
    return (
        "(select t.snapshot_id from scores.publication_table t"
        f" where t.tenant_id = %(tenant)s and t.version = {version} and t.table_name = '{table}')"
    )


def current_snapshot(table: LiteralString) -> LiteralString:
    """The id of the rows of a table in the version that serves, as a sub-select; binds `tenant`."""
    return _snapshot(table, _CURRENT)


def _has(table: LiteralString, version: LiteralString, condition: LiteralString) -> LiteralString:
    return (
        f"exists (select from scores.{table} k where k.snapshot_id = {_snapshot(table, version)}"
        f" and {condition})"
    )


def _has_live_price(version: LiteralString, condition: LiteralString) -> LiteralString:
    return (
        f"exists (select from scores.live_price k where k.snapshot_id = {_snapshot('prices', version)}"
        f" and {condition})"
    )


def _knows_merchant(version: LiteralString) -> LiteralString:
    own: LiteralString = "k.merchant_id = %(merchant_id)s"
    return (
        f"({_has('popular_items', version, own)} or {_has('prices', version, own)}"
        f" or {_has_live_price(version, own)}"
        f" or {_has('recommendations', version, own)} or {_has('reorder_merchant_shares', version, own)})"
    )


def _belongs_to_merchant(consumer: LiteralString = "%(consumer_id)s") -> LiteralString:
    own: LiteralString = f"k.merchant_id = %(merchant_id)s and k.consumer_id = {consumer}"
    return (
        f"(%(merchant_id)s::text is null or {_has('recommendations', _CURRENT, own)}"
        f" or {_has('wakeup_list', _CURRENT, own)})"
    )


def _withdrew(consumer: LiteralString, *purposes: LiteralString) -> LiteralString:
    """Whether the consumer's latest word on any of the purposes was no."""
    listed: LiteralString = ", ".join(f"'{purpose}'" for purpose in purposes)
    return (
        "exists (select from consumers.standing_consent s where s.tenant_id = %(tenant)s"
        f" and s.consumer_id = {consumer} and s.purpose in ({listed}) and not s.granted)"
    )


def _withdrew_after(snapshot: LiteralString, purpose: LiteralString) -> LiteralString:
    """Whether the consumer's latest word on a purpose is a no that came after the rows were made.

    A refresh shows older rows again, so what counts is the newest whole publication that shows them.
    """
    return (
        f"({_withdrew('%(consumer_id)s', purpose)} and exists (select from consumers.consent s"
        f" where s.tenant_id = %(tenant)s and s.consumer_id = %(consumer_id)s and s.purpose = '{purpose}'"
        " and not s.granted and s.received_at > coalesce((select max(p.as_of) from scores.publication_table t"
        " join scores.publication p using (tenant_id, version) where t.tenant_id = %(tenant)s"
        f" and t.snapshot_id = {snapshot} and p.kind = 'full'), '-infinity')))"
    )


_CONTACT: Final[tuple[LiteralString, ...]] = ("marketing", "profiling")
"""Purposes without which nobody is contacted because of what a model says."""

# What ran out or lost its offers since the publication is told beside the list, not stored again.
RECOMMENDATIONS: Final[LiteralString] = f"""
select v.version, v.as_of, r.items::text, x.items::text,
  case when r.items is null then {_knows_merchant(_CURRENT)} else true end,
  ({not_for_sale("i.skus")}),
  case when r.items is not null then (
    select jsonb_agg(jsonb_build_array(a.event_type, a.sku_id))::text from (
      select e.event_type, e.sku_id from events.event e
      where e.tenant_id = %(tenant)s and e.consumer_id = %(consumer_id)s and e.merchant_id = %(merchant_id)s
        and e.sku_id is not null
        and e.event_type in ('view', 'favourite', 'add_to_cart', 'remove_from_cart', 'checkout')
        and e.occurred_at > v.as_of - interval '1 day'
      order by e.occurred_at desc limit %(most_acts)s) a) end,
  case when r.items is not null and %(list_version)s::text is null then {RUNNING_ON_LISTS} end
from scores.publication v
left join scores.recommendations r
  on %(own)s and r.snapshot_id = {_snapshot("recommendations", _LISTED)}
  and r.merchant_id = %(merchant_id)s and r.consumer_id = %(consumer_id)s
  and not {_withdrew("%(consumer_id)s", "profiling")}
  and not {_withdrew_after("r.snapshot_id", "cross_merchant")}
left join scores.popular_items x
  on r.items is null and x.snapshot_id = {_snapshot("popular_items", _LISTED)}
  and x.merchant_id = %(merchant_id)s
cross join lateral (
  select array(select jsonb_array_elements(coalesce(r.items, x.items)) ->> 'sku_id'
    limit %(looked_at)s) as skus offset 0) i
where v.tenant_id = %(tenant)s and v.version = {_LISTED}
"""

# What goes with what was acted upon.
SESSION_LINKS: Final[LiteralString] = f"""
select x.sku_id, x.items::text from scores.publication v
join scores.session_links x on x.snapshot_id = {_snapshot("session_links", _CURRENT)}
where v.tenant_id = %(tenant)s and v.version = {_CURRENT} and x.sku_id = any(%(skus)s)
"""

_PRICE_COLUMNS: Final[LiteralString] = """
x.sku_id, x.cost_cents, x.list_price_cents, x.price_cents, x.floor_cents, x.ceiling_cents, x.anchor_cents,
x.printed_formula_cents, x.elasticity, x.pricing_mode, x.action, x.explanation::text as explanation
"""


_SHOWN_PRICE_COLUMNS: Final[LiteralString] = """
x.sku_id, x.cost_cents, x.list_price_cents,
coalesce(h.price_cents, a.price_cents, x.price_cents), x.floor_cents,
x.ceiling_cents, x.anchor_cents, x.printed_formula_cents, x.elasticity, x.pricing_mode,
case when h.price_cents is not null then 'keep' when a.price_cents is null then x.action else 'publish' end,
x.explanation
"""


def _price_head(version: LiteralString) -> LiteralString:
    return f"""
select v.version, v.as_of, coalesce(p.revision, 0), p.as_of ->> 'prices',
  case when x.sku_id is null then {_knows_merchant(version)} else true end, {_SHOWN_PRICE_COLUMNS}
from scores.publication v
left join scores.live_pointer p on p.snapshot_id = {_snapshot("prices", version)}
"""


# A listing has its row in the overlay, else the one of the publication.
PRICE: Final[LiteralString] = f"""
{_price_head(_CURRENT)}
left join lateral (
  select {_PRICE_COLUMNS} from scores.live_price x
  where x.snapshot_id = {_snapshot("prices", _CURRENT)}
    and x.merchant_id = %(merchant_id)s and x.sku_id = %(sku_id)s
  union all
  select {_PRICE_COLUMNS} from scores.prices x
  where x.snapshot_id = {_snapshot("prices", _CURRENT)}
    and x.merchant_id = %(merchant_id)s and x.sku_id = %(sku_id)s
  limit 1) x on true
{DECIDED}
{HELD}
where v.tenant_id = %(tenant)s and v.version = {_CURRENT}
"""

PRICES: Final[LiteralString] = f"""
{_price_head(_PINNED)}
left join lateral (
  select * from (
    (select {_PRICE_COLUMNS} from scores.live_price x
    where x.snapshot_id = {_snapshot("prices", _PINNED)}
      and x.merchant_id = %(merchant_id)s and x.sku_id > %(after)s
    order by x.sku_id limit %(rows)s)
    union all
    (select {_PRICE_COLUMNS} from scores.prices x
    where x.snapshot_id = {_snapshot("prices", _PINNED)}
      and x.merchant_id = %(merchant_id)s and x.sku_id > %(after)s
      and not exists (select from scores.live_price l where l.snapshot_id = x.snapshot_id
        and l.merchant_id = x.merchant_id and l.sku_id = x.sku_id)
    order by x.sku_id limit %(rows)s)) y
  order by y.sku_id limit %(rows)s) x on true
{DECIDED}
{HELD}
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.sku_id
"""

REORDER_BY_SUPPLIER: Final[LiteralString] = f"""
select v.version, v.as_of,
  case when x.sku_id is null
    then {_has("reorder_suggestions", _PINNED, "k.supplier_id = %(supplier_id)s")} else true end,
  x.sku_id, x.on_hand_qty, x.lead_time_days, x.demand_mean_qty, x.demand_p90_qty, x.order_up_to_qty,
  x.reorder_qty, x.order_by_on, x.is_stalled, x.reason_code, x.explanation::text
from scores.publication v
left join lateral (
  select * from scores.reorder_suggestions y
  where y.snapshot_id = {_snapshot("reorder_suggestions", _PINNED)}
    and y.supplier_id = %(supplier_id)s and y.sku_id > %(after)s and y.reorder_qty >= %(min_qty)s
  order by y.sku_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.sku_id
"""

REORDER_BY_MERCHANT: Final[LiteralString] = f"""
select v.version, v.as_of, case when x.sku_id is null then {_knows_merchant(_PINNED)} else true end,
  x.sku_id, x.supplier_id, x.expected_qty, x.reorder_qty, s.order_by_on, s.reason_code
from scores.publication v
left join lateral (
  select * from scores.reorder_merchant_shares y
  where y.snapshot_id = {_snapshot("reorder_merchant_shares", _PINNED)}
    and y.merchant_id = %(merchant_id)s and (y.sku_id, y.supplier_id) > (%(after)s, %(after_supplier)s)
    and y.reorder_qty >= %(min_qty)s
  order by y.sku_id, y.supplier_id limit %(rows)s) x on true
left join scores.reorder_suggestions s
  on s.snapshot_id = {_snapshot("reorder_suggestions", _PINNED)}
  and s.supplier_id = x.supplier_id and s.sku_id = x.sku_id
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.sku_id, x.supplier_id
"""

_CLEARANCE: Final[LiteralString] = """
  x.sku_id, x.supplier_id, x.on_hand_qty, x.sold_qty, x.window_days, x.turnover_rate, x.days_to_clear_now,
  x.price_cents, x.cost_cents, x.elasticity, x.cuts::text
"""

CLEARANCE_BY_SUPPLIER: Final[LiteralString] = f"""
select v.version, v.as_of,
  case when x.sku_id is null
    then {_has("clearance_warnings", _PINNED, "k.supplier_id = %(supplier_id)s")}
      or {_has("reorder_suggestions", _PINNED, "k.supplier_id = %(supplier_id)s")} else true end,
  {_CLEARANCE}
from scores.publication v
left join lateral (
  select * from scores.clearance_warnings y
  where y.snapshot_id = {_snapshot("clearance_warnings", _PINNED)}
    and y.supplier_id = %(supplier_id)s and y.sku_id > %(after)s
  order by y.sku_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.sku_id
"""

# What a merchant is told about: the stock of what it has a price for.
CLEARANCE_BY_MERCHANT: Final[LiteralString] = f"""
select v.version, v.as_of, case when x.sku_id is null then {_knows_merchant(_PINNED)} else true end,
  {_CLEARANCE}
from scores.publication v
left join lateral (
  select y.* from scores.clearance_warnings y
  where y.snapshot_id = {_snapshot("clearance_warnings", _PINNED)}
    and (y.sku_id, y.supplier_id) > (%(after)s, %(after_supplier)s)
    and exists (select from scores.prices p where p.snapshot_id = {_snapshot("prices", _PINNED)}
      and p.merchant_id = %(merchant_id)s and p.sku_id = y.sku_id)
  order by y.sku_id, y.supplier_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.sku_id, x.supplier_id
"""

_GRADE: Final[LiteralString] = """
  x.supplier_id, x.grade, x.gate, x.score, x.score_low, x.score_high, x.quality, x.fulfilment, x.price,
  x.line_count, x.graded_on, x.explanation::text
"""
_IS_GRADED: Final[LiteralString] = f"""
  case when x.supplier_id is null and %(supplier_id)s::text is not null
    then {_has("supplier_grades", _PINNED, "k.supplier_id = %(supplier_id)s")} else true end
"""

SUPPLIER_GRADES: Final[LiteralString] = f"""
select v.version, v.as_of, {_IS_GRADED}, {_GRADE}, x.channels
from scores.publication v
left join lateral (
  select * from scores.supplier_grades y
  where y.snapshot_id = {_snapshot("supplier_grades", _PINNED)} and y.supplier_id > %(after)s
    and (%(supplier_id)s::text is null or y.supplier_id = %(supplier_id)s)
  order by y.supplier_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.supplier_id
"""

CHANNELS_OF_SUPPLIER: Final[LiteralString] = f"""
select v.version, v.as_of, {_IS_GRADED}, {_GRADE}, x.category_id, x.rank
from scores.publication v
left join lateral (
  select * from scores.channel_scores y
  where y.snapshot_id = {_snapshot("channel_scores", _PINNED)}
    and y.supplier_id = %(supplier_id)s and y.category_id > %(after)s
  order by y.category_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.category_id
"""

CHANNELS_OF_CATEGORY: Final[LiteralString] = f"""
select v.version, v.as_of,
  case when x.supplier_id is null
    then {_has("channel_scores", _PINNED, "k.category_id = %(category_id)s")} else true end,
  {_GRADE}, x.category_id, x.rank
from scores.publication v
left join lateral (
  select * from scores.channel_scores y
  where y.snapshot_id = {_snapshot("channel_scores", _PINNED)}
    and y.category_id = %(category_id)s and y.rank > %(after)s
  order by y.rank limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.rank
"""

SUPPLY_RESILIENCE: Final[LiteralString] = f"""
select v.version, v.as_of, true, x.category_id, x.units_per_day, x.suppliers, x.main_supplier_id,
  x.main_share, x.is_main_too_large, x.backup_share, x.is_backup_too_small, x.trial_share,
  x.trial_skus::text, x.moved_share, x.extra_cents_per_day
from scores.publication v
left join lateral (
  select * from scores.supply_resilience y
  where y.snapshot_id = {_snapshot("supply_resilience", _PINNED)} and y.category_id > %(after)s
  order by y.category_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.category_id
"""

SUPPLY_PROPOSALS: Final[LiteralString] = f"""
select v.version, v.as_of, true, x.category_id, x.sku_id, x.supplier_id, x.units_per_day, x.proposed_per_day
from scores.publication v
left join lateral (
  select * from scores.supply_proposals y
  where y.snapshot_id = {_snapshot("supply_proposals", _PINNED)}
    and (%(category_id)s::text is null or y.category_id = %(category_id)s)
    and (y.category_id, y.sku_id, y.supplier_id) > (%(after)s, %(after_sku)s, %(after_supplier)s)
  order by y.category_id, y.sku_id, y.supplier_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.category_id, x.sku_id, x.supplier_id
"""

SUPPLY_FAILURES: Final[LiteralString] = f"""
select v.version, v.as_of, true, x.supplier_id, x.horizon_days, x.skus, x.units, x.lost_units,
  x.lost_sales_cents, x.extra_cost_cents, x.extra_days, x.days_until_short, x.lost_skus::text
from scores.publication v
left join lateral (
  select * from scores.supply_failures y
  where y.snapshot_id = {_snapshot("supply_failures", _PINNED)}
    and (%(supplier_id)s::text is null or y.supplier_id = %(supplier_id)s) and y.supplier_id > %(after)s
  order by y.supplier_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.supplier_id
"""

ASSORTMENT: Final[LiteralString] = f"""
select v.version, v.as_of,
  case when x.merchant_id is null and %(merchant_id)s::text is not null
    then {_knows_merchant(_PINNED)} else true end,
  x.merchant_id, x.rank, x.sku_id, x.scene, x.category_id, x.horizon_days, x.expected_qty,
  x.expected_margin_cents, x.list_price_cents, x.supplier_id, x.supply_price_cents, x.backups::text,
  x.is_new_product, x.propensity, x.basis, x.reason_code, x.explanation::text,
  (select case when d.is_taken then 'taken' when d.until_at > v.as_of then 'refused' end
   from assortment.decision d
   where d.tenant_id = v.tenant_id and d.merchant_id = x.merchant_id and d.sku_id = x.sku_id
   order by d.decision_no desc limit 1)
from scores.publication v
left join lateral (
  select * from scores.assortment_suggestions y
  where y.snapshot_id = {_snapshot("assortment_suggestions", _PINNED)}
    and (%(merchant_id)s::text is null or y.merchant_id = %(merchant_id)s)
    and (y.merchant_id, y.rank) > (%(after)s, %(after_rank)s)
  order by y.merchant_id, y.rank limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.merchant_id, x.rank
"""

_WAKEUP: Final[LiteralString] = """
select v.version, v.as_of, x.rank, x.consumer_id, x.merchant_id, x.dormant_days, x.churn_probability,
  x.expected_value_cents, x.is_high_value, x.offer_code, x.offer_threshold_cents, x.offer_value_cents,
  x.reason_codes::text, x.is_control
"""

WAKEUP_ALL: Final[LiteralString] = f"""
{_WAKEUP}
from scores.publication v
left join lateral (
  select * from scores.wakeup_list y
  where y.snapshot_id = {_snapshot("wakeup_list", _PINNED)}
    and (y.rank, y.consumer_id) > (%(after_rank)s, %(after)s) and (%(with_control)s or not y.is_control)
    and not {_withdrew("y.consumer_id", *_CONTACT)}
  order by y.rank, y.consumer_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.rank, x.consumer_id
"""

WAKEUP_BY_MERCHANT: Final[LiteralString] = f"""
{_WAKEUP}, case when x.consumer_id is null then {_knows_merchant(_PINNED)} else true end
from scores.publication v
left join lateral (
  select * from scores.wakeup_list y
  where y.snapshot_id = {_snapshot("wakeup_list", _PINNED)} and y.merchant_id = %(merchant_id)s
    and (y.rank, y.consumer_id) > (%(after_rank)s, %(after)s) and (%(with_control)s or not y.is_control)
    and not {_withdrew("y.consumer_id", *_CONTACT)}
  order by y.rank, y.consumer_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.rank, x.consumer_id
"""

# Differs whenever any answer about profiles could: by a switch, a delta, a consent or an erasure.
HEAD: Final[LiteralString] = f"""
select v.version, v.as_of, t.snapshot_id, coalesce(p.revision, 0), p.as_of, g.change_no
from scores.publication v
join scores.publication_table t
  on t.tenant_id = v.tenant_id and t.version = v.version and t.table_name = 'profiles'
cross join consumers.change g
left join scores.live_pointer p on p.snapshot_id = t.snapshot_id
where v.tenant_id = %(tenant)s and v.version = {_CURRENT}
"""

# Whom the changes since a head were about: ids of a delta or a consent, digests of erasures.
CHANGED: Final[LiteralString] = """
select x.consumer_id, x.digest from (
  select l.consumer_id, null as digest from scores.live_profile l
  where l.snapshot_id = %(snapshot)s and l.revision > %(revision)s
  union all
  select c.consumer_id, null from consumers.consent c
  where c.tenant_id = %(tenant)s and c.change_no > %(change)s
  union all
  select null, e.consumer_digest from consumers.erasure e
  where e.tenant_id = %(tenant)s and e.change_no > %(change)s) x
limit %(rows)s
"""

PROFILES: Final[LiteralString] = f"""
select v.version, v.as_of, coalesce(p.revision, 0), p.as_of, w.consumer_id, x.as_of,
  coalesce(x.schema_fingerprint, p.schema_fingerprint), x.tags::text, l.tags::text,
  coalesce(l.is_removed, false) or not {_belongs_to_merchant("w.consumer_id")},
  (select jsonb_object_agg(s.purpose, s.granted) from consumers.standing_consent s
  where s.tenant_id = %(tenant)s and s.consumer_id = w.consumer_id)
from scores.publication v
cross join unnest(%(consumers)s::text[]) with ordinality w (consumer_id, place)
left join scores.live_pointer p on p.snapshot_id = {_snapshot("profiles", _CURRENT)}
left join scores.profiles x
  on x.snapshot_id = {_snapshot("profiles", _CURRENT)} and x.consumer_id = w.consumer_id
left join scores.live_profile l
  on l.snapshot_id = {_snapshot("profiles", _CURRENT)} and l.consumer_id = w.consumer_id
where v.tenant_id = %(tenant)s and v.version = {_CURRENT}
order by w.place
"""

REBUY: Final[LiteralString] = f"""
select v.version, v.as_of, case when not {_withdrew("%(consumer_id)s", *_CONTACT)} then x.items::text end,
  x.items is not null or ({_belongs_to_merchant()}
    and {_has("profiles", _CURRENT, "k.consumer_id = %(consumer_id)s")})
from scores.publication v
left join scores.rebuy_reminders x
  on x.snapshot_id = {_snapshot("rebuy_reminders", _CURRENT)} and x.consumer_id = %(consumer_id)s
  and {_belongs_to_merchant()}
where v.tenant_id = %(tenant)s and v.version = {_CURRENT}
"""

_ENTERED: Final[LiteralString] = (
    "m.left_on is null and m.entered_on > (v.as_of at time zone 'UTC')::date - %(days)s"
)
_LEFT: Final[LiteralString] = "m.left_on > (v.as_of at time zone 'UTC')::date - %(days)s"


def _members(condition: LiteralString) -> LiteralString:
    return (
        "(select count(*) from scores.segment_members m"
        f" where m.snapshot_id = {_snapshot('segment_members', _PINNED)} and m.segment = s.segment"
        f" and {condition})"
    )


SEGMENT: Final[LiteralString] = f"""
select v.version, v.as_of, s.segment, s.description, s.member_count, {_members(_ENTERED)}, {_members(_LEFT)},
  x.consumer_id, x.entered_on, x.left_on
from scores.publication v
left join scores.segments s
  on s.snapshot_id = {_snapshot("segments", _PINNED)} and s.segment = %(segment)s
left join lateral (
  select m.consumer_id, m.entered_on, m.left_on from scores.segment_members m
  where m.snapshot_id = {_snapshot("segment_members", _PINNED)} and m.segment = s.segment
    and m.consumer_id > %(after)s
    and case %(show)s::text
      when 'members' then m.left_on is null when 'entered' then {_ENTERED} else {_LEFT} end
    and not {_withdrew("m.consumer_id", *_CONTACT)}
  order by m.consumer_id limit %(rows)s) x on true
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by x.consumer_id
"""

SEGMENTS: Final[LiteralString] = f"""
select v.version, v.as_of, s.segment, s.description, s.member_count, {_members(_ENTERED)}, {_members(_LEFT)}
from scores.publication v
left join scores.segments s on s.snapshot_id = {_snapshot("segments", _PINNED)}
where v.tenant_id = %(tenant)s and v.version = {_PINNED}
order by s.segment
"""

_PUBLICATION_COLUMNS: Final[LiteralString] = """
select p.version, p.created_at, p.as_of, p.data_from, p.data_to, p.model_versions, p.row_counts,
  p.content_hash, p.status, c.version is not null, p.kind, c.pinned_at is not null
from scores.publication p
left join scores.current_publication c on c.tenant_id = p.tenant_id and c.version = p.version
where p.tenant_id = %(tenant)s
"""

CURRENT_PUBLICATION: Final[LiteralString] = f"{_PUBLICATION_COLUMNS} and c.version is not null"

PUBLICATIONS: Final[LiteralString] = f"""
{_PUBLICATION_COLUMNS}
and (%(after)s::text is null or (p.loaded_at, p.version) < (
  (select a.loaded_at from scores.publication a
  where a.tenant_id = %(tenant)s and a.version = %(after)s), %(after)s))
order by p.loaded_at desc, p.version desc limit %(rows)s
"""
