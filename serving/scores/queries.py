"""The statements of the API. Each reads the version pointer and the rows in one statement, hence one state.

Every statement of a scored answer begins with the columns `version, as_of`; no row at all means that nothing
is published, or that a version which a cursor names was dropped. Values are always bound, never pasted.
"""

from __future__ import annotations

from typing import Final, LiteralString

_KNOWS_MERCHANT: Final[LiteralString] = """
exists (
  select from scores.publication_table k
  where k.version = v.version and case k.table_name
    when 'popular_items' then exists (
      select from scores.popular_items x
      where x.snapshot_id = k.snapshot_id and x.merchant_id = %(merchant_id)s)
    when 'prices' then exists (
      select from scores.prices x
      where x.snapshot_id = k.snapshot_id and x.merchant_id = %(merchant_id)s)
    when 'recommendations' then exists (
      select from scores.recommendations x
      where x.snapshot_id = k.snapshot_id and x.merchant_id = %(merchant_id)s)
    when 'reorder_merchant_shares' then exists (
      select from scores.reorder_merchant_shares x
      where x.snapshot_id = k.snapshot_id and x.merchant_id = %(merchant_id)s)
    else false end)
"""

_CURRENT: Final[LiteralString] = """
from scores.current_publication v
join scores.publication p on p.version = v.version
join scores.publication_table t on t.version = v.version
"""

_PINNED: Final[LiteralString] = """
from scores.publication v
join scores.publication_table t on t.version = v.version
"""

_PINNED_VERSION: Final[LiteralString] = """
v.version = coalesce(%(version)s::text, (select c.version from scores.current_publication c))
"""

_BELONGS_TO_MERCHANT: Final[LiteralString] = """
(%(merchant_id)s::text is null or exists (
  select from scores.publication_table k
  where k.version = v.version and case k.table_name
    when 'recommendations' then exists (
      select from scores.recommendations x
      where x.snapshot_id = k.snapshot_id and x.merchant_id = %(merchant_id)s
        and x.consumer_id = %(consumer_id)s)
    when 'wakeup_list' then exists (
      select from scores.wakeup_list x
      where x.snapshot_id = k.snapshot_id and x.merchant_id = %(merchant_id)s
        and x.consumer_id = %(consumer_id)s)
    else false end))
"""

RECOMMENDATIONS: Final[LiteralString] = f"""
select v.version, p.as_of, r.items::text,
  case when r.items is null then (
    select x.items::text from scores.publication_table k
    join scores.popular_items x on x.snapshot_id = k.snapshot_id
    where k.version = v.version and k.table_name = 'popular_items' and x.merchant_id = %(merchant_id)s) end,
  case when r.items is null then {_KNOWS_MERCHANT} else true end
{_CURRENT}
left join scores.recommendations r
  on r.snapshot_id = t.snapshot_id and r.merchant_id = %(merchant_id)s and r.consumer_id = %(consumer_id)s
where t.table_name = 'recommendations'
"""

_PRICE_COLUMNS: Final[LiteralString] = """
x.sku_id, x.cost_cents, x.list_price_cents, x.price_cents, x.floor_cents, x.ceiling_cents, x.anchor_cents,
x.printed_formula_cents, x.elasticity, x.pricing_mode, x.action, x.explanation::text
"""

PRICE: Final[LiteralString] = f"""
select v.version, p.as_of, case when x.sku_id is null then {_KNOWS_MERCHANT} else true end,
  {_PRICE_COLUMNS}
{_CURRENT}
left join scores.prices x
  on x.snapshot_id = t.snapshot_id and x.merchant_id = %(merchant_id)s and x.sku_id = %(sku_id)s
where t.table_name = 'prices'
"""

PRICES: Final[LiteralString] = f"""
select v.version, v.as_of, case when x.sku_id is null then {_KNOWS_MERCHANT} else true end,
  {_PRICE_COLUMNS}
{_PINNED}
left join lateral (
  select * from scores.prices y
  where y.snapshot_id = t.snapshot_id and y.merchant_id = %(merchant_id)s and y.sku_id > %(after)s
  order by y.sku_id limit %(rows)s) x on true
where t.table_name = 'prices' and {_PINNED_VERSION}
order by x.sku_id
"""

REORDER_BY_SUPPLIER: Final[LiteralString] = f"""
select v.version, v.as_of,
  case when x.sku_id is null then exists (
    select from scores.reorder_suggestions k
    where k.snapshot_id = t.snapshot_id and k.supplier_id = %(supplier_id)s) else true end,
  x.sku_id, x.on_hand_qty, x.lead_time_days, x.demand_mean_qty, x.demand_p90_qty, x.order_up_to_qty,
  x.reorder_qty, x.order_by_on, x.is_slow_mover, x.reason_code, x.explanation::text
{_PINNED}
left join lateral (
  select * from scores.reorder_suggestions y
  where y.snapshot_id = t.snapshot_id and y.supplier_id = %(supplier_id)s and y.sku_id > %(after)s
    and y.reorder_qty >= %(min_qty)s
  order by y.sku_id limit %(rows)s) x on true
where t.table_name = 'reorder_suggestions' and {_PINNED_VERSION}
order by x.sku_id
"""

REORDER_BY_MERCHANT: Final[LiteralString] = f"""
select v.version, v.as_of, case when x.sku_id is null then {_KNOWS_MERCHANT} else true end,
  x.sku_id, x.supplier_id, x.expected_qty, x.reorder_qty, s.order_by_on, s.reason_code
{_PINNED}
left join lateral (
  select * from scores.reorder_merchant_shares y
  where y.snapshot_id = t.snapshot_id and y.merchant_id = %(merchant_id)s
    and (y.sku_id, y.supplier_id) > (%(after)s, %(after_supplier)s) and y.reorder_qty >= %(min_qty)s
  order by y.sku_id, y.supplier_id limit %(rows)s) x on true
left join scores.publication_table ts on ts.version = v.version and ts.table_name = 'reorder_suggestions'
left join scores.reorder_suggestions s
  on s.snapshot_id = ts.snapshot_id and s.supplier_id = x.supplier_id and s.sku_id = x.sku_id
where t.table_name = 'reorder_merchant_shares' and {_PINNED_VERSION}
order by x.sku_id, x.supplier_id
"""

_WAKEUP: Final[LiteralString] = """
select v.version, v.as_of, x.rank, x.consumer_id, x.merchant_id, x.dormant_days, x.churn_probability,
  x.expected_value_cents, x.is_high_value, x.offer_code, x.offer_threshold_cents, x.offer_value_cents,
  x.reason_codes::text, x.is_control
"""

WAKEUP_ALL: Final[LiteralString] = f"""
{_WAKEUP}
{_PINNED}
left join lateral (
  select * from scores.wakeup_list y
  where y.snapshot_id = t.snapshot_id and (y.rank, y.consumer_id) > (%(after_rank)s, %(after)s)
    and (%(with_control)s or not y.is_control)
  order by y.rank, y.consumer_id limit %(rows)s) x on true
where t.table_name = 'wakeup_list' and {_PINNED_VERSION}
order by x.rank, x.consumer_id
"""

WAKEUP_BY_MERCHANT: Final[LiteralString] = f"""
{_WAKEUP}, case when x.consumer_id is null then {_KNOWS_MERCHANT} else true end
{_PINNED}
left join lateral (
  select * from scores.wakeup_list y
  where y.snapshot_id = t.snapshot_id and y.merchant_id = %(merchant_id)s
    and (y.rank, y.consumer_id) > (%(after_rank)s, %(after)s) and (%(with_control)s or not y.is_control)
  order by y.rank, y.consumer_id limit %(rows)s) x on true
where t.table_name = 'wakeup_list' and {_PINNED_VERSION}
order by x.rank, x.consumer_id
"""

PROFILE: Final[LiteralString] = f"""
select v.version, p.as_of, x.tags::text, x.schema_fingerprint, x.as_of
{_CURRENT}
left join scores.profiles x
  on x.snapshot_id = t.snapshot_id and x.consumer_id = %(consumer_id)s and {_BELONGS_TO_MERCHANT}
where t.table_name = 'profiles'
"""

REBUY: Final[LiteralString] = f"""
select v.version, p.as_of, x.items::text,
  x.items is not null or ({_BELONGS_TO_MERCHANT} and exists (
    select from scores.publication_table k
    join scores.profiles f on f.snapshot_id = k.snapshot_id
    where k.version = v.version and k.table_name = 'profiles' and f.consumer_id = %(consumer_id)s))
{_CURRENT}
left join scores.rebuy_reminders x
  on x.snapshot_id = t.snapshot_id and x.consumer_id = %(consumer_id)s and {_BELONGS_TO_MERCHANT}
where t.table_name = 'rebuy_reminders'
"""

_PUBLICATION_COLUMNS: Final[LiteralString] = """
select p.version, p.created_at, p.as_of, p.data_from, p.data_to, p.model_versions, p.row_counts,
  p.content_hash, p.status, c.version is not null
from scores.publication p left join scores.current_publication c on c.version = p.version
"""

CURRENT_PUBLICATION: Final[LiteralString] = f"{_PUBLICATION_COLUMNS} where c.version is not null"

PUBLICATIONS: Final[LiteralString] = f"""
{_PUBLICATION_COLUMNS}
where %(after)s::text is null or (p.loaded_at, p.version) < (
  (select a.loaded_at from scores.publication a where a.version = %(after)s), %(after)s)
order by p.loaded_at desc, p.version desc limit %(rows)s
"""
