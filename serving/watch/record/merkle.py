"""Merkle trees over hashed texts: a root for all, and for one of them the path that leads there. Pure.

Leaves and nodes are hashed with prefixes of their own, so that no node passes for a leaf; a node without a
neighbour moves up as it is. Source: RFC 6962, section 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple


class Neighbour(NamedTuple):
    """A hash on the way up, and on which side of the way it stands."""

    side: Literal["left", "right"]
    hash: bytes


def leaf_hash(text: str) -> bytes:
    """The hash of a record's text."""
    return hashlib.sha256(b"\x00" + text.encode()).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves, one or more."""
    level = list(leaves)
    while len(level) > 1:
        level = _up(level)
    return level[0]


def path_of(leaves: Sequence[bytes], place: int) -> list[Neighbour]:
    """The neighbours on the way from a leaf to the root, from below."""
    path: list[Neighbour] = []
    level = list(leaves)
    while len(level) > 1:
        beside = place ^ 1
        if beside < len(level):
            path.append(Neighbour("left" if beside < place else "right", level[beside]))
        level, place = _up(level), place // 2
    return path


def climb(leaf: bytes, path: Sequence[Neighbour]) -> bytes:
    """The root to which a path leads from a leaf."""
    found = leaf
    for side, beside in path:
        found = _node(beside, found) if side == "left" else _node(found, beside)
    return found


def block_hash(previous: bytes, root: bytes, leaves: int) -> bytes:
    """The hash of a block, which holds it to the one before."""
    return hashlib.sha256(b"\x02" + previous + root + leaves.to_bytes(8, "big")).digest()


def _up(level: Sequence[bytes]) -> list[bytes]:
    pairs = [_node(level[place], level[place + 1]) for place in range(0, len(level) - 1, 2)]
    return pairs if len(level) % 2 == 0 else [*pairs, level[-1]]


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
