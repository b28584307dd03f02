"""A made market of listings and offers, honest and counterfeit, with the noise that honest ones make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from models.supply.supervision.facts import Facts, frame_of
from models.supply.supervision.signs import Subject

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
BRANDS = 60
GUARDED = 20
SKUS = 4_000
MERCHANTS = 400
LISTINGS = 40_000
SUPPLIERS = 120
COPIES = 200
"""Counterfeit listings of the real sku, and as many that look like another brand's."""
BAD_OFFERS = 60
SAID = ("假货", "仿冒品", "fake", "counterfeit_goods", "不是正品")
"""What buyers of counterfeits say; two of three complain in such words."""
DENIED = ("不是假货,只是破损", "not a fake but broken", "绝非山寨")
OTHER = ("quality", "damaged", "changed_mind", "not_as_described")
AT_A_LOSS = 0.01
"""Share of honest listings that sell below the supply market."""
GREY = 0.02
"""Share of honest listings of a guarded brand whose merchant holds no authorisation."""
WRONG_BUYERS = 0.001
"""Share of orders of honest goods whose buyer calls them counterfeit."""
SLIPS = 0.002
"""Share of parcels of honest offers whose batch code is misread."""
SHARED_PICTURES = 40
"""Pictures of the makers' catalogue that listings of several brands show."""


@dataclass(frozen=True)
class World:
    """The facts, and which listings and offers are counterfeit."""

    facts: Facts
    truth: frozenset[Subject]
    listings: int
    offers: int


Rows = list[dict[str, Any]]


def made(rng: np.random.Generator) -> World:
    """A market; the same from the same generator."""
    brand_of = rng.integers(0, BRANDS, SKUS)
    cost = np.exp(rng.normal(np.log(2_000), 0.8, SKUS)).astype(np.int64) + 100
    offers = _offers(rng, brand_of, cost)
    listings = _listings(rng, brand_of, cost)
    bad = np.arange(len(listings)) < 2 * COPIES
    _look_alike(rng, listings, brand_of)
    fake = rng.choice(len(offers), size=BAD_OFFERS, replace=False).tolist()
    bad_offers = frozenset((offers[at]["supplier_id"], offers[at]["sku_id"]) for at in fake)
    for at in fake:
        if rng.random() < 0.7:
            offers[at]["supply_price_cents"] = int(offers[at]["supply_price_cents"] * rng.uniform(0.3, 0.7))
    sold, said = _orders(rng, listings, bad, offers, bad_offers)
    batches, scans = _batches(rng, sold, offers, bad_offers)
    rows = {
        "listings": listings,
        "offers": offers,
        "authorisations": _authorised(rng, listings),
        "sold": sold,
        "complaints": said,
        "batches": batches,
        "scans": scans,
        "invoices": [],
        "cleared": [],
    }
    copies = {Subject("merchant", row["merchant_id"], row["sku_id"]) for row in listings[: 2 * COPIES]}
    truth = copies | {Subject("supplier", *one) for one in bad_offers}
    facts = Facts(**{name: frame_of(name, of_table) for name, of_table in rows.items()})
    return World(facts, frozenset(truth), len(listings), len(offers))


def _listings(rng: np.random.Generator, brand_of: np.ndarray, cost: np.ndarray) -> Rows:
    """The copies, the look-alikes, then the honest ones; each pair of a merchant and a sku once."""
    pairs = rng.choice(MERCHANTS * SKUS, size=LISTINGS, replace=False)
    merchant, sku = pairs // SKUS, pairs % SKUS
    # A copy is of a guarded brand: nobody fakes what nobody guards.
    sku[:COPIES] = rng.choice(np.flatnonzero(brand_of < GUARDED), COPIES)
    first = np.sort(np.unique(merchant * SKUS + sku, return_index=True)[1])
    merchant, sku = merchant[first], sku[first]
    n = len(sku)
    at_a_loss = rng.random(n) < AT_A_LOSS
    share = np.where(at_a_loss, rng.uniform(0.4, 0.8, n), rng.uniform(1.1, 1.8, n))
    cheap = (np.arange(n) < 2 * COPIES) & (rng.random(n) < 0.8)
    share[cheap] = rng.uniform(0.3, 0.75, cheap.sum())
    since = rng.uniform(0, 30, n)
    return [
        {
            "merchant_id": f"m{merchant[at]}",
            "sku_id": f"k{sku[at]}",
            "brand_id": f"brand{brand_of[sku[at]]:02d}",
            "list_price_cents": max(1, int(cost[sku[at]] * share[at])),
            "title": None,
            "image_hash": f"img-k{sku[at]}",
            "since": BEGAN + timedelta(days=float(since[at])),
        }
        for at in range(n)
    ]


def _look_alike(rng: np.random.Generator, listings: Rows, brand_of: np.ndarray) -> None:
    """Look-alikes take pictures and names of other brands; honest titles and pictures look a little so."""
    for row in listings[COPIES : 2 * COPIES]:
        own = int(row["sku_id"][1:])
        other = int(rng.choice(np.flatnonzero(brand_of != brand_of[own])))
        row["since"] = BEGAN + timedelta(days=90)
        if rng.random() < 0.67:
            row["image_hash"] = f"img-k{other}"
        if rng.random() < 0.5:
            row["title"] = f"brand{brand_of[other]:02d} model {other}"
    honest = listings[2 * COPIES :]
    for place in rng.choice(len(honest), size=len(honest) // 50, replace=False).tolist():
        honest[place]["title"] = f"spare part for brand{int(rng.integers(BRANDS)):02d} machines {place}"
    for place in rng.choice(len(honest), size=len(honest) // 50, replace=False).tolist():
        honest[place]["image_hash"] = f"catalogue-{int(rng.integers(SHARED_PICTURES))}"


def _authorised(rng: np.random.Generator, listings: Rows) -> Rows:
    """Honest sellers of a guarded brand but for a few; of the copiers three in ten have papers after all."""
    honest = {(row["merchant_id"], row["brand_id"]) for row in listings[COPIES:]}
    copiers = {(row["merchant_id"], row["brand_id"]) for row in listings[:COPIES] if rng.random() < 0.7}
    return [
        {"merchant_id": merchant_id, "brand_id": brand}
        for merchant_id, brand in sorted(honest - copiers)
        if int(brand[5:]) < GUARDED and rng.random() > GREY
    ]


def _offers(rng: np.random.Generator, brand_of: np.ndarray, cost: np.ndarray) -> Rows:
    """One to three suppliers a sku, the maker first."""
    rows: Rows = []
    for sku in range(SKUS):
        maker = int(brand_of[sku]) * 2
        others = rng.choice(
            np.delete(np.arange(SUPPLIERS), maker), size=int(rng.integers(0, 3)), replace=False
        )
        for supplier in (maker, *others.tolist()):
            rows.append(
                {
                    "supplier_id": f"s{supplier}",
                    "sku_id": f"k{sku}",
                    "brand_id": f"brand{brand_of[sku]:02d}",
                    "maker_id": f"s{maker}",
                    "supply_price_cents": int(cost[sku] * np.exp(rng.normal(0, 0.08))),
                }
            )
    return rows


def _orders(
    rng: np.random.Generator,
    listings: Rows,
    bad: np.ndarray,
    offers: Rows,
    bad_offers: frozenset[tuple[str, str]],
) -> tuple[Rows, Rows]:
    """Orders of half a year with what was said about them; who ships is any supplier of the sku."""
    of_sku: dict[str, list[str]] = {}
    for row in offers:
        of_sku.setdefault(str(row["sku_id"]), []).append(str(row["supplier_id"]))
    sold, said = [], []
    counts = np.where(bad, rng.poisson(25, len(listings)), rng.poisson(8, len(listings)))
    number = 0
    for at, row in enumerate(listings):
        suppliers = of_sku[str(row["sku_id"])]
        for _ in range(int(counts[at])):
            supplier = suppliers[int(rng.integers(len(suppliers)))]
            number += 1
            line = {"merchant_id": row["merchant_id"], "supplier_id": supplier, "sku_id": row["sku_id"],
                    "order_id": f"o{number}"}  # fmt: skip
            sold.append(line)
            is_fake = bool(bad[at]) or (supplier, row["sku_id"]) in bad_offers
            chance = rng.random()
            if is_fake and chance < 0.09:
                words = SAID if chance < 0.06 else OTHER
            elif not is_fake and chance < WRONG_BUYERS:
                words = SAID
            elif not is_fake and chance < 0.02:
                words = DENIED if chance < 0.004 else OTHER
            else:
                continue
            reason = words[int(rng.integers(len(words)))]
            said.append({**line, "reason": reason, "opened_at": BEGAN + timedelta(days=120)})
    return sold, said


def _batches(
    rng: np.random.Generator, sold: Rows, offers: Rows, bad_offers: frozenset[tuple[str, str]]
) -> tuple[Rows, Rows]:
    """Every second supplier states batches; counterfeiters make codes up, or use one too often."""
    batches: Rows = []
    tells = {
        (str(row["supplier_id"]), str(row["sku_id"]))
        for row in offers
        if int(str(row["supplier_id"])[1:]) % 2 == 0
    }
    shipped: dict[tuple[str, str], int] = {}
    for row in sold:
        key = (str(row["supplier_id"]), str(row["sku_id"]))
        shipped[key] = shipped.get(key, 0) + 1
    for supplier, sku in sorted(tells & shipped.keys()):
        made_qty = shipped[supplier, sku] * (
            0.4 if (supplier, sku) in bad_offers and rng.random() < 0.3 else 1.2
        )
        batches.append(
            {
                "batch_id": f"{supplier}-{sku}",
                "sku_id": sku,
                "supplier_id": supplier,
                "qty": int(made_qty) + 1,
            }
        )
    scans: Rows = []
    for row in sold:
        key = (str(row["supplier_id"]), str(row["sku_id"]))
        if key not in tells:
            continue
        wrong = rng.random() < (0.3 if key in bad_offers else SLIPS)
        code = f"x{int(rng.integers(10**6))}" if wrong else f"{key[0]}-{key[1]}"
        scans.append(
            {"batch_id": code, "sku_id": key[1], "supplier_id": key[0], "order_id": row["order_id"],
             "units": 1.0, "seen_at": BEGAN + timedelta(days=100)}
        )  # fmt: skip
    return batches, scans
