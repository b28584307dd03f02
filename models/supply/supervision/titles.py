"""Titles and images that are another brand's: its name in the title, the same words, the same picture."""

from __future__ import annotations

import re
import unicodedata

import polars as pl

from models.supply.supervision.config import SupervisionConfig

_FITS = re.compile(r"(?:适用于|适用|兼容|适配|\bfor|\bfits|compatible with|replaces)\s*$")
"""Before a brand's name: the goods go with those of the brand, they do not pretend to be of it."""
COPIES = {
    "merchant_id": pl.String(),
    "sku_id": pl.String(),
    "of_brand_id": pl.String(),
    "what": pl.String(),
}
"""A listing, whose brand it copies, and what of it."""


def names_of_others(listings: pl.DataFrame, brands: pl.Series, config: SupervisionConfig) -> pl.DataFrame:
    """Listings whose own title names a brand that is not theirs.

    A brand is known by its id, where that holds enough letters to be a name. A name inside a longer word,
    inside the listing's own brand, or after a word such as `for` or 适用 is none.

    Args:
        listings: As `Facts.listings`.
        brands: Ids of all brands.
        config: `least_brand`.

    Returns:
        `COPIES`, `what` being the title; the first such brand by its id, one row a listing.
    """
    names = {_plain(brand): brand for brand in brands.drop_nulls().unique().sort(descending=True)}
    names = {name: brand for name, brand in names.items() if _letters(name) >= config.least_brand}
    titled = listings.filter(pl.col("title").is_not_null())
    if not names or not titled.height:
        return pl.DataFrame(schema=COPIES)
    plain = titled.with_columns(plain=pl.col("title").map_elements(_plain, return_dtype=pl.String))
    hit = plain.filter(pl.col("plain").str.contains_any(list(names)))
    found = hit.with_columns(names=pl.col("plain").str.extract_many(list(names), overlapping=True))
    rows = []
    for row in found.iter_rows(named=True):
        own = _plain(row["brand_id"] or "")
        other = sorted(
            names[name] for name in set(row["names"]) if name not in own and _is_named(name, row["plain"])
        )
        if other:
            rows.append((row["merchant_id"], row["sku_id"], other[0], row["title"]))
    return pl.DataFrame(rows, schema=COPIES, orient="row")


def same_words(listings: pl.DataFrame, config: SupervisionConfig) -> pl.DataFrame:
    """Listings whose own title is, but for the brand's name, that of another brand, stated before.

    Args:
        listings: As `Facts.listings`.
        config: `least_title` and `most_alike`.

    Returns:
        `COPIES`, `what` being the title.
    """
    titled = listings.filter(pl.col("title").is_not_null(), pl.col("brand_id").is_not_null())
    signed = titled.with_columns(
        shown=pl.struct("title", "brand_id").map_elements(
            lambda row: _signature(row["title"], row["brand_id"]), return_dtype=pl.String
        )
    ).filter(pl.col("shown").str.len_chars() >= config.least_title)
    return _copied(signed, "title", config)


def same_image(listings: pl.DataFrame, config: SupervisionConfig) -> pl.DataFrame:
    """Listings whose image is that of another brand, shown before.

    Args:
        listings: As `Facts.listings`.
        config: `most_alike`.

    Returns:
        `COPIES`, `what` being the hash.
    """
    shown = listings.filter(pl.col("image_hash").is_not_null(), pl.col("brand_id").is_not_null())
    return _copied(shown.with_columns(shown="image_hash"), "image_hash", config)


def _copied(listings: pl.DataFrame, what: str, config: SupervisionConfig) -> pl.DataFrame:
    """Of listings that show the same, those of another brand than the one that showed it first, alone."""
    brands = listings.group_by("shown", "brand_id").agg(since=pl.col("since").min())
    first = (
        brands.sort("since", "brand_id")
        .group_by("shown", maintain_order=True)
        .agg(
            brands=pl.len(),
            of_brand_id=pl.col("brand_id").first(),
            is_first=(pl.col("since") == pl.col("since").min()).sum() == 1,
        )
        .filter(pl.col("brands").is_between(2, config.most_alike), "is_first")
    )
    return (
        listings.join(first, on="shown")
        .filter(pl.col("brand_id") != pl.col("of_brand_id"))
        .select("merchant_id", "sku_id", "of_brand_id", pl.col(what).alias("what"))
        .sort("merchant_id", "sku_id")
    )


def _plain(text: str) -> str:
    """Lower case, usual width, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def _letters(text: str) -> int:
    return sum(1 if letter.isascii() else 2 for letter in text if letter.isalpha())


def _signature(title: str, brand: str) -> str:
    without = _plain(title).replace(_plain(brand), " ")
    return "".join(letter for letter in without if letter.isalnum())


def _is_named(name: str, title: str) -> bool:
    edge = r"[a-z0-9]" if name.isascii() else r"(?!)"
    places = re.finditer(rf"(?<!{edge}){re.escape(name)}(?!{edge})", title)
    return any(not _FITS.search(title[: place.start()]) for place in places)
