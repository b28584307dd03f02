"""Logged features that a model makes itself, made again at their moment from what is known today.

Rebuying is asked of a consumer and a product type, repeating of a consumer and a sku: neither is an entity of
the tag registry. A log is bounded, so that it costs the same in a shop of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

import polars as pl

from pipelines.decisions.skew import Skew, again

MOST_ROWS = 20_000
"""Vectors of one kind that a moment logs, at most."""
REBUY, REPEAT = "rebuy_reminders", "recommendations"
"""Kinds of decisions, as their logs are called."""

_ANY_AGE_DAYS = 100_000
_EVERY = "every merchant"


def rebuy_again(lines: pl.DataFrame, logged: pl.DataFrame) -> Skew:
    """The features of logged rebuy reminders.

    Args:
        lines: `reading.known_lines`, as known today.
        logged: `consumer_id`, `category_id`, `as_of` and features, all of one moment.
    """
    from models.lifecycle.features.history import read_history
    from models.lifecycle.features.rebuy_features import FEATURES, named_pairs, rebuy_features

    keys = ["consumer_id", "category_id"]
    if logged.is_empty():
        return again(logged, logged, keys, FEATURES, "rebuy")
    moment = _moment(logged)
    history = read_history(lines, moment)
    features = named_pairs(rebuy_features(history, moment, min_purchases=2), history)
    return again(logged, features, keys, FEATURES, "rebuy")


def repeat_again(
    lines: pl.DataFrame, logged: pl.DataFrame, consented: Callable[[datetime], Collection[str]]
) -> Skew:
    """The features of logged recommendations of the repeat lane.

    Args:
        lines: `reading.known_lines`, as known today.
        logged: `consumer_id`, `merchant_id` (null: of every merchant), `sku_id`, `as_of` and features, all of
            one moment.
        consented: Moment to the consumers who had consented to use across merchants by then, logged or not:
            each of them is one history.
    """
    from models.recommendation.config import RankerParams
    from models.recommendation.interactions import index_lines
    from models.recommendation.lists.tenancy import by_history, histories
    from models.recommendation.rankers.ranker import FEATURES, named_pairs, pair_features

    keys = ["consumer_id", "merchant_id", "sku_id"]
    if "merchant_id" not in logged.columns:
        return Skew(0, 0, 0, [], "logged when lists were made from purchases at every merchant")
    every = pl.col("merchant_id").fill_null(_EVERY)
    logged = logged.with_columns(every)
    if logged.is_empty():
        return again(logged, logged, keys, FEATURES, "the repeat ranker")
    moment = _moment(logged)
    of_no_merchant = logged.filter(pl.col("merchant_id") == _EVERY)["consumer_id"].to_list()
    platform_wide = {*consented(moment), *of_no_merchant}
    data = index_lines(by_history(lines, platform_wide), moment)
    # How old a pair may be decides who is a candidate, not what is told of it.
    features = (
        named_pairs(pair_features(data, moment, RankerParams(recent_days=_ANY_AGE_DAYS)), data)
        .rename({"consumer_id": "history"})
        .join(histories(lines, platform_wide).with_columns(every), on="history")
    )
    return again(logged, features, keys, FEATURES, "the repeat ranker")


def _moment(logged: pl.DataFrame) -> datetime:
    found = logged["as_of"].dt.convert_time_zone("UTC")[0]
    assert isinstance(found, datetime)
    return found
