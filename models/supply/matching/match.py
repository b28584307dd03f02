"""Pairs of skus that may be the same product, with a score from 0 to 1. Pure.

Blocking: each title is compared with those that share its rarest words. Score: the mean of two cosines, of
words and of letter trigrams, both weighted by rarity (TF-IDF); less where numbers or codes differ on both
sides, more where a code is shared; the same barcode is 1, whatever the brands are called. What contradicts
(amounts, barcodes, brands, prices) is no pair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from models.supply.matching.titles import Title, contradict, gtins_in, read_title

Floats = npt.NDArray[np.float64]
_STEP = 200_000
"""Pairs that are multiplied at a time."""
_FEW = 1_000
"""A word of so many titles is never too common to find candidates by."""
PAIR_SCHEMA = {"sku_id": pl.String(), "other_sku_id": pl.String(), "score": pl.Float64()}


@dataclass(frozen=True)
class MatchingConfig:
    """How pairs are found and judged.

    Attributes:
        cut: Least score of a pair that is all but surely the same product.
        review: Least score of a pair that a person is asked about at all.
        neighbours: Titles that one is compared with, at most.
        common_share: Words that more than this share of titles have find no candidates.
        unshared_penalty: Taken off for the share of weight in words that the other title lacks, the smaller
            of both.
        number_penalty: Taken off where both titles have numbers that the other lacks.
        code_penalty: The same for codes, such as model numbers.
        code_bonus: Share of what is missing to 1 that a shared code adds.
        price_band: Largest ratio of two prices of one product.
    """

    cut: float = 0.78
    review: float = 0.6
    neighbours: int = 20
    common_share: float = 0.05
    unshared_penalty: float = 1.0
    number_penalty: float = 0.25
    code_penalty: float = 0.4
    code_bonus: float = 0.3
    price_band: float = 3.0


def pairs_of(skus: pl.DataFrame, config: MatchingConfig) -> pl.DataFrame:
    """Pairs of skus of different suppliers from the review line on, best first.

    Args:
        skus: `sku_id`, `title`, `pack_size`, `brand_id`, `price_cents` (the last three nullable),
            `suppliers` (list of ids; may be empty) and `gtin` (nullable; may be left out).
        config: How.

    Returns:
        `PAIR_SCHEMA`; the smaller id first.
    """
    skus = skus.sort("sku_id")
    if skus.height < 2:
        return pl.DataFrame(schema=PAIR_SCHEMA)
    texts = [" ".join(filter(None, row)) for row in skus.select("title", "pack_size").iter_rows()]
    titles = [read_title(f"{sku_id} {text}") if _is_barcode(sku_id) else read_title(text)
              for sku_id, text in zip(skus["sku_id"], texts, strict=True)]  # fmt: skip
    if "gtin" in skus.columns:
        titles = [
            replace(title, gtins=title.gtins | gtins_in(code)) if code else title
            for title, code in zip(titles, skus["gtin"], strict=True)
        ]
    left, right = _candidates(titles, config)
    suppliers = [frozenset(found or ()) for found in skus["suppliers"].to_list()]
    brands = skus["brand_id"].to_list()
    prices = skus["price_cents"].to_list()
    may = np.array(
        [
            not (suppliers[one] & suppliers[other])
            and not contradict(titles[one], titles[other])
            # Suppliers call one brand by ids of their own; a barcode is the maker's.
            and (titles[one].gtins & titles[other].gtins or _fits(brands[one], brands[other]))
            and _in_band(prices[one], prices[other], config.price_band)
            for one, other in zip(left, right, strict=True)
        ],
        dtype=bool,
    )
    left, right = left[may], right[may]
    scores = score_pairs(titles, left, right, config)
    ids = skus["sku_id"].to_numpy()
    found = pl.DataFrame(
        {"sku_id": ids[left], "other_sku_id": ids[right], "score": scores}, schema=PAIR_SCHEMA
    )
    return found.filter(pl.col("score") >= config.review).sort(
        "score", "sku_id", "other_sku_id", descending=[True, False, False]
    )


def score_pairs(
    titles: list[Title], left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], config: MatchingConfig
) -> Floats:
    """Scores of pairs of titles, which stand in the same order.

    Args:
        titles: All titles; rarity is counted over them.
        left: Positions of the first of each pair.
        right: Positions of the second.
        config: How.
    """
    if not len(left):
        return np.zeros(0)
    weights = _weights(titles, letters=False)
    words, letters = (_cosines(found, left, right) for found in (weights, _weights(titles, letters=True)))
    unshared = np.minimum(_unshared(weights, left, right), _unshared(weights, right, left))
    both = zip(left, right, strict=True)
    differences = np.array([_differences(titles[one], titles[other]) for one, other in both])
    numbers_differ, codes_differ, codes_shared, same_code = differences.T
    scores = (words + letters) / 2 - config.unshared_penalty * unshared
    scores = scores - config.number_penalty * numbers_differ - config.code_penalty * codes_differ
    scores = np.clip(scores + config.code_bonus * codes_shared * (1 - scores), 0.0, 1.0)
    return np.where(same_code > 0, 1.0, scores)


def _differences(one: Title, other: Title) -> tuple[float, float, float, float]:
    """Whether numbers differ on both sides, codes do, a code is shared, a barcode is."""
    return (
        float(bool(one.numbers - other.numbers) and bool(other.numbers - one.numbers)),
        float(bool(one.codes - other.codes) and bool(other.codes - one.codes)),
        float(bool(one.codes & other.codes)),
        float(bool(one.gtins & other.gtins)),
    )


def _is_barcode(sku_id: str) -> bool:
    return sku_id.isdecimal() and len(sku_id) in (8, 12, 13, 14)


def _fits(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one.casefold() == other.casefold()


def _in_band(one: float | None, other: float | None, band: float) -> bool:
    return not one or not other or max(one, other) <= band * min(one, other)


def _words(title: Title) -> list[str]:
    return [*title.words, *(f"{unit}={much:g}" for unit, much in sorted(title.amounts)), *sorted(title.gtins)]


def _letters(title: Title) -> list[str]:
    text = f" {' '.join(title.words)} "
    return [text[at : at + 3] for at in range(max(1, len(text) - 2))]


def _weights(titles: list[Title], *, letters: bool, most_share: float = 1.0) -> csr_matrix:
    vectoriser = TfidfVectorizer(
        analyzer=_letters if letters else _words,
        sublinear_tf=True,
        max_df=max(int(most_share * len(titles)), _FEW) if most_share < 1 else 1.0,
    )
    return csr_matrix(vectoriser.fit_transform(titles))


def _cosines(weights: csr_matrix, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> Floats:
    return _products(weights, weights, one, other)


def _unshared(weights: csr_matrix, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> Floats:
    """Share of the squared weight of each first title that lies in words which the second does not have."""
    has = weights.copy()
    has.data = np.ones_like(has.data)
    return 1.0 - _products(weights.multiply(weights).tocsr(), has, one, other)


def _products(
    first: csr_matrix, second: csr_matrix, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> Floats:
    """Inner products of rows of two matrices, pair by pair."""
    steps = [slice(at, at + _STEP) for at in range(0, len(one), _STEP)]
    parts = [first[one[at]].multiply(second[other[at]]).sum(axis=1) for at in steps]
    return np.concatenate([np.asarray(part).ravel() for part in parts])


def _candidates(
    titles: list[Title], config: MatchingConfig
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of pairs, each once, the smaller first, that are among each other's nearest by rare words."""
    try:
        weights = _weights(titles, letters=False, most_share=config.common_share)
    except ValueError:  # no title has a word that is rare enough to find anything by
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    turned = weights.T.tocsr()
    pairs: list[npt.NDArray[np.int64]] = []
    for begin in range(0, len(titles), 1000):
        near = (weights[begin : begin + 1000] @ turned).tocsr()
        for row in range(near.shape[0]):
            at = slice(near.indptr[row], near.indptr[row + 1])
            others, values = near.indices[at], near.data[at]
            is_other = others != begin + row
            others, values = others[is_other], values[is_other]
            if len(others) > config.neighbours:
                order = np.lexsort((others, -values))[: config.neighbours]
                others = others[order]
            mine = np.full(len(others), begin + row)
            pairs.append(np.stack([np.minimum(mine, others), np.maximum(mine, others)], axis=1))
    every = np.unique(np.concatenate(pairs), axis=0) if pairs else np.zeros((0, 2), dtype=np.int64)
    return every[:, 0].astype(np.int64), every[:, 1].astype(np.int64)
