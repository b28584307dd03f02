"""Every sign against every listing of a merchant and every offer of a supplier, with its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import polars as pl

from models.supply.supervision.config import SupervisionConfig
from models.supply.supervision.facts import Facts
from models.supply.supervision.ladder import Sign
from models.supply.supervision.titles import names_of_others, same_image, same_words
from models.supply.supervision.words import names_a_counterfeit

PartyType = Literal["merchant", "supplier"]
_PARTIES: tuple[PartyType, ...] = ("merchant", "supplier")
_NAMED = 5
"""Most codes and words that facts name."""


class Subject(NamedTuple):
    """A listing of a merchant, or an offer of a supplier."""

    party_type: PartyType
    party_id: str
    sku_id: str


def signs_of(facts: Facts, config: SupervisionConfig) -> Mapping[Subject, tuple[Sign, ...]]:
    """The signs against each listing and offer; those without any are left out.

    Args:
        facts: What is looked at.
        config: Settings.

    Returns:
        Subjects in order, each with its signs by name.
    """
    found: dict[Subject, list[Sign]] = {}
    for subject, sign in (
        *_prices(facts, config),
        *_unauthorised(facts),
        *_copies(facts, config),
        *_complaints(facts, config),
        *_unknown_batches(facts),
        *_oversold(facts, config),
        *_shared_invoices(facts),
        *_short_invoices(facts, config),
    ):
        found.setdefault(subject, []).append(sign)
    return {subject: tuple(sorted(found[subject], key=lambda sign: sign.name)) for subject in sorted(found)}


_Found = list[tuple[Subject, Sign]]


def _prices(facts: Facts, config: SupervisionConfig) -> _Found:
    """A listing below what suppliers ask for the sku; an offer below what the other suppliers ask."""
    offers = facts.offers.select("supplier_id", "sku_id", cents="supply_price_cents")
    market = offers.group_by("sku_id").agg(market=pl.col("cents").median(), offers=pl.len())
    listed = facts.listings.select("sku_id", party_id="merchant_id", cents="list_price_cents").join(
        market, on="sku_id"
    )
    others = (
        offers.join(offers.rename({"supplier_id": "other_id", "cents": "other"}), on="sku_id")
        .filter(pl.col("supplier_id") != pl.col("other_id"))
        .group_by("supplier_id", "sku_id")
        .agg(market=pl.col("other").median(), offers=pl.len(), cents=pl.col("cents").first())
        .rename({"supplier_id": "party_id"})
    )
    out: _Found = []
    parties: tuple[tuple[PartyType, pl.DataFrame], ...] = (("merchant", listed), ("supplier", others))
    for party_type, frame in parties:
        cheap = frame.filter(pl.col("cents") < pl.col("market") * config.near_market)
        for row in cheap.sort("party_id", "sku_id").iter_rows(named=True):
            share = row["cents"] / row["market"]
            strength = (config.near_market - share) / (config.near_market - config.far_market)
            evidence = {
                "price_cents": row["cents"],
                "market_cents": round(row["market"]),
                "share": round(share, 4),
                "offers": row["offers"],
            }
            subject = Subject(party_type, row["party_id"], row["sku_id"])
            out.append((subject, Sign("price", min(1.0, strength), evidence)))
    return out


def _unauthorised(facts: Facts) -> _Found:
    """A brand that others of the same kind hold a record for, sold by somebody who holds none.

    A brand that authorises merchants guards its shops, one that authorises suppliers its sources: where no
    merchant holds a record, none is asked of merchants. The maker of a sku needs none.
    """
    listing = facts.listings.select("sku_id", "brand_id", party_id="merchant_id")
    offering = facts.offers.filter(pl.col("maker_id").ne_missing(pl.col("supplier_id"))).select(
        "sku_id", "brand_id", party_id="supplier_id"
    )
    out: _Found = []
    parties: tuple[tuple[PartyType, str, pl.DataFrame], ...] = (
        ("merchant", "merchant_id", listing),
        ("supplier", "supplier_id", offering),
    )
    for party_type, party, sold in parties:
        held = facts.authorisations.select("brand_id", party_id=party).drop_nulls().unique()
        guarded = held.group_by("brand_id").agg(holders=pl.len())
        strangers = sold.join(guarded, on="brand_id").join(held, on=["brand_id", "party_id"], how="anti")
        for row in strangers.iter_rows(named=True):
            evidence = {"brand_id": row["brand_id"], "holders": row["holders"]}
            subject = Subject(party_type, row["party_id"], row["sku_id"])
            out.append((subject, Sign("authorisation", 1.0, evidence)))
    return out


def _copies(facts: Facts, config: SupervisionConfig) -> _Found:
    brands = facts.listings["brand_id"].append(facts.offers["brand_id"])
    named = names_of_others(facts.listings, brands, config)
    pair = ["merchant_id", "sku_id"]
    worded = same_words(facts.listings, config).join(named, on=pair, how="anti")
    out: _Found = []
    for name, frame in (
        ("title", pl.concat([named, worded])),
        ("image", same_image(facts.listings, config)),
    ):
        for row in frame.iter_rows(named=True):
            evidence = {"of_brand_id": row["of_brand_id"], name: row["what"]}
            subject = Subject("merchant", row["merchant_id"], row["sku_id"])
            out.append((subject, Sign(name, 1.0, evidence)))
    return out


def _complaints(facts: Facts, config: SupervisionConfig) -> _Found:
    """Orders whose buyer calls the goods counterfeit, against their merchant and their supplier alike."""
    reasons = facts.complaints["reason"].unique()
    words = {reason: names_a_counterfeit(reason, config.words) for reason in reasons}
    said = {reason: word for reason, word in words.items() if word is not None}
    told = facts.complaints.filter(pl.col("reason").is_in(list(said))).with_columns(
        word=pl.col("reason").replace_strict(said, return_dtype=pl.String)
    )
    out: _Found = []
    parties: tuple[tuple[PartyType, str], ...] = (("merchant", "merchant_id"), ("supplier", "supplier_id"))
    for party_type, party in parties:
        sold = facts.sold.drop_nulls(party).group_by(party, "sku_id").agg(
            orders=pl.col("order_id").n_unique()
        )  # fmt: skip
        counted = (
            _not_answered(told.drop_nulls(party), facts.cleared, party_type, party, "opened_at")
            .group_by(party, "sku_id")
            .agg(
                complaints=pl.col("order_id").n_unique(),
                words=pl.col("word").unique().sort().head(_NAMED),
            )
            .join(sold, on=[party, "sku_id"], how="left")
            .with_columns(orders=pl.max_horizontal(pl.col("orders").fill_null(0), "complaints"))
            .filter(
                pl.col("complaints") >= config.least_complaints,
                pl.col("complaints") > config.least_complaint_rate * pl.col("orders"),
            )
        )
        for row in counted.iter_rows(named=True):
            evidence = {name: row[name] for name in ("complaints", "orders", "words")}
            strength = min(1.0, row["complaints"] / config.enough_complaints)
            subject = Subject(party_type, row[party], row["sku_id"])
            out.append((subject, Sign("complaints", strength, evidence)))
    return out


def _unknown_batches(facts: Facts) -> _Found:
    """Parcels with a batch code that their supplier never stated for the sku, though it states batches of it.

    One parcel may be a slip of the scanner, and counts half.
    """
    stated = facts.batches.select("batch_id", "sku_id", "supplier_id")
    scans = _not_answered(facts.scans, facts.cleared, "supplier", "supplier_id", "seen_at")
    tells = scans.join(stated, on=["sku_id", "supplier_id"], how="semi")
    unknown = (
        tells.join(stated, on=["batch_id", "sku_id", "supplier_id"], how="anti")
        .join(stated.select("batch_id", is_anothers=True), on="batch_id", how="left", maintain_order="left")
        .group_by("supplier_id", "sku_id")
        .agg(
            orders=pl.col("order_id").n_unique(),
            codes=pl.col("batch_id").unique().sort().head(_NAMED),
            of_others=pl.col("batch_id").filter(pl.col("is_anothers").fill_null(False)).n_unique(),
        )
    )
    return [
        (
            Subject("supplier", row["supplier_id"], row["sku_id"]),
            Sign(
                "batch_unknown",
                min(1.0, row["orders"] / 2),
                {name: row[name] for name in ("codes", "orders", "of_others")},
            ),
        )
        for row in unknown.iter_rows(named=True)
    ]


def _oversold(facts: Facts, config: SupervisionConfig) -> _Found:
    """Batches of which more was sent than was made."""
    scans = _not_answered(facts.scans, facts.cleared, "supplier", "supplier_id", "seen_at")
    out = scans.unique(["batch_id", "sku_id", "supplier_id", "order_id"])
    sold = out.group_by("batch_id", "sku_id", "supplier_id").agg(sold=pl.col("units").sort().sum())
    over = (
        sold.join(facts.batches.drop_nulls("qty"), on=["batch_id", "sku_id", "supplier_id"])
        .filter(pl.col("sold") > pl.col("qty") * config.oversold_share)
        .sort("batch_id")
        .group_by("supplier_id", "sku_id", maintain_order=True)
        .agg(codes=pl.col("batch_id").head(_NAMED), sold=pl.col("sold").first(), made=pl.col("qty").first())
    )
    return [
        (
            Subject("supplier", row["supplier_id"], row["sku_id"]),
            Sign("batch_oversold", 1.0, {name: row[name] for name in ("codes", "sold", "made")}),
        )
        for row in over.iter_rows(named=True)
    ]


def _shared_invoices(facts: Facts) -> _Found:
    """Invoices that somebody else stated before: a purchase has one buyer. Who was first has no sign."""
    told = facts.invoices.sort("stated_at", "party_type", "party_id")
    first = told.unique("invoice_id", keep="first", maintain_order=True).select(
        "invoice_id", first_type="party_type", first_id="party_id"
    )
    later = told.join(first, on="invoice_id").filter(
        (pl.col("party_type") != pl.col("first_type")) | (pl.col("party_id") != pl.col("first_id"))
    )
    out: _Found = []
    for party_type in _PARTIES:
        own = later.filter(pl.col("party_type") == party_type)
        counted = (
            _not_answered(own, facts.cleared, party_type, "party_id", "stated_at")
            .sort("invoice_id")
            .group_by("party_id", "sku_id")
            .agg(invoices=pl.col("invoice_id").head(_NAMED))
        )
        for row in counted.iter_rows(named=True):
            subject = Subject(party_type, row["party_id"], row["sku_id"])
            out.append((subject, Sign("invoice_shared", 1.0, {"invoices": row["invoices"]})))
    return out


def _short_invoices(facts: Facts, config: SupervisionConfig) -> _Found:
    """Parties that sold more of a sku than the invoices that they stated for it have units.

    What was sold before the first of them was issued is not asked, nor anything of who stated none.
    """
    out: _Found = []
    for party_type in _PARTIES:
        party = f"{party_type}_id"
        bought = (
            facts.invoices.filter(pl.col("party_type") == party_type)
            .group_by("party_id", "sku_id")
            .agg(
                units=pl.col("units").sum(),
                since=pl.col("issued_on").min(),
                invoices=pl.col("invoice_id").sort().head(_NAMED),
            )
        )
        sold = facts.sold.drop_nulls(party).rename({party: "party_id", "units": "out"})
        short = (
            _not_answered(sold, facts.cleared, party_type, "party_id", "placed_at")
            .join(bought, on=["party_id", "sku_id"])
            .filter(pl.col("placed_at").dt.date() >= pl.col("since"))
            .group_by("party_id", "sku_id", "units", "invoices")
            .agg(sold=pl.col("out").sort().sum())
            .filter(pl.col("sold") > pl.col("units") * config.oversold_share)
        )
        for row in short.iter_rows(named=True):
            subject = Subject(party_type, row["party_id"], row["sku_id"])
            told = {name: row[name] for name in ("invoices", "sold", "units")}
            out.append((subject, Sign("invoice_oversold", 1.0, told)))
    return out


def _not_answered(
    events: pl.DataFrame, cleared: pl.DataFrame, party_type: PartyType, party: str, at: str
) -> pl.DataFrame:
    """Events after their listing or offer was last cleared."""
    since = (
        cleared.filter(pl.col("party_type") == party_type)
        .group_by(pl.col("party_id").alias(party), "sku_id")
        .agg(cleared_at=pl.col("cleared_at").max())
    )
    return (
        events.join(since, on=[party, "sku_id"], how="left")
        .filter(pl.col("cleared_at").is_null() | (pl.col(at) > pl.col("cleared_at")))
        .drop("cleared_at")
    )
