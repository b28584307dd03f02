"""Overlay table `events`: visits around observed orders, event by event (`sessions` says who and what)."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.sources.contract import empty
from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import SECOND, Ints, arrivals, finish, moments, numbered
from pipelines.sources.overlay.sessions import (
    POLICIES,
    Sessions,
    Slates,
    browsed_pairs,
    looked_up_lines,
    sessions,
    slates,
)

_ANONYMOUS_SHARE = 0.08
"""Share of visits without order whose visitor is not signed in."""
_SEARCH_SHARE = 0.30
_FAVOURITE_SHARE, _SHARE_SHARE, _REMOVED_SHARE = 0.04, 0.007, 0.30
_VIEWED, _CARTED, _ORDERED = 0, 1, 2
_ORDER_OF_TYPES = (
    "search",
    "impression",
    "view",
    "favourite",
    "share",
    "add_to_cart",
    "remove_from_cart",
    "checkout",
)


def events(context: Context) -> pl.DataFrame:
    """One row per event. In a visit that ends in an order all events precede `placed_at`.

    The funnel is planted on (session, sku) pairs: carted-but-not-ordered and viewed-but-not-carted pairs are
    drawn as the failures before the observed successes, so the rates hold whatever the number of orders.
    """
    rng = context.rng("events")
    bought = looked_up_lines(context, rng)
    ordered_rows = bought["order_row"].unique().sort().to_numpy()
    if len(ordered_rows) == 0:
        return empty("events")
    visits = sessions(context, ordered_rows, rng)
    shown = slates(context, visits, rng)
    pairs = _pairs(context, visits, shown, bought, ordered_rows, rng)
    rows = pl.concat(
        [
            _impressions(visits, shown, rng),
            _steps(visits, pairs, rng),
            _checkouts(visits, rng),
            _searches(context, visits, pairs, rng),
        ],
        how="diagonal",
    )
    rows = _identities(context, visits, rows, rng).sort("at", "session", "step", "sku_id", nulls_last=True)
    rows = rows.with_columns(
        event_type=pl.Series(_ORDER_OF_TYPES).gather(rows["step"]),
        occurred_at=moments(rows["at"].to_numpy()),
        received_at=moments(arrivals(rng, rows["at"].to_numpy(), 20 * SECOND)),
    )
    return finish(
        "events",
        rows,
        as_of=context.as_of,
        order_by=["at", "session", "step", "sku_id"],
        key="event_id",
        key_prefix="ev",
    )


def _pairs(
    context: Context,
    visits: Sessions,
    shown: Slates,
    bought: pl.DataFrame,
    ordered_rows: Ints,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return session, sku, stage (viewed, carted, ordered), position of the impression that led there."""
    truths = context.truths
    ordered = bought.select(
        session=pl.Series(np.searchsorted(ordered_rows, bought["order_row"].to_numpy())), sku="sku"
    )
    unordered = int(rng.negative_binomial(ordered.height, truths.cart_to_order_rate))
    unseen = int(rng.negative_binomial(ordered.height + unordered, truths.view_to_cart_rate))
    clicked = pl.DataFrame({"session": shown.session, "sku": shown.sku, "position": shown.position}).filter(
        pl.Series(shown.viewed)
    )
    viewed = clicked.select("session", "sku").join(
        ordered, on=["session", "sku"], how="anti", maintain_order="left"
    )
    viewed = viewed.head(unseen)
    taken = pl.concat([ordered, viewed])
    browsed = browsed_pairs(context, visits, taken, unordered + unseen - viewed.height, rng)
    carted_share = unordered / max(unordered + unseen - viewed.height, 1)
    count = round(browsed.height * carted_share)
    is_carted = np.zeros(browsed.height, dtype=np.int64)
    is_carted[rng.choice(browsed.height, size=count, replace=False)] = _CARTED
    pairs = pl.concat(
        [
            ordered.with_columns(stage=pl.lit(_ORDERED, pl.Int64)),
            viewed.with_columns(stage=pl.lit(_VIEWED, pl.Int64)),
            browsed.with_columns(stage=pl.Series(is_carted)),
        ]
    )
    return pairs.join(clicked, on=["session", "sku"], how="left").sort("session", "sku")


def _impressions(visits: Sessions, shown: Slates, rng: np.random.Generator) -> pl.DataFrame:
    """Slates appear in the first tenth of the visit, one impression after the other."""
    at = visits.start[shown.session] + visits.length[shown.session] // 20 + shown.position * SECOND // 5
    return pl.DataFrame(
        {
            "session": shown.session,
            "sku": shown.sku,
            "step": np.full(len(at), _ORDER_OF_TYPES.index("impression")),
            "at": at,
            "position": shown.position,
            "propensity": shown.propensity,
            "policy_version": pl.Series(list(POLICIES), dtype=pl.String).gather(shown.policy),
        }
    )


def _steps(visits: Sessions, pairs: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Views in 10-70 % of the visit, then favourites, shares and carts up to 85 %, removals up to 90 %."""
    n = pairs.height
    session, stage = pairs["session"].to_numpy(), pairs["stage"].to_numpy()
    start, length = visits.start[session], visits.length[session]
    view = 0.10 + 0.60 * rng.random(n)
    cart = view + (0.85 - view) * (0.05 + 0.95 * rng.random(n))
    removed = cart + (0.90 - cart) * rng.random(n)
    between = view + (cart - view) * rng.random(n)
    dwell = np.minimum(rng.lognormal(9.3, 0.8, n), (cart - view) * length / 1000).astype(np.int64)
    base = pairs.select("session", "sku")

    def at(where: np.ndarray, part: np.ndarray, step: str) -> pl.DataFrame:
        rows = np.nonzero(where)[0]
        moment = start[rows] + (part[rows] * length[rows]).astype(np.int64)
        return base[rows].with_columns(
            at=pl.Series(moment), step=pl.lit(_ORDER_OF_TYPES.index(step), pl.Int64)
        )

    everywhere = np.ones(n, dtype=bool)
    views = at(everywhere, view, "view").with_columns(dwell_ms=pl.Series(dwell), position=pairs["position"])
    return pl.concat(
        [
            views,
            at(rng.random(n) < _FAVOURITE_SHARE, between, "favourite"),
            at(rng.random(n) < _SHARE_SHARE, between, "share"),
            at(stage >= _CARTED, cart, "add_to_cart"),
            at((stage == _CARTED) & (rng.random(n) < _REMOVED_SHARE), removed, "remove_from_cart"),
        ],
        how="diagonal",
    )


def _checkouts(visits: Sessions, rng: np.random.Generator) -> pl.DataFrame:
    """Each visit with an order ends in one checkout, 3 to 25 seconds before the order is placed."""
    session = np.nonzero(visits.is_order)[0]
    at = (
        visits.start[session]
        + visits.length[session]
        - (rng.uniform(3, 25, len(session)) * SECOND).astype(np.int64)
    )
    return pl.DataFrame({"session": session, "at": at}).with_columns(
        step=pl.lit(_ORDER_OF_TYPES.index("checkout"), pl.Int64)
    )


def _searches(
    context: Context, visits: Sessions, pairs: pl.DataFrame, rng: np.random.Generator
) -> pl.DataFrame:
    """A share of the visits begins with a search for the category of one of the skus then viewed."""
    first = pairs.group_by("session").agg(pl.col("sku").first()).sort("session")
    chosen = first.filter(pl.Series(rng.random(first.height) < _SEARCH_SHARE))
    session = chosen["session"].to_numpy()
    return pl.DataFrame(
        {
            "session": session,
            "at": visits.start[session] + visits.length[session] // 40,
            "query": context.observed.catalogue["category_name"].gather(chosen["sku"]),
        }
    ).with_columns(step=pl.lit(_ORDER_OF_TYPES.index("search"), pl.Int64))


def _identities(
    context: Context, visits: Sessions, rows: pl.DataFrame, rng: np.random.Generator
) -> pl.DataFrame:
    """Add session_id, consumer_id or anonymous_id, and sku_id in place of the codes."""
    n = len(visits.start)
    anonymous = ~visits.is_order & (rng.random(n) < _ANONYMOUS_SHARE)
    # Numbered in time order, so an id says nothing about whether the visit ended in an order.
    place = np.empty(n, dtype=np.int64)
    place[np.lexsort((visits.order_row, visits.start))] = np.arange(n)
    people = pl.DataFrame(
        {
            "consumer": context.observed.sorted_orders["consumer_id"].gather(visits.order_row),
            "visitor": numbered("anon", n).gather(place),
            "session_id": numbered("ses", n).gather(place),
            "anonymous": anonymous,
        }
    ).select(
        pl.int_range(pl.len()).cast(pl.Int64).alias("session"),
        "session_id",
        consumer_id=pl.when(~pl.col("anonymous")).then("consumer"),
        anonymous_id=pl.when("anonymous").then("visitor"),
    )
    skus = context.observed.catalogue.select(pl.int_range(pl.len()).cast(pl.Int64).alias("sku"), "sku_id")
    return rows.join(people, on="session").join(skus, on="sku", how="left")
