"""What the overlay plants on the supply side: who and what goes wrong, and when.

Lives here: the planted numbers and the seeded choice of what carries them. Late and faulty suppliers are the
delivery groups of `overlay.truths`. No model reads any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from pipelines.sources.overlay.draws import generator
from pipelines.sources.overlay.observed import ObservedTables

BATCHED_SKUS = 200
"""Best-selling skus that are told by batch."""
BATCH_PERIOD = timedelta(days=28)
"""How long the deliveries of a sku come from one batch; the last one ends with the newest order."""
WATCHED_SUPPLIERS = 200
"""Suppliers with most lines that state their capacity every day."""


@dataclass(frozen=True)
class PortClosing:
    """A region that parcels can not leave for a while.

    Args:
        region: Where the parcels start.
        closed_at: Parcels to another region that leave from then on wait (UTC).
        reopened_at: Until then (UTC).
    """

    region: str
    closed_at: datetime
    reopened_at: datetime


@dataclass(frozen=True)
class BadBatch:
    """A batch whose lines open cases at a rate of their own.

    Args:
        batch_id: The batch.
        sku_id: Its sku.
        sold_from: Lines of the sku placed from then on are of the batch (UTC).
        sold_until: Until then, exclusive (UTC).
        case_rate: Chance that such a line opens a case.
    """

    batch_id: str
    sku_id: str
    sold_from: datetime
    sold_until: datetime
    case_rate: float


@dataclass(frozen=True)
class SupplyTruths:
    """Everything planted on the supply side; None and empty where nothing was sold.

    Args:
        port_closing: See there.
        bad_batch: See there.
        capacity_collapses: supplier_id to the moment from which it states `collapsed_share` of its capacity.
        collapsed_share: See there.
        capacity_log_sd: Standard deviation of the log of a stated capacity, day by day.
        counterfeit_listings: merchant_id and sku_id of listings of a brand without an authorisation, at
            `counterfeit_price_share` of the shelf price.
        counterfeit_price_share: See there.
        lookalike_listings: merchant_id and sku_id of listings that show the picture and the brand of another
            good, and the sku_id of that one.
        made_up_batches: Skus of which every third parcel carries a batch code that nobody stated.
        expired_licences: Suppliers whose business licence has ended.
        copied_licence: The supplier who holds a number, and the one who states it too.
        cold_chain_break: The device that runs warm, and since when; it lasts six hours.
    """

    port_closing: PortClosing | None
    bad_batch: BadBatch | None
    capacity_collapses: Mapping[str, datetime]
    collapsed_share: float
    capacity_log_sd: float
    counterfeit_listings: tuple[tuple[str, str], ...]
    counterfeit_price_share: float
    lookalike_listings: tuple[tuple[str, str, str], ...]
    made_up_batches: tuple[str, ...]
    expired_licences: tuple[str, ...]
    copied_licence: tuple[str, str] | None
    cold_chain_break: tuple[str, datetime] | None


def supply_truths(
    seed: int, observed: ObservedTables, prone: tuple[str, ...], regions: pl.DataFrame
) -> SupplyTruths:
    """Return what is planted on the supply side.

    Args:
        seed: Base seed.
        observed: The observed tables, cut at `as_of`.
        prone: Skus that open more cases anyway: none of them gets the bad batch.
        regions: id, region of every supplier.
    """
    end = observed.lines["placed_at"].max() if observed.lines.height else None
    suppliers = watched_suppliers(observed)
    if not isinstance(end, datetime) or not suppliers:
        return SupplyTruths(None, None, {}, 0.35, 0.05, (), 0.35, (), (), (), None, None)
    rng = generator(seed, "supply_truths")
    region = regions["region"].mode().sort()[0]
    collapsing = rng.choice(len(suppliers), size=min(3, len(suppliers)), replace=False).tolist()
    everybody = observed.suppliers["supplier_id"].unique().sort().to_list()
    expired = rng.choice(len(everybody), size=max(1, round(0.02 * len(everybody))), replace=False).tolist()
    rest = sorted(set(everybody) - {everybody[place] for place in expired})
    pair = rng.choice(len(rest), size=2, replace=False).tolist() if len(rest) > 1 else []
    bad = _bad_batch(seed, observed, prone, end)
    counterfeits = _counterfeits(seed, observed)
    return SupplyTruths(
        port_closing=PortClosing(region, end - timedelta(days=24), end - timedelta(days=18)),
        bad_batch=bad,
        capacity_collapses={
            suppliers[place]: end - timedelta(days=4 + 2 * number)
            for number, place in enumerate(sorted(collapsing))
        },
        collapsed_share=0.35,
        capacity_log_sd=0.05,
        counterfeit_listings=counterfeits,
        counterfeit_price_share=0.35,
        lookalike_listings=_lookalikes(seed, observed, counterfeits),
        made_up_batches=_made_up(seed, observed, bad),
        expired_licences=tuple(sorted(everybody[place] for place in expired)),
        copied_licence=(rest[pair[0]], rest[pair[1]]) if pair else None,
        cold_chain_break=(f"thermo-{region}", end - timedelta(days=3)),
    )


def watched_suppliers(observed: ObservedTables) -> list[str]:
    """Return the known suppliers with most lines, the largest first."""
    return (
        observed.lines.join(observed.suppliers.select("supplier_id").unique(), on="supplier_id", how="semi")
        .group_by("supplier_id")
        .len("n")
        .sort(["n", "supplier_id"], descending=[True, False])["supplier_id"]
        .head(WATCHED_SUPPLIERS)
        .to_list()
    )


def batched_skus(observed: ObservedTables) -> pl.DataFrame:
    """Return sku_id, supplier_id of the skus that are told by batch, best sellers first."""
    return (
        observed.skus.select("sku_id", "supplier_id")
        .drop_nulls()
        .join(observed.suppliers.select("supplier_id").unique(), on="supplier_id", how="semi")
        .head(BATCHED_SKUS)
    )


def batch_number(placed_at: pl.Expr, end: datetime) -> pl.Expr:
    """Which batch of its sku a line is of: 0 is the one that the newest order is of, older ones count up."""
    return (pl.lit(end) - placed_at).dt.total_microseconds() // (BATCH_PERIOD // timedelta(microseconds=1))


def _bad_batch(seed: int, observed: ObservedTables, prone: tuple[str, ...], end: datetime) -> BadBatch | None:
    # The last batch but one: its cases have had a month to be opened.
    until = end - BATCH_PERIOD
    candidates = (
        observed.lines.filter(pl.col("placed_at").is_between(until - BATCH_PERIOD, until, closed="right"))
        .join(batched_skus(observed), on=["sku_id", "supplier_id"], how="semi")
        .filter(~pl.col("sku_id").is_in(pl.Series(prone, dtype=pl.String).implode()))
        .group_by("sku_id")
        .len("n")
        .sort(["n", "sku_id"], descending=[True, False])["sku_id"]
        .head(10)
        .to_list()
    )
    if not candidates:
        return None
    sku = candidates[int(generator(seed, "bad_batch").integers(len(candidates)))]
    return BadBatch(f"{sku}-b1", sku, until - BATCH_PERIOD, until, case_rate=0.35)


def pictured_skus(observed: ObservedTables) -> pl.DataFrame:
    """Return sku_id, brand_id of the best-selling branded goods: their listings show a picture."""
    brands = observed.products.select("sku_id", "brand_id").drop_nulls()
    return (
        observed.skus.head(300).join(brands, on="sku_id", maintain_order="left").select("sku_id", "brand_id")
    )


def _counterfeits(seed: int, observed: ObservedTables) -> tuple[tuple[str, str], ...]:
    """Choose pairs of a merchant and a branded good seller that the merchant has never sold."""
    pairs = _never_sold(observed)
    if not pairs.height:
        return ()
    size = min(12, pairs.height - pairs.height // 3)
    drawn = generator(seed, "counterfeits").choice(pairs.height, size=size, replace=False)
    chosen = pairs[drawn.tolist()]
    return tuple(sorted((merchant, sku) for merchant, sku in chosen.select("merchant_id", "sku_id").rows()))


def _lookalikes(
    seed: int, observed: ObservedTables, counterfeits: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str, str], ...]:
    """Choose such pairs of a brand that the merchant may sell, each with a good of another brand."""
    goods = pictured_skus(observed)
    brands = observed.products.select("sku_id", "brand_id").drop_nulls()
    sells = observed.lines.select("merchant_id", "sku_id").unique().join(brands, on="sku_id")
    copies = pl.DataFrame(
        list(counterfeits), schema={"merchant_id": pl.String, "sku_id": pl.String}, orient="row"
    ).join(brands, on="sku_id")
    pairs = (
        _never_sold(observed)
        .join(sells, on=["merchant_id", "brand_id"], how="semi", maintain_order="left")
        .join(copies, on=["merchant_id", "brand_id"], how="anti", maintain_order="left")
    )
    rng = generator(seed, "lookalikes")
    found = []
    for place in rng.choice(pairs.height, size=min(6, pairs.height), replace=False).tolist():
        merchant, sku, brand = pairs.row(place)
        others = goods.filter(pl.col("brand_id") != brand)
        if others.height:
            found.append((merchant, sku, others["sku_id"][int(rng.integers(others.height))]))
    return tuple(sorted(found))


def _never_sold(observed: ObservedTables) -> pl.DataFrame:
    """Return merchant_id, sku_id, brand_id of pictured goods that the merchant has never sold."""
    sold = observed.lines.select("merchant_id", "sku_id").unique()
    return (
        sold.select("merchant_id")
        .unique()
        .join(pictured_skus(observed), how="cross")
        .join(sold, on=["merchant_id", "sku_id"], how="anti")
        .sort("merchant_id", "sku_id")
    )


def _made_up(seed: int, observed: ObservedTables, bad: BadBatch | None) -> tuple[str, ...]:
    """Choose two of the skus that are told by batch, but not the one with the bad batch."""
    skus = [sku for sku in batched_skus(observed)["sku_id"] if bad is None or sku != bad.sku_id]
    drawn = generator(seed, "made_up_batches").choice(len(skus), size=min(2, len(skus)), replace=False)
    return tuple(sorted(skus[place] for place in drawn.tolist()))
