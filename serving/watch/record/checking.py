"""Checking the record of a parcel offline: the answer of the API alone, no database, no key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.errors import ServingError
from serving.watch.record.merkle import Neighbour, block_hash, climb, leaf_hash


class ProofBrokenError(ServingError):
    """A record is not the one that was sealed; the message names it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was proven: records, those that are not sealed yet, and the blocks they stand in by number."""

    proven: int
    unsealed: int
    blocks: dict[int, str]


def check(document: str, known: Mapping[int, str] | None = None) -> Checked:
    """Check every record of an answer of `GET /v1/parcels/{shipment_id}/record`.

    Args:
        document: The answer, JSON.
        known: Hashes of blocks that were kept elsewhere (anchors), hexadecimal by number.

    Raises:
        ProofBrokenError: A text, a path or a block does not match, or a block is not the known one.
        ValueError: The document is no such answer.
    """
    blocks: dict[int, str] = {}
    proven = unsealed = 0
    try:
        records = json.loads(document)["records"]
        for number, record in enumerate(records, start=1):
            if record["proof"] is None:
                unsealed += 1
                continue
            block_no, digest = _proven(number, record["text"], record["proof"])
            if blocks.setdefault(block_no, digest) != digest:
                raise ProofBrokenError(f"record {number}: block {block_no} has two hashes")
            proven += 1
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"this is no record of a parcel: {error!r}") from error
    for block_no, digest in blocks.items():
        if known is not None and known.get(block_no, digest) != digest:
            raise ProofBrokenError(f"block {block_no} is not the one that was anchored")
    return Checked(proven, unsealed, blocks)


def _proven(number: int, text: str, proof: Mapping[str, Any]) -> tuple[int, str]:
    path = [Neighbour(one["side"], bytes.fromhex(one["hash"])) for one in proof["path"]]
    root = climb(leaf_hash(text), path)
    digest = block_hash(bytes.fromhex(proof["previous_hash"]), root, proof["leaves"]).hex()
    if digest != proof["block_hash"]:
        raise ProofBrokenError(f"record {number} does not lead to block {proof['block_no']}")
    return int(proof["block_no"]), digest
