"""Overlay tables `offers` and `inventory_movements`: what suppliers charge and hold.

Offers hang on sold skus: the maker is the primary supplier, best sellers also get up to two backups from the
same department and two to four versions over the period. Movements hang on observed weekly sales (see
`stock`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import (
    DAY,
    HOUR,
    MINUTE,
    UTC_TIME,
    Floats,
    Ints,
    arrivals,
    finish,
    generator,
    micros_of,
    moments,
)
from pipelines.sources.overlay.stock import StockPlan, stock_plan
from pipelines.sources.overlay.truths import offered_skus, supplier_regions

_MIDDLE_RANK = 25_000
"""Skus without movements up to this rank have two versions, beyond it one: they hardly sell."""


def offers(context: Context) -> pl.DataFrame:
    """One row per supplier, sku and version.

    The latest primary version carries the planted margin exactly; earlier versions and backups drift from
    it. For skus with stock movements a version's `stock_qty` is the balance of those movements at
    `valid_from`.
    """
    skus = offered_skus(context.observed).with_row_index("rank")
    plan = stock_plan(context)
    rng = context.rng("offers")
    cost = _planted_cost(context, skus, rng)
    weekly_qty = skus["qty"].to_numpy() / max(plan.weeks, 1)
    lead = _lead_days(context, skus["supplier_id"], rng)
    moq = np.where(weekly_qty >= 24, rng.choice([6, 12, 24], skus.height), rng.choice([1, 6], skus.height))
    frame = skus.select("rank", "sku_id", "supplier_id", "shelf_price_cents", "department_id").with_columns(
        cost=pl.Series(cost),
        weekly_qty=pl.Series(weekly_qty),
        capacity_per_day=pl.Series(
            np.ceil(weekly_qty / 7 * rng.uniform(1.5, 4.0, skus.height)).astype(np.int64) + 4
        ),
        lead_time_days=pl.Series(lead),
        min_order_qty=pl.Series(moq),
    )
    primary = _primary_versions(frame, plan, rng)
    backup = _backup_versions(context, frame.head(plan.skus.height), plan, rng)
    rows = pl.concat([primary, backup], how="vertical_relaxed")
    home = supplier_regions(context.seed, context.observed)
    rows = rows.join(home.rename({"id": "supplier_id", "region": "ship_from_region"}), on="supplier_id")
    rows = rows.unique(["supplier_id", "sku_id", "valid_from"], keep="any").sort(
        "supplier_id", "sku_id", "valid_from"
    )
    start = micros_of(rows["valid_from"])
    received = arrivals(rng, start, 10 * MINUTE)
    # The first version and the last stock report must have arrived for the costs and stocks to be known.
    prompt = (start == plan.first_week) | (start == plan.report_start)
    received = np.where(prompt, start + 20 * MINUTE, received)
    rows = rows.with_columns(received_at=moments(received))
    return finish("offers", rows, as_of=context.as_of, order_by=["sku_id", "supplier_id", "valid_from"])


def inventory_movements(context: Context) -> pl.DataFrame:
    """One row per delivery (start of the week), weekly sale total (at its last sale) or count correction.

    What the largest suppliers brought to a second warehouse is two rows: out of one, into the other.
    """
    plan = stock_plan(context)
    week = np.arange(plan.weeks, dtype=np.int64)
    opens = plan.week_start(week)
    # Booked at the very start of the week, so that a delivery precedes every sale it serves.
    inbound_at = np.broadcast_to(opens, plan.inbound.shape)
    n = plan.skus.height
    parts = [
        _movements(
            plan, plan.opening[:, None], np.full((n, 1), plan.first_week - 2 * DAY, np.int64), "inbound"
        ),
        _movements(plan, plan.inbound, inbound_at, "inbound"),
        _movements(plan, -plan.sold, plan.last_sale_at, "sale"),
        _movements(
            plan,
            -plan.written_off[:, None],
            np.full((n, 1), plan.report_start - 1, np.int64),
            "adjust",
        ),
    ]
    houses = _houses(context)
    rows = (
        pl.concat(parts)
        .filter(pl.col("at") <= context.end)
        .join(houses.select("supplier_id", "warehouse_id"), on="supplier_id")
        .sort("at", "sku_id", "reason")
    )
    at = rows["at"].to_numpy()
    rows = rows.with_columns(
        received_at=moments(arrivals(context.rng("inventory_movements"), at, 2 * MINUTE))
    )
    brought = _brought(context, plan, houses).select(rows.columns)
    rows = pl.concat([rows, brought]).with_columns(occurred_at=pl.col("at").cast(UTC_TIME))
    return finish(
        "inventory_movements",
        rows,
        as_of=context.as_of,
        order_by=["occurred_at", "sku_id", "reason", "warehouse_id"],
        key="movement_id",
        key_prefix="mov",
    )


def _houses(context: Context) -> pl.DataFrame:
    """Return supplier_id, warehouse_id in its region, second_id in the region that follows."""
    home = supplier_regions(context.seed, context.observed)
    places = home["region"].unique().sort().to_list()
    following = dict(zip(places, places[1:] + places[:1], strict=True))
    prefix = pl.lit("wh-")
    return home.select(
        supplier_id="id",
        warehouse_id=prefix + pl.col("region"),
        second_id=prefix + pl.col("region").replace_strict(following, return_dtype=pl.String),
    )


def _brought(context: Context, plan: StockPlan, houses: pl.DataFrame) -> pl.DataFrame:
    """What lies in second warehouses: brought there an hour into the report week, out and in."""
    units = plan.elsewhere[:, None]
    at = np.full(units.shape, plan.report_start + HOUR, np.int64)
    rows = _movements(plan, units, at, "transfer").join(houses, on="supplier_id")
    rows = rows.filter((pl.col("at") <= context.end) & (pl.col("warehouse_id") != pl.col("second_id")))
    out = rows.drop("second_id").with_columns(qty_delta=-pl.col("qty_delta"))
    into = rows.drop("warehouse_id").rename({"second_id": "warehouse_id"})
    return pl.concat([out, into.select(out.columns)]).with_columns(
        received_at=(pl.col("at") + MINUTE).cast(UTC_TIME)
    )


def _movements(plan: StockPlan, delta: Ints, at: Ints, reason: str) -> pl.DataFrame:
    """Return the non-zero cells of a (n, k) matrix as rows sku_id, supplier_id, qty_delta, at, reason."""
    sku, column = np.nonzero(delta)
    return plan.skus.select("sku_id", "supplier_id")[sku].with_columns(
        qty_delta=pl.Series(delta[sku, column], dtype=pl.Int64),
        at=pl.Series(np.asarray(at)[sku, column], dtype=pl.Int64),
        reason=pl.lit(reason),
    )


def _planted_cost(context: Context, skus: pl.DataFrame, rng: np.random.Generator) -> Floats:
    """Return the latest primary supply price in cents (n,), float: shelf price x (1 - planted margin)."""
    truths = context.truths
    mean = skus["department_id"].replace_strict(
        dict(truths.margin_mean_by_department), return_dtype=pl.Float64
    )
    noise = np.clip(rng.standard_normal(skus.height), -2.0, 2.0)
    margin = mean.to_numpy() + truths.margin_sd * noise
    losing = skus["sku_id"].is_in(pl.Series(truths.loss_maker_skus, dtype=pl.String).implode()).to_numpy()
    margin = np.where(losing, -rng.uniform(0.04, 0.15, skus.height), margin)
    cost = skus["shelf_price_cents"].to_numpy() * (1.0 - margin)
    # Round away from the shelf price for loss makers, so that the loss survives integer cents.
    return np.maximum(np.where(losing, np.ceil(cost), np.round(cost)), 1.0)


def _lead_days(context: Context, suppliers: pl.Series, rng: np.random.Generator) -> Ints:
    """Return days (n,): a supplier's own base of 3..16 plus 0..4 by sku."""
    ids = context.observed.suppliers["supplier_id"].unique().sort()
    base = generator(context.seed, "lead_days").integers(3, 17, ids.len())
    known = dict(zip(ids.to_list(), base.tolist(), strict=True))
    of_supplier = suppliers.replace_strict(known, return_dtype=pl.Int64).to_numpy()
    return of_supplier + rng.integers(0, 5, suppliers.len())


def _primary_versions(frame: pl.DataFrame, plan: StockPlan, rng: np.random.Generator) -> pl.DataFrame:
    """Up to four versions for skus with movements, two to the middle rank, one beyond."""
    n, report = frame.height, plan.report_week
    rank = frame["rank"].to_numpy()
    half = max(report // 2, 1)
    early = rng.integers(1, half + 1, n)
    later = rng.integers(half + 1, max(report, half + 2), n)
    has_stock = rank < plan.skus.height
    draws = rng.random((n, 2))
    in_range = report >= 4
    exists = np.column_stack(
        [
            np.ones(n, dtype=bool),
            has_stock & (draws[:, 0] < 0.5) & in_range,
            ((has_stock & (draws[:, 1] < 0.5)) | (~has_stock & (rank < _MIDDLE_RANK))) & in_range,
            has_stock & (report > 0),
        ]
    )
    week = np.column_stack([np.zeros(n, np.int64), early, later, np.full(n, report)])
    # Prices drift up by 1 % a version on average; the last existing version keeps the planted cost.
    steps = rng.normal(0.01, 0.015, (n, 4)).clip(-0.03, 0.03)
    after = np.where(exists, steps, 0.0)[:, ::-1].cumsum(axis=1)[:, ::-1] - np.where(exists, steps, 0.0)
    price = np.round(frame["cost"].to_numpy()[:, None] * np.exp(-after))
    figure = np.ceil(frame["weekly_qty"].to_numpy()[:, None] * rng.uniform(0.5, 5.0, (n, 4))).astype(np.int64)
    row = np.minimum(rank, max(plan.skus.height - 1, 0)).astype(np.int64)
    if plan.skus.height:
        figure = np.where(has_stock[:, None], plan.opening_balance[row[:, None], week], figure)
    at, column = np.nonzero(exists)
    return _version_rows(frame, plan, at, week[at, column], price[at, column], figure[at, column])


def _backup_versions(
    context: Context, frame: pl.DataFrame, plan: StockPlan, rng: np.random.Generator
) -> pl.DataFrame:
    """None, one or two dearer suppliers of the same department, each with one or two versions."""
    pools = (
        context.observed.catalogue.drop_nulls("supplier_id")
        .select("department_id", "supplier_id")
        .unique()
        .sort("department_id", "supplier_id")
        .with_columns(place=pl.int_range(pl.len()).over("department_id"), size=pl.len().over("department_id"))
    )
    placed = frame.join(pools, on=["department_id", "supplier_id"], how="left", maintain_order="left")
    size, place = placed["size"].to_numpy().astype(np.int64), placed["place"].to_numpy().astype(np.int64)
    n = frame.height
    # Offsets 1..size-1 from the primary; the second offset skips the first, so the three differ.
    first = 1 + np.floor(rng.random(n) * np.maximum(size - 1, 1)).astype(np.int64)
    second = 1 + np.floor(rng.random(n) * np.maximum(size - 2, 1)).astype(np.int64)
    second = np.where(second >= first, second + 1, second)
    wanted = rng.choice(3, size=n, p=[0.35, 0.40, 0.25])
    repeated = rng.random((n, 2)) < 0.3
    parts = []
    for slot, offset in enumerate((first, second)):
        keep = np.nonzero((wanted > slot) & (size > slot + 1))[0]
        supplier = pl.DataFrame(
            {
                "department_id": frame["department_id"].gather(keep),
                "place": (place[keep] + offset[keep]) % np.maximum(size[keep], 1),
            }
        ).join(pools, on=["department_id", "place"], how="left", maintain_order="left")["supplier_id"]
        theirs = frame[keep].with_columns(
            supplier_id=supplier,
            lead_time_days=pl.Series(_lead_days(context, supplier, rng)),
            capacity_per_day=pl.max_horizontal(pl.col("capacity_per_day") // 2, pl.lit(3, pl.Int64)),
        )
        dearer = theirs["cost"].to_numpy() * (1 + rng.uniform(0.02, 0.06, len(keep)))
        units = theirs["weekly_qty"].to_numpy()
        for again in (False, True):
            at = np.nonzero(repeated[keep, slot] | (not again))[0]
            if again and plan.report_week < 2:
                continue
            week = np.full(len(at), plan.report_week // 2 if again else 0, dtype=np.int64)
            stock = np.ceil(units[at] * rng.uniform(0.5, 2.5, len(at))).astype(np.int64)
            drift = 1 + (rng.uniform(-0.01, 0.01, len(at)) if again else np.zeros(len(at)))
            parts.append(_version_rows(theirs, plan, at, week, np.round(dearer[at] * drift), stock))
    return pl.concat(parts)


def _version_rows(
    frame: pl.DataFrame, plan: StockPlan, at: Ints, week: Ints, price: Floats, stock: Ints
) -> pl.DataFrame:
    """Return offer rows for rows `at` of the frame in the given weeks."""
    return frame.select("supplier_id", "sku_id", "capacity_per_day", "lead_time_days", "min_order_qty")[
        at
    ].with_columns(
        valid_from=moments(plan.week_start(week)),
        supply_price_cents=pl.Series(np.maximum(price, 1.0).astype(np.int64)),
        stock_qty=pl.Series(stock, dtype=pl.Int64),
        is_active=pl.lit(None, dtype=pl.Boolean),
    )
