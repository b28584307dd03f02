"""From lanes to one list: interleaving, category quotas and the slots that explore.

Works on plain lists of one consumer; which items a lane offers, and in what order, is decided elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

REPEAT, DISCOVERY, POPULAR = "repeat", "discovery", "popular"


class Offer(NamedTuple):
    """One item that a lane offers.

    Attributes:
        item: Item index.
        score: The lane's score; comparable inside a lane only.
        lane: `repeat`, `discovery` or `popular`.
        category: Second-level category; quotas count it.
        kind: Third-level category number.
        reason: Reason code of the item if it is listed.
    """

    item: int
    score: float
    lane: str
    category: str
    kind: int
    reason: str


@dataclass(frozen=True)
class Rules:
    """The blend's rules.

    Attributes:
        length: Items of the list.
        spacing: Every so manyth slot belongs to discovery; 0: none does.
        max_a_category: Largest number of items of one second-level category.
        max_discovery_a_kind: Largest number of discovery items of one third-level category.
    """

    length: int
    spacing: int
    max_a_category: int
    max_discovery_a_kind: int


def lane_order(slot: int, spacing: int) -> tuple[str, str, str]:
    """Which lanes a slot (1-based) asks, in order: each later one only when the earlier have run out."""
    if spacing and slot % spacing == 0:
        return DISCOVERY, REPEAT, POPULAR
    return REPEAT, DISCOVERY, POPULAR


def blend(lanes: Mapping[str, Iterable[Offer]], rules: Rules) -> list[Offer]:
    """Interleave the lanes under the quotas.

    Each lane is read in its own order. An item over a quota waits; waiting items come back, in the order in
    which they were passed over, only when no lane has an allowed item left. An item is listed once, under
    the lane that reached it first.

    Args:
        lanes: Offers by lane, best first.
        rules: Length, spacing and quotas.

    Returns:
        Up to `rules.length` offers, in rank order.
    """
    queues = {name: iter(offers) for name, offers in lanes.items()}
    chosen: list[Offer] = []
    seen: set[int] = set()
    waiting: list[Offer] = []
    a_category: Counter[str] = Counter()
    a_kind: Counter[int] = Counter()

    def take(lane: str) -> Offer | None:
        for offer in queues.get(lane, iter(())):
            if offer.item in seen:
                continue
            seen.add(offer.item)
            too_many = a_category[offer.category] >= rules.max_a_category or (
                offer.lane == DISCOVERY and a_kind[offer.kind] >= rules.max_discovery_a_kind
            )
            if not too_many:
                return offer
            waiting.append(offer)
        return None

    while len(chosen) < rules.length:
        found = None
        for lane in lane_order(len(chosen) + 1, rules.spacing):
            found = take(lane)
            if found is not None:
                break
        if found is None:
            if not waiting:
                break
            found = waiting.pop(0)
        chosen.append(found)
        a_category[found.category] += 1
        if found.lane == DISCOVERY:
            a_kind[found.kind] += 1
    return chosen


def unit_draws(*words: str) -> tuple[float, float]:
    """Two numbers in [0, 1) fixed by the words; the same on every machine and in every process."""
    digest = blake2b("\x1f".join(words).encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big") / 2**64, int.from_bytes(digest[8:], "big") / 2**64


def exploration_pools(
    chosen: Sequence[Offer], new: Iterable[Offer], rules: Rules, ranks: Sequence[int], size: int
) -> dict[int, list[Offer]]:
    """Deal the next discovery offers outside the list out to the slots that explore.

    The pools are disjoint, so that slots are drawn independently of each other and no item is shown twice. A
    category stands in the pools of at most so many slots as the list has room for it, so that no draw breaks
    the quota.

    Args:
        chosen: The blended list, before any draw.
        new: Offers to try, best first.
        rules: Quotas.
        ranks: The slots, 1-based; those beyond the end of the list get no pool.
        size: Largest number of offers, over all slots.

    Returns:
        Slot to its offers; fixed by the list alone, as true propensities need.
    """
    pools: dict[int, list[Offer]] = {rank: [] for rank in ranks if rank <= len(chosen)}
    if not pools:
        return pools
    listed = {offer.item for offer in chosen}
    a_category = Counter(offer.category for offer in chosen)
    holders: dict[str, set[int]] = {}
    order, turn, dealt = list(pools), 0, 0
    for offer in new:
        if offer.item in listed:
            continue
        room = rules.max_a_category - a_category[offer.category]
        if room <= 0:
            continue
        mine = holders.setdefault(offer.category, set())
        rank = order[turn]
        if rank in mine or len(mine) < room:
            turn = (turn + 1) % len(order)
        else:
            rank = min(mine, key=lambda one: (len(pools[one]), one))
        pools[rank].append(offer)
        mine.add(rank)
        listed.add(offer.item)
        dealt += 1
        if dealt >= size:
            break
    return pools


def explore(
    usual: Offer, pool: Sequence[Offer], rate: float, draws: tuple[float, float]
) -> tuple[Offer, float]:
    """Randomise one slot: with probability `rate` it shows a uniform draw from the pool.

    Args:
        usual: What the slot shows otherwise.
        pool: Offers outside the list. It must not depend on the draws, or the propensity would be wrong.
        rate: Probability of showing a draw.
        draws: Two uniform numbers: whether to explore, and which item.

    Returns:
        What the slot shows and its logging propensity: 1 - rate for the usual item, rate / len(pool) for a
        drawn one, 1 where nothing was randomised.
    """
    if not pool or rate <= 0:
        return usual, 1.0
    if draws[0] >= rate:
        return usual, 1.0 - rate
    return pool[int(draws[1] * len(pool))], rate / len(pool)
