"""What an order's status means: the word of the source to one of the contract's states.

Lives here: the shipped words (`status_words.yaml`) and the look-up. A user's own words come before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import polars as pl
import yaml

UNKNOWN = "not a status we know; map it in muyun.yaml: orders.values.status"


@cache
def shipped_words() -> Mapping[str, str]:
    """State by folded word, as shipped."""
    text = files("pipelines.sources").joinpath("status_words.yaml").read_text(encoding="utf-8")
    return {folded(word): state for state, words in yaml.safe_load(text).items() for word in words}


def folded(word: str) -> str:
    """A word without case, spaces, hyphens and underscores.

    >>> folded(" Pending_Payment ")
    'pendingpayment'
    """
    return "".join(word.split()).replace("-", "").replace("_", "").casefold()


def states(status: pl.Series, own: Mapping[str, str]) -> pl.Series:
    """The state of each status; null where the word is not known.

    Args:
        status: Words of the source.
        own: State by word, as the user says, by its name or by a word that we know; comes before the
            shipped words.
    """
    shipped = shipped_words()
    meant = {folded(word): shipped.get(folded(state)) for word, state in own.items()}
    known = {**shipped, **{word: state for word, state in meant.items() if state is not None}}
    words = status.drop_nulls().unique().to_list()
    found = {word: state for word in words if (state := known.get(folded(word))) is not None}
    return status.replace_strict(found, default=None, return_dtype=pl.String).alias("state")
