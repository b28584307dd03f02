"""Suggestions of a night: candidates by the ranking or the rule, with what the platform can supply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from models.errors import InsufficientDataError
from models.supply.assortment.assignment import assign
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.features import AT_SIMILAR, FEATURES, IN_SCENE
from models.supply.assortment.feedback import acceptance, without_decided, without_unwanted
from models.supply.assortment.hindcast import (
    RULES,
    Look,
    held,
    look,
    new_products,
    units_per_new,
    units_per_score,
    window_after,
)
from models.supply.assortment.history import Floats, World
from models.supply.assortment.ranking import NAME, Ranking

SUGGESTIONS = pl.Schema(
    {
        "merchant_id": pl.String,
        "rank": pl.Int64,
        "sku_id": pl.String,
        "scene": pl.String,
        "category_id": pl.String,
        "horizon_days": pl.Int64,
        "expected_qty": pl.Float64,
        "expected_margin_cents": pl.Int64,
        "list_price_cents": pl.Int64,
        "supplier_id": pl.String,
        "supply_price_cents": pl.Int64,
        "backups": pl.String,
        "is_new_product": pl.Boolean,
        "propensity": pl.Float64,
        "basis": pl.String,
        "reason_code": pl.String,
        "explanation": pl.String,
    }
)
NEW_PRODUCT, SIMILAR, POPULAR, FITS = (
    "new_product",
    "sold_at_similar_merchants",
    "popular_in_scene",
    "fits_demand",
)
"""Reasons: nobody has sold it yet; the strongest of the simple rules that holds; what is left."""
_GRADES = {"A": 0, "B": 1, "C": 2}
_UNGRADED = 1
"""A channel without a grade stands beside B."""
_MOST_MARGIN = 0.9
_DRAW = 7


@dataclass(frozen=True)
class Supply:
    """What the platform can bring.

    Attributes:
        offers: supplier_id, sku_id, category_id, unit_cents, spare_qty (units within the window beside what
            sells already), lead_time_days, grade (null where the channel has none); only offers that may
            supply.
        prices: sku_id, list_price_cents: what it is listed for elsewhere.
        barred: Skus that the quality brake limits or stops.
    """

    offers: pl.DataFrame
    prices: pl.DataFrame
    barred: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """A look with its scores, and what they stand for.

    Attributes:
        look: What is known.
        score: float32 (n,).
        basis: Name of the ranking or of the rule.
        units_per_score: Units that a point of score brings within the window.
        units_per_new: Units that a product brings that nobody has sold yet.
    """

    look: Look
    score: Floats
    basis: str
    units_per_score: float
    units_per_new: float


def scored(world: World, as_of: datetime, ranking: Ranking | None, config: AssortmentConfig) -> Scored:
    """Score every pair, by the champion where one serves, else by the rule that held more of late.

    Args:
        world: What is read.
        as_of: Moment of knowledge.
        ranking: The champion; None where the simple rule serves.
        config: Settings of the rule; a champion has its own.

    Raises:
        InsufficientDataError: No champion serves, and nobody started anything that would tell what a
            suggestion brings.
    """
    if ranking is not None:
        seen = look(world, as_of, ranking.config)
        values = ranking.score(seen.features)
        return Scored(seen, values, NAME, ranking.units_per_score, ranking.units_per_new)
    past = window_after(world, as_of - timedelta(days=config.window_days), config)
    if not past.started.sum():
        raise InsufficientDataError(
            f"no merchant with {config.least_skus} skus or more started one in the last {config.window_days}"
            " days: what a suggestion brings cannot be told"
        )
    found = {rule: held(past, past.look.by_rule(rule), config).skus.sum() for rule in RULES}
    rule = max(sorted(found), key=lambda name: found[name])
    seen = look(world, as_of, config)
    told = [(past, past.look.by_rule(rule))]
    return Scored(
        seen, seen.by_rule(rule), rule, units_per_score(told, config), units_per_new([past], config)
    )


@dataclass(frozen=True)
class Suggested:
    """The suggestions of a night.

    Attributes:
        rows: As `SUGGESTIONS`, by merchant and rank: the largest expected margin first.
        left_out: Pairs that would have entered the assignment, had they brought the least that is asked.
    """

    rows: pl.DataFrame
    left_out: int


def suggest(
    found: Scored, supply: Supply, decisions: pl.DataFrame, as_of: datetime, config: AssortmentConfig
) -> Suggested:
    """What each merchant should take in: nothing below `least_units` or `least_margin_cents`.

    Args:
        found: Pairs with their scores.
        supply: What the platform can bring.
        decisions: As `feedback.DECISIONS`.
        as_of: Moment; a week of it draws the same new products.
        config: Settings.
    """
    pairs = _pairs(found, as_of, config)
    pairs = pairs.filter(~pl.col("sku_id").is_in(list(supply.barred)))
    pairs = without_decided(pairs, decisions, as_of)
    options = _options(pairs, supply, decisions, as_of, config)
    planned = _planned(options, config)
    useful = planned.filter(
        pl.col("units") >= config.least_units,
        # As it is published: half a cent is a cent.
        pl.col("margin").round() >= config.least_margin_cents,
    )
    pair = ["merchant_id", "sku_id"]
    left_out = planned.select(pair).n_unique() - useful.select(pair).n_unique()
    return Suggested(_documents(assign(useful, config), options, found, config), left_out)


def _pairs(found: Scored, as_of: datetime, config: AssortmentConfig) -> pl.DataFrame:
    """Pairs with units, propensity and what explains them; of new products only those that were drawn."""
    seen = found.look
    world, features = seen.past.world, seen.features
    propensity = np.ones(len(found.score))
    is_new = np.isnan(features[:, FEATURES.index("days_since_last")])
    units = found.score.astype(np.float64) * found.units_per_score
    wanted = ~is_new & (found.score > 0)
    week = as_of.isocalendar()
    for place, fitting in enumerate(new_products(seen, config)):
        merchant = int(seen.past.asked[place])
        rng = np.random.default_rng([config.seed, _DRAW, week.year, week.week, merchant])
        for begin in range(0, len(fitting), config.new_choices):
            group = fitting[begin : begin + config.new_choices]
            drawn = group[rng.integers(len(group))]
            wanted[drawn], propensity[drawn], units[drawn] = True, 1 / len(group), found.units_per_new
    rows = np.flatnonzero(wanted)
    merchants, products = world.merchants, world.products
    category = (
        products["category_l2_id"] if "category_l2_id" in products.columns else pl.Series([None])
    ).cast(pl.String)
    who, what = seen.past.asked[seen.pairs.merchant[rows]], seen.pairs.sku[rows]
    shown = ("scene_merchants", "merchants", AT_SIMILAR, "share_category_l2_id", "price_gap")
    return pl.DataFrame(
        {
            "merchant_id": merchants["merchant_id"].gather(who),
            "scene": merchants["scene"].gather(who),
            "sku_id": products["sku_id"].gather(what),
            "category_id": category.gather(what).fill_null("uncategorised"),
            "score": found.score[rows],
            "units": units[rows],
            "is_new_product": is_new[rows],
            "propensity": propensity[rows],
            **{f"said_{name}": features[rows, FEATURES.index(name)] for name in shown},
        }
    ).with_columns(
        place_similar=pl.col(f"said_{AT_SIMILAR}").rank("ordinal", descending=True).over("merchant_id"),
        place_popular=pl.col(f"said_{IN_SCENE}").rank("ordinal", descending=True).over("merchant_id"),
    )


def _options(
    pairs: pl.DataFrame,
    supply: Supply,
    decisions: pl.DataFrame,
    as_of: datetime,
    config: AssortmentConfig,
) -> pl.DataFrame:
    """Pairs with every offer that may supply them, and what they would bring."""
    priced = supply.offers.join(supply.prices, on="sku_id", how="left")
    rate = (1 - pl.col("unit_cents") / pl.col("list_price_cents")).clip(0, _MOST_MARGIN)
    usual = priced.with_columns(rate=rate)
    by_category = usual.group_by("category_id").agg(usual=pl.col("rate").median())
    everywhere = usual["rate"].median()
    priced = priced.join(by_category, on="category_id", how="left").with_columns(
        list_price_cents=pl.coalesce(
            pl.col("list_price_cents").cast(pl.Float64),
            pl.col("unit_cents") / (1 - pl.coalesce("usual", pl.lit(everywhere or 0.0, pl.Float64))),
        )
        .round()
        .cast(pl.Int64)
    )
    offered = pairs.join(priced.drop("category_id", "usual"), on="sku_id").filter(
        pl.col("list_price_cents") > pl.col("unit_cents")
    )
    offered = without_unwanted(offered, decisions, as_of)
    taken = acceptance(decisions, config)
    return (
        offered.join(taken, on=["merchant_id", "category_id"], how="left")
        .with_columns(pl.col("acceptance").fill_null(1.0))
        .with_columns(margin=pl.col("units") * (pl.col("list_price_cents") - pl.col("unit_cents")))
        .with_columns(
            value=pl.col("margin") * pl.col("acceptance"),
            spare=pl.col("spare_qty"),
            is_kept=pl.col("is_new_product"),
            grade_place=pl.col("grade").replace_strict(_GRADES, default=_UNGRADED, return_dtype=pl.Int64),
        )
    )


def _planned(options: pl.DataFrame, config: AssortmentConfig) -> pl.DataFrame:
    """The options of the pairs of each merchant that are worth most, and of all that have a kept place."""
    pairs = options.group_by("merchant_id", "sku_id", "is_kept").agg(pl.col("value").max())
    order = pairs.sort("merchant_id", "value", "sku_id", descending=[False, True, False])
    place = pl.int_range(pl.len()).over("merchant_id")
    best = order.filter((place < config.planned) | pl.col("is_kept")).select("merchant_id", "sku_id")
    return options.join(best, on=["merchant_id", "sku_id"])


def _documents(
    chosen: pl.DataFrame, options: pl.DataFrame, found: Scored, config: AssortmentConfig
) -> pl.DataFrame:
    others = (
        options.join(chosen.select("merchant_id", "sku_id", main="supplier_id"), on=["merchant_id", "sku_id"])
        .filter(pl.col("supplier_id") != pl.col("main"))
        .sort("merchant_id", "sku_id", "grade_place", "unit_cents", "supplier_id")
        .group_by("merchant_id", "sku_id", maintain_order=True)
        .agg(others=pl.struct("supplier_id", "grade", "unit_cents").head(config.backups))
    )
    ranked = chosen.join(
        others, on=["merchant_id", "sku_id"], how="left", maintain_order="left"
    ).with_columns(
        rank=pl.int_range(1, pl.len() + 1).over("merchant_id"),
        reason_code=pl.when("is_new_product")
        .then(pl.lit(NEW_PRODUCT))
        .when((pl.col("place_similar") <= config.list_length) & (pl.col(f"said_{AT_SIMILAR}") > 0))
        .then(pl.lit(SIMILAR))
        .when((pl.col("place_popular") <= config.list_length) & (pl.col(f"said_{IN_SCENE}") >= 1))
        .then(pl.lit(POPULAR))
        .otherwise(pl.lit(FITS)),
    )
    rows = [_document(row, found, config) for row in ranked.iter_rows(named=True)]
    return pl.DataFrame(rows, schema=SUGGESTIONS, orient="row")


def _document(row: dict[str, Any], found: Scored, config: AssortmentConfig) -> tuple[Any, ...]:
    backups = [
        {"supplier_id": one["supplier_id"], "grade": one["grade"], "supply_price_cents": one["unit_cents"]}
        for one in row["others"] or ()
    ]
    gap = row["said_price_gap"]
    explanation = [
        {"code": "score", "value": round(row["score"], 4), "basis": found.basis},
        {"code": SIMILAR, "weight": round(row[f"said_{AT_SIMILAR}"], 4), "place": row["place_similar"]},
        {"code": POPULAR, "merchants": int(row[f"said_{IN_SCENE}"]), "place": row["place_popular"]},
        {"code": "sold_by", "merchants": int(row["said_merchants"]), "days": config.window_days},
        {"code": "category_share", "value": round(row["said_share_category_l2_id"], 4)},
        {"code": "price_over_usual", "value": None if np.isnan(gap) else round(float(np.expm1(gap)), 4)},
        {"code": "margin", "unit_cents": row["list_price_cents"] - row["unit_cents"]},
        {"code": "supplier", "grade": row["grade"], "spare_qty": round(row["spare_qty"], 1),
         "lead_time_days": row["lead_time_days"]},
        {"code": "acceptance", "value": round(row["acceptance"], 4)},
    ]  # fmt: skip
    return (
        row["merchant_id"],
        row["rank"],
        row["sku_id"],
        row["scene"],
        row["category_id"],
        config.window_days,
        row["units"],
        round(row["margin"]),
        row["list_price_cents"],
        row["supplier_id"],
        row["unit_cents"],
        json.dumps(backups),
        row["is_new_product"],
        row["propensity"],
        found.basis,
        row["reason_code"],
        json.dumps(explanation),
    )
