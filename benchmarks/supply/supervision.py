"""Supervision: counterfeits held and honest listings held on a made market, and what is sold after a hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import numpy as np
import psycopg

from benchmarks.harness import OURS, Row, report
from benchmarks.supply.listing_world import World, made
from benchmarks.supply.sale_race import MERCHANT, SELLERS, START, TENANT, sold_after
from models.supply.supervision.config import SupervisionConfig
from models.supply.supervision.ladder import Level, Rules, Sign, level_of
from models.supply.supervision.signs import PartyType, Subject, signs_of
from serving.orders.errors import ListingHeldError
from serving.settings import Settings
from serving.supervision import records
from serving.supervision.judging import judge

PRICE, WORDS, ANY = "price below 70%", "complaint words", "any full sign"
SEED = 20171231
WORLDS = 3
HOLDS = 20
GOAL_FALSE = 1.0

PROTOCOL = (
    f"{WORLDS} made markets of 40,000 listings of 400 merchants and about 8,000 offers of 4,000 skus and 60 "
    "brands, 20 of them guarded (`benchmarks/supply/listing_world.py`). Counterfeit: 200 listings of a "
    "guarded brand, 200 that look like another brand, 60 offers; each shows some signs only (four of five "
    "listings are cheap, seven of ten copiers hold no papers, two of three look-alikes take the picture, 6% "
    "of the orders bring a complaint that says so, three of ten parcels a made-up code where batches are "
    "told). Honest ones make noise: 1% sell below the supply market, 2% sell a guarded brand without papers, "
    "one order in a thousand is called counterfeit, 0.3% are said not to be, titles name brands that they "
    "fit, pictures of a catalogue are shared, one scan in 500 is misread. One night with default settings, "
    "nothing tuned on these markets. precision, recall: of what is held, level 2 or above; "
    "false_holds_per_1000: honest listings and offers held, of 1,000 honest ones; recall_asked and "
    "asked_per_1000: the same of level 1 or above. Intervals are the smallest and largest of the markets. "
    "Peers hold where one sign alone stands: the price below 70% of the median offer, two complaints in the "
    f"words, or any sign at full strength. sold_after_hold: {SELLERS} threads place orders of one unit while "
    f"a night holds the listing, {HOLDS} times, on PostgreSQL; units reserved at the end beyond those when "
    "the hold was about to commit."
)
_UNITS = {"night_s": "s", "false_holds_per_1000": "of 1,000", "asked_per_1000": "of 1,000"}


def main() -> int:
    """Run the benchmark; 0 when the goals are met."""
    started = time.perf_counter()
    config = SupervisionConfig()
    measured: dict[tuple[str, str], list[float]] = {}
    for number in range(WORLDS):
        world = made(np.random.default_rng(SEED + number))
        began = time.perf_counter()
        signs = signs_of(world.facts, config)
        levels = {subject: level_of(found, config.rules) for subject, found in signs.items()}
        measured.setdefault((OURS, "night_s"), []).append(time.perf_counter() - began)
        held = {subject for subject, level in levels.items() if level >= Level.HOLD}
        asked = {subject for subject, level in levels.items() if level >= Level.ASK}
        measures = {
            **_quality(world, held),
            "recall_merchants": _recall_of(world, held, "merchant"),
            "recall_suppliers": _recall_of(world, held, "supplier"),
            "recall_asked": _quality(world, asked)["recall"],
            "asked_per_1000": _quality(world, asked)["false_holds_per_1000"],
        }
        for name, value in measures.items():
            measured.setdefault((OURS, name), []).append(value)
        for peer, rule in _PEERS.items():
            caught = {subject for subject, found in signs.items() if rule(found)}
            for name, value in _quality(world, caught).items():
                measured.setdefault((peer, name), []).append(value)
    sold, placed = sold_after(_hold, ListingHeldError, HOLDS)
    rows = [
        Row(system, name, float(np.mean(values)), _UNITS.get(name, "share"), (min(values), max(values)))
        for (system, name), values in measured.items()
    ]
    rows += [
        Row(OURS, "sold_after_hold", float(sold), "units"),
        Row(OURS, "sold_before_hold", float(placed), "units"),
    ]
    report(
        Settings().home,
        name="supervision",
        protocol=PROTOCOL,
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    false = float(np.mean(measured[OURS, "false_holds_per_1000"]))
    return 0 if false <= GOAL_FALSE and sold == 0 else 1


def _quality(world: World, held: Collection[Subject]) -> dict[str, float]:
    right = len(world.truth.intersection(held))
    honest = world.listings + world.offers - len(world.truth)
    return {
        "precision": right / max(len(held), 1),
        "recall": right / len(world.truth),
        "false_holds_per_1000": 1000 * (len(held) - right) / honest,
    }


def _recall_of(world: World, held: Collection[Subject], kind: PartyType) -> float:
    truth = {subject for subject in world.truth if subject.party_type == kind}
    return len(truth.intersection(held)) / len(truth)


def _cheap(signs: tuple[Sign, ...]) -> bool:
    return any(sign.name == "price" and sign.facts["share"] < 0.7 for sign in signs)


def _said(signs: tuple[Sign, ...]) -> bool:
    return any(sign.name == "complaints" for sign in signs)


def _full(signs: tuple[Sign, ...]) -> bool:
    return any(sign.strength >= 1 for sign in signs)


_PEERS: dict[str, Callable[[tuple[Sign, ...]], bool]] = {PRICE: _cheap, WORDS: _said, ANY: _full}


def _hold(conn: psycopg.Connection, sku: str) -> None:
    signs = (Sign("price", 1.0, {}), Sign("authorisation", 1.0, {}))
    judge(conn, TENANT, {records.Subject("merchant", MERCHANT, sku): signs}, Rules(), START)
