"""What the overlay plants: every rate, share, ratio and chosen sku that a test can recover from the rows.

Lives here: the planted numbers and the seeded choice of which supplier or sku carries which. Does not live
here: the rows themselves. A change of a number here is a change of the documented truth (docs/overlay.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from pipelines.sources.overlay.draws import generator
from pipelines.sources.overlay.observed import ObservedTables
from pipelines.sources.overlay.supply.truths import SupplyTruths, supply_truths

HEAD_SKUS = 6_000
"""Best-selling skus that get stock movements, several offer versions and backup suppliers."""
OFFERED_SKUS = 39_000
"""Best-selling skus that get any offer at all."""
MIN_SHELF_PRICE_CENTS = 5.0
"""Below this an integer cost can not lie sensibly under the price."""
REGIONS = ("central", "east", "north", "south", "west")


@dataclass(frozen=True)
class PlantedTruths:
    """Every planted number. Rates and shares lie in 0..1; margins are shares of the shelf price.

    Args:
        supplier_groups: supplier_id to delivery group.
        late_rate_by_group: share of delivered parcels that arrive after the promise, by delivery group.
        lost_share: share of parcels that never arrive.
        case_rate_base: chance that a line of an ordinary sku opens a case, before the supplier factor.
        case_rate_prone: the same for a complaint-prone sku.
        case_factor_by_group: factor on both rates by the supplier's delivery group.
        case_kind_shares: shares of complaint, refund and return among cases.
        complaint_prone_skus: sku ids with the higher rate.
        margin_mean_by_department: mean of 1 - supply price / shelf price of the latest primary offers.
        margin_sd: its standard deviation between skus (clipped at two).
        loss_maker_skus: sku ids whose supply price lies above the shelf price.
        competitor_mean_ratio: competitor to the median of price / shelf price.
        competitor_ar1: weekly autocorrelation of the log ratio.
        competitor_log_sd: stationary standard deviation of the log ratio.
        view_to_cart_rate: share of viewed (session, sku) pairs that reach the cart.
        cart_to_order_rate: share of carted (session, sku) pairs that are ordered.
        order_session_share: share of sessions that end in an observed order.
        view_rate_by_position: chance that an impression at position 1, 2, ... is viewed.
        agent_tier_shares: share of agents by tier.
        agent_active_share: share of active agents.
        pricing_mode_shares: share of listings by pricing mode.
        stock_out_skus: sku ids whose primary offer stands at stock 0 in its latest version.
        slow_mover_skus: sku ids with at least `slow_mover_cover_weeks` weeks of mean demand in stock.
        slow_mover_cover_weeks: see above.
        winback_response_share: share of wake-up messages that are clicked (with or without a later order).
        campaign_response_share: the same for marketing campaign messages.
        opt_out_share: share of messages answered by an opt-out.
        redeem_share: share of orders after which the consumer redeems points.
        supply: what is planted on the supply side besides the delivery groups.
    """

    supplier_groups: Mapping[str, str]
    late_rate_by_group: Mapping[str, float]
    lost_share: float
    case_rate_base: float
    case_rate_prone: float
    case_factor_by_group: Mapping[str, float]
    case_kind_shares: Mapping[str, float]
    complaint_prone_skus: tuple[str, ...]
    margin_mean_by_department: Mapping[str, float]
    margin_sd: float
    loss_maker_skus: tuple[str, ...]
    competitor_mean_ratio: Mapping[str, float]
    competitor_ar1: float
    competitor_log_sd: float
    view_to_cart_rate: float
    cart_to_order_rate: float
    order_session_share: float
    view_rate_by_position: tuple[float, ...]
    agent_tier_shares: Mapping[str, float]
    agent_active_share: float
    pricing_mode_shares: Mapping[str, float]
    stock_out_skus: tuple[str, ...]
    slow_mover_skus: tuple[str, ...]
    slow_mover_cover_weeks: int
    winback_response_share: float
    campaign_response_share: float
    opt_out_share: float
    redeem_share: float
    supply: SupplyTruths


def planted_truths(seed: int, observed: ObservedTables) -> PlantedTruths:
    """Return what the overlay of these observed tables plants under this seed.

    Args:
        seed: the seed given to `generate`.
        observed: the observed tables, already cut at `as_of` (see `ObservedTables.until`).

    Returns:
        The truths; sku lists are sorted, and empty when no sku qualifies.
    """
    skus = observed.skus
    stock_out, slow = _stock_exceptions(seed, skus)
    prone = _chosen(seed, "complaint_prone", skus["sku_id"].head(600), share=0.10)
    return PlantedTruths(
        supplier_groups=_supplier_groups(seed, observed),
        late_rate_by_group={"reliable": 0.04, "average": 0.11, "poor": 0.28},
        lost_share=0.004,
        case_rate_base=0.009,
        case_rate_prone=0.09,
        case_factor_by_group={"reliable": 1.0, "average": 1.3, "poor": 2.0},
        case_kind_shares={"complaint": 0.40, "refund": 0.35, "return": 0.25},
        complaint_prone_skus=prone,
        margin_mean_by_department=_margins(seed, observed),
        margin_sd=0.05,
        loss_maker_skus=_chosen(seed, "loss_maker", offered_skus(observed)["sku_id"], share=0.012),
        competitor_mean_ratio={"rival_a": 0.97, "rival_b": 1.02, "rival_c": 1.06},
        competitor_ar1=0.80,
        competitor_log_sd=0.06,
        view_to_cart_rate=0.40,
        cart_to_order_rate=0.55,
        order_session_share=0.40,
        view_rate_by_position=(0.20, 0.15, 0.11, 0.08, 0.06),
        agent_tier_shares={"bronze": 0.55, "silver": 0.28, "gold": 0.13, "diamond": 0.04},
        agent_active_share=0.85,
        pricing_mode_shares={"auto": 0.50, "approve": 0.30, "fixed": 0.20},
        stock_out_skus=stock_out,
        slow_mover_skus=slow,
        slow_mover_cover_weeks=26,
        winback_response_share=0.14,
        campaign_response_share=0.05,
        opt_out_share=0.01,
        redeem_share=0.04,
        supply=supply_truths(seed, observed, prone, supplier_regions(seed, observed)),
    )


def offered_skus(observed: ObservedTables) -> pl.DataFrame:
    """Return the skus that get an offer: sold goods with a known supplier, best sellers first."""
    return observed.skus.filter(
        pl.col("supplier_id").is_not_null() & (pl.col("shelf_price_cents") >= MIN_SHELF_PRICE_CENTS)
    ).head(OFFERED_SKUS)


def head_skus(observed: ObservedTables, weeks: int) -> pl.DataFrame:
    """Return the offered skus that get stock movements: fewer of them when the history is long."""
    return offered_skus(observed).head(min(HEAD_SKUS, 350_000 // max(weeks, 1)))


def regions(seed: int, name: str, ids: pl.Series, codes: pl.Series) -> pl.DataFrame:
    """Return id, region: the observed region code, or a seeded one where the source has none."""
    frame = pl.DataFrame({"id": ids, "code": codes.cast(pl.String)}).unique("id").sort("id")
    drawn = generator(seed, f"regions/{name}").integers(0, len(REGIONS), frame.height)
    planted = pl.Series("planted", list(REGIONS)).gather(drawn)
    known = pl.col("code").is_not_null() & ~pl.col("code").str.to_lowercase().is_in(["", "unknown"])
    return frame.with_columns(planted).select("id", region=pl.when(known).then("code").otherwise("planted"))


def supplier_regions(seed: int, observed: ObservedTables) -> pl.DataFrame:
    """Return id, region of every supplier (see `regions`)."""
    return regions(seed, "suppliers", observed.suppliers["supplier_id"], observed.suppliers["region_code"])


def _supplier_groups(seed: int, observed: ObservedTables) -> dict[str, str]:
    """Six reliable, three average, one poor supplier in each ten neighbours by size: no group is empty."""
    sizes = observed.lines.group_by("supplier_id").len("n").drop_nulls("supplier_id")
    suppliers = (
        observed.suppliers.select("supplier_id")
        .unique()
        .join(sizes, on="supplier_id", how="left")
        .with_columns(pl.col("n").fill_null(0))
        .sort(["n", "supplier_id"], descending=[True, False])
    )
    blocks = -(-suppliers.height // 10)
    pattern = np.tile(np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2]), (blocks, 1))
    order = generator(seed, "supplier_groups").permuted(pattern, axis=1).reshape(-1)[: suppliers.height]
    names = ("reliable", "average", "poor")
    return {s: names[g] for s, g in zip(suppliers["supplier_id"].to_list(), order.tolist(), strict=True)}


def _margins(seed: int, observed: ObservedTables) -> dict[str, float]:
    """Spread department means evenly over 0.24..0.42, in seeded order."""
    departments = observed.catalogue["department_id"].unique().sort().to_list()
    means = generator(seed, "margins").permutation(np.linspace(0.24, 0.42, max(len(departments), 1)))
    return {d: round(float(m), 4) for d, m in zip(departments, means[: len(departments)], strict=True)}


def _chosen(seed: int, name: str, candidates: pl.Series, *, share: float) -> tuple[str, ...]:
    """Return a seeded share of the candidates (at least one when there is any), sorted."""
    if candidates.len() == 0:
        return ()
    count = max(1, round(candidates.len() * share))
    drawn = generator(seed, name).choice(candidates.len(), size=count, replace=False)
    return tuple(sorted(candidates.gather(drawn).to_list()))


def _stock_exceptions(seed: int, skus: pl.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose stock-outs among good sellers silent for ten days, slow movers among those silent for six weeks.

    A sku that sold yesterday can not have been out of stock, so the choice reads the observed last sale.
    """
    if skus.height == 0:
        return (), ()
    head = skus.filter(
        pl.col("supplier_id").is_not_null(), pl.col("shelf_price_cents") >= MIN_SHELF_PRICE_CENTS
    )
    head = head.head(HEAD_SKUS // 2)
    end = pl.lit(skus["last_sold_at"]).max()
    silent_10 = head.filter(pl.col("last_sold_at") < end - timedelta(days=10))
    silent_42 = head.filter(pl.col("last_sold_at") < end - timedelta(days=42))
    slow = _chosen(seed, "slow_mover", silent_42["sku_id"], share=0.50)
    rest = silent_10.filter(~pl.col("sku_id").is_in(pl.Series(slow, dtype=pl.String).implode()))
    return _chosen(seed, "stock_out", rest["sku_id"], share=0.30), slow
