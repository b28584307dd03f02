"""The record of prices in force: what readers are shown as published, or a person approved, and since when.

Written in the transaction that shows the prices, so that the record and what readers see never part. What
waits for approval is not in force and is not recorded; neither is a price that stands as it stood. A listing
has at most one price of one moment: what is published again for the same business time replaces it. The rows
flow back into the warehouse like everything that the platform records; this module reads nothing else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString

import psycopg

from serving.experiments import exposures
from serving.experiments.document import Unit

_SHOWN: LiteralString = """
    select merchant_id, sku_id, price_cents, list_price_cents, action, revision, floor_cents, ceiling_cents
    from scores.live_price where snapshot_id = %(snapshot)s
    union all
    select b.merchant_id, b.sku_id, b.price_cents, b.list_price_cents, b.action, 0, b.floor_cents,
        b.ceiling_cents
    from scores.prices b
    where b.snapshot_id = %(snapshot)s and not exists (
        select from scores.live_price l where l.snapshot_id = b.snapshot_id
            and l.merchant_id = b.merchant_id and l.sku_id = b.sku_id
    )
"""
"""Every price of a snapshot as readers see it."""

HELD: LiteralString = """
left join lateral (
  select f.price_cents
  from experiments.experiment t
  cross join lateral (
    select coalesce((
      select case when c.list_price_cents = x.list_price_cents then c.price_cents end
      from market.price_change c
      where c.tenant_id = %(tenant)s and c.merchant_id = %(merchant_id)s and c.sku_id = x.sku_id
      order by c.changed_at desc limit 1), x.list_price_cents) as price_cents) f
  where t.tenant_id = %(tenant)s and t.surface = 'prices' and t.state = 'running' and x.action = 'publish'
    and f.price_cents <> x.price_cents and f.price_cents between x.floor_cents and x.ceiling_cents
    and experiments.arm_of(t.tenant_id, t.experiment_id, t.layer, t.first_bps, t.end_bps, t.weights,
      case t.unit when 'sku' then x.sku_id else %(merchant_id)s end) = any(t.held_arms)
  limit 1
) h on true
"""
"""Joins `h`, the price in force that an arm of a running experiment keeps, though `x` is published.

A price that lies outside the limits of now is not kept. Parameters: `tenant` and `merchant_id`."""

_CHANGED: LiteralString = """
    select merchant_id, sku_id, price_cents, list_price_cents, action, revision, floor_cents, ceiling_cents
    from scores.live_price where snapshot_id = %(snapshot)s and revision = %(revision)s
"""
"""The prices of one delta."""

DECIDED: LiteralString = """
left join lateral (
  select d.price_cents
  from (
    select c.price_cents, c.version from market.price_change c
    where c.tenant_id = %(tenant)s and c.merchant_id = %(merchant_id)s and c.sku_id = x.sku_id
    order by c.changed_at desc limit 1
  ) d
  join approvals.request q on q.tenant_id = %(tenant)s
    and q.approval_id = case when d.version like 'approval:%%' then substr(d.version, 10)::bigint end
  where x.action = 'await_approval' and d.price_cents between x.floor_cents and x.ceiling_cents
    and (q.suggestion ->> 'price_cents')::bigint = x.price_cents
    and (q.suggestion ->> 'list_price_cents')::bigint = x.list_price_cents
    and (q.suggestion ->> 'current_cents')::bigint = coalesce((jsonb_path_query_first(
      x.explanation::jsonb, '$[*] ? (@.step == "anchor")') ->> 'current_cents')::bigint, x.list_price_cents)
) a on true
"""
"""Joins `a`, the price that a person decided on for this very suggestion `x`, if it is the last one recorded.

Another suggestion, or one whose limits leave the price outside, was decided by nobody. Parameters: `tenant`
and `merchant_id`."""

# The last price up to the moment. A list price that moved since means that the merchant changed the price:
# then the published price is a change even where it is the one published before. Business time of a
# publication is that of its data: what a person approved or an experiment let go since is older than what
# readers see now, and is followed by it.
_RECORD: LiteralString = """
    insert into market.price_change as c (tenant_id, merchant_id, sku_id, changed_at, price_cents,
        list_price_cents, version, revision)
    select %(tenant)s, s.merchant_id, s.sku_id,
        coalesce(since.changed_at + interval '1 microsecond', %(at)s), s.price_cents, s.list_price_cents,
        %(version)s, s.revision
    from ({shown}) s
    left join lateral (
        select p.changed_at from market.price_change p
        where p.tenant_id = %(tenant)s and p.merchant_id = s.merchant_id and p.sku_id = s.sku_id
            and {since}
        order by p.changed_at desc limit 1
    ) since on true
    left join lateral (
        select p.price_cents, p.list_price_cents from market.price_change p
        where p.tenant_id = %(tenant)s and p.merchant_id = s.merchant_id and p.sku_id = s.sku_id
            and p.changed_at <= coalesce(since.changed_at, %(at)s)
        order by p.changed_at desc limit 1
    ) last on true
    where s.action = 'publish'
        and (last.price_cents, last.list_price_cents) is distinct from (s.price_cents, s.list_price_cents)
        and not exists ({held})
"""
_AFTER_ITS_DATA: LiteralString = (
    "p.changed_at > %(at)s and (p.version like 'approval:%%' or p.version like 'experiment:%%')"
)
_REPLACE: LiteralString = """
    on conflict (tenant_id, merchant_id, sku_id, changed_at) do update
        set price_cents = excluded.price_cents, list_price_cents = excluded.list_price_cents,
            version = excluded.version, revision = excluded.revision, xact_id = pg_current_xact_id()
"""

# An arm that holds: what is in force stays, if the limits of now allow it; of `s`, with the price before.
_KEPT: LiteralString = """
    select from experiments.experiment t
    cross join lateral (select case when last.list_price_cents = s.list_price_cents then last.price_cents
        else s.list_price_cents end as price_cents) f
    where t.tenant_id = %(tenant)s and t.surface = 'prices' and t.state = 'running'
        and f.price_cents <> s.price_cents and f.price_cents between s.floor_cents and s.ceiling_cents
        and experiments.arm_of(t.tenant_id, t.experiment_id, t.layer, t.first_bps, t.end_bps, t.weights,
            case t.unit when 'sku' then s.sku_id else s.merchant_id end) = any(t.held_arms)
"""

# Units whose price a publication moves, whichever arm has them: in one it moves, in the other it would have.
_ACTED_ON: LiteralString = """
    select t.experiment_id, t.unit, n.unit_id, max(n.arm), min(t.started_at)
    from ({shown}) s
    join experiments.experiment t on t.tenant_id = %(tenant)s and t.surface = 'prices' and t.state = 'running'
    cross join lateral (
        select case t.unit when 'sku' then s.sku_id else s.merchant_id end as unit_id) u
    cross join lateral (
        select u.unit_id, experiments.arm_of(t.tenant_id, t.experiment_id, t.layer, t.first_bps, t.end_bps,
            t.weights, u.unit_id) as arm) n
    left join lateral (
        select p.price_cents, p.list_price_cents from market.price_change p
        where p.tenant_id = %(tenant)s and p.merchant_id = s.merchant_id and p.sku_id = s.sku_id
            and p.changed_at <= %(at)s
        order by p.changed_at desc limit 1
    ) last on true
    where n.arm is not null and s.action = 'publish'
        and (last.price_cents, last.list_price_cents) is distinct from (s.price_cents, s.list_price_cents)
    group by t.experiment_id, t.unit, n.unit_id
"""

# Another publication of the same moment had published a price that this one does not.
_TAKE_BACK: LiteralString = """
    update market.price_change c
    set price_cents = coalesce(
            (select p.price_cents from market.price_change p
             where p.tenant_id = c.tenant_id and p.merchant_id = c.merchant_id and p.sku_id = c.sku_id
                and p.changed_at < c.changed_at and p.list_price_cents = s.list_price_cents
             order by p.changed_at desc limit 1),
            s.list_price_cents),
        list_price_cents = s.list_price_cents, version = %(version)s, revision = s.revision,
        xact_id = pg_current_xact_id()
    from ({shown}) s
    where c.tenant_id = %(tenant)s and c.merchant_id = s.merchant_id and c.sku_id = s.sku_id
        and c.changed_at = %(at)s and s.action <> 'publish' and c.version not like 'approval:%%'
        and (c.version, c.revision) <> (%(version)s, s.revision)
"""


def record_publication(connection: psycopg.Connection[Any], tenant_id: str, version: str) -> int:
    """Record what a version that readers have just been switched to puts into force.

    Prices carried from an older version came into force with that one.

    Args:
        connection: In the transaction of the switch.
        tenant_id: Whose prices.
        version: The version that its readers see.

    Returns:
        Changes recorded.
    """
    found = connection.execute(
        "select t.snapshot_id, coalesce((l.as_of ->> 'prices')::timestamptz,"
        " (select min(p.as_of) from scores.publication_table o"
        "  join scores.publication p using (tenant_id, version) where o.snapshot_id = t.snapshot_id))"
        " from scores.publication_table t left join scores.live_pointer l using (snapshot_id)"
        " where t.tenant_id = %s and t.version = %s and t.table_name = 'prices'",
        (tenant_id, version),
    ).fetchone()
    if found is None:
        return 0
    return _record(connection, _SHOWN, found[0], version, 0, found[1], tenant_id)


def record_delta(
    connection: psycopg.Connection[Any],
    tenant_id: str,
    snapshot_id: int,
    version: str,
    revision: int,
    at: datetime,
) -> int:
    """Record what a delta puts into force; nothing while readers are held on prices of another snapshot.

    Args:
        connection: In the transaction of the delta, after its prices were written.
        tenant_id: Whose prices.
        snapshot_id: Snapshot of the prices that the delta refines.
        version: Its base version.
        revision: Number of the delta.
        at: Business time of its prices.

    Returns:
        Changes recorded.
    """
    is_shown = connection.execute(
        "select 1 from scores.publication_table"
        " join scores.current_publication using (tenant_id, version)"
        " where tenant_id = %s and snapshot_id = %s",
        (tenant_id, snapshot_id),
    ).fetchone()
    if is_shown is None:
        return 0
    return _record(connection, _CHANGED, snapshot_id, version, revision, at, tenant_id)


def record_approved(
    connection: psycopg.Connection[Any],
    tenant_id: str,
    approval_id: int,
    listing: tuple[str, str],
    at: datetime,
    *,
    price_cents: int,
    list_price_cents: int,
) -> bool:
    """Record a price that a person put into force.

    Args:
        connection: In the transaction of the approval.
        tenant_id: Whose price.
        approval_id: Who decided, and what was shown; stands as the version `approval:<id>`.
        listing: Merchant and sku.
        at: Business time from which on it holds.
        price_cents: The price.
        list_price_cents: The list price of then.

    Returns:
        False when a price of this very moment is recorded already.
    """
    return bool(
        connection.execute(
            "insert into market.price_change (tenant_id, merchant_id, sku_id, changed_at, price_cents,"
            " list_price_cents, version, revision) values (%s, %s, %s, %s, %s, %s, %s, 0)"
            " on conflict do nothing",
            (tenant_id, *listing, at, price_cents, list_price_cents, f"approval:{approval_id}"),
        ).rowcount
    )


def record_released(
    connection: psycopg.Connection[Any], tenant_id: str, experiment_id: str, at: datetime
) -> int:
    """Record what an experiment held back until now; its state says that it ended.

    A change of this very moment, or of a clock that was ahead, is followed by it.

    Args:
        connection: In the transaction that ends it, which holds `locks.prices_in_force`.
        tenant_id: Whose prices.
        experiment_id: Which one; stands as the version `experiment:<id>`.
        at: Business time from which on they hold.

    Returns:
        Changes recorded.
    """
    found = connection.execute(
        "select t.snapshot_id from scores.current_publication c"
        " join scores.publication_table t using (tenant_id, version)"
        " where c.tenant_id = %s and t.table_name = 'prices'",
        (tenant_id,),
    ).fetchone()
    if found is None:
        return 0
    values = {
        "snapshot": found[0],
        "revision": 0,
        "version": f"experiment:{experiment_id}",
        "at": at,
        "tenant": tenant_id,
    }
    statement = _RECORD.replace("{shown}", _SHOWN).replace("{held}", _KEPT)
    return connection.execute(statement.replace("{since}", "p.changed_at >= %(at)s"), values).rowcount


def is_held(connection: psycopg.Connection[Any], tenant_id: str, merchant_id: str, sku_id: str) -> bool:
    """Whether an arm of a running experiment holds the price of a listing back."""
    row = connection.execute(
        "select exists (select from experiments.experiment t where t.tenant_id = %(tenant)s"
        " and t.surface = 'prices' and t.state = 'running' and experiments.arm_of(t.tenant_id,"
        " t.experiment_id, t.layer, t.first_bps, t.end_bps, t.weights, case t.unit when 'sku' then %(sku)s"
        " else %(merchant)s end) = any(t.held_arms))",
        {"tenant": tenant_id, "merchant": merchant_id, "sku": sku_id},
    ).fetchone()
    return bool(row is not None and row[0])


def _record(
    connection: psycopg.Connection[Any],
    shown: LiteralString,
    snapshot_id: int,
    version: str,
    revision: int,
    at: datetime,
    tenant_id: str,
) -> int:
    values = {
        "snapshot": snapshot_id,
        "revision": revision,
        "version": version,
        "at": at,
        "tenant": tenant_id,
    }
    connection.execute(_TAKE_BACK.replace("{shown}", shown), values)
    _note_acted_on(connection, shown, values, tenant_id, at)
    statement = _RECORD.replace("{shown}", shown).replace("{held}", _KEPT)
    return connection.execute(statement.replace("{since}", _AFTER_ITS_DATA) + _REPLACE, values).rowcount


def _note_acted_on(
    connection: psycopg.Connection[Any],
    shown: LiteralString,
    values: dict[str, Any],
    tenant_id: str,
    at: datetime,
) -> None:
    """Note the units of running experiments on prices that these prices are about."""
    arms: dict[tuple[str, Unit, datetime], dict[str, str]] = {}
    for experiment_id, unit, unit_id, arm, since in connection.execute(
        _ACTED_ON.replace("{shown}", shown), values
    ):
        arms.setdefault((experiment_id, unit, max(at, since)), {})[unit_id] = arm
    for (experiment_id, unit, moment), units in arms.items():
        exposures.log(connection, tenant_id, experiment_id, unit, units, moment)
