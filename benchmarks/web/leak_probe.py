"""Reads as many merchants at once, and looks at every sku that comes back: is it of the merchant that asked?

Its own process, like the load generator: requests on standard input, a JSON summary on standard output. Knows
nothing about Muyun but that a sku carries the name of its merchant.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
from collections import Counter
from dataclasses import dataclass, field

import uvloop

from benchmarks.web.load_generator import Connection

SKU = re.compile(rb'"sku_id":"(m\d+)-')


@dataclass
class Findings:
    """What came back.

    Attributes:
        statuses: Answers by status.
        items: Skus that were looked at.
        leaks: Skus of another merchant than the key's.
        example: A request that leaked.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    items: int = 0
    leaks: int = 0
    example: str = ""


def request(random_: random.Random, merchants: int, skus: int, consumers: int, own: int) -> str:
    """A path that a merchant may try: mostly its own, sometimes another's goods, consumers or name.

    Args:
        random_: Draws.
        merchants: Number of merchants.
        skus: Listings of each.
        consumers: Number of consumers.
        own: The merchant that asks.
    """
    merchant = own if random_.random() < 0.7 else random_.randrange(merchants)
    if random_.random() < 0.5:
        consumer = random_.randrange(int(consumers * 1.05))
        return f"/v1/recommendations?merchant_id=m{merchant}&consumer_id=c{consumer}"
    owner = merchant if random_.random() < 0.8 else random_.randrange(merchants)
    return f"/v1/prices/m{merchant}/m{owner}-s{random_.randrange(skus)}"


async def probe(options: argparse.Namespace, keys: dict[int, str]) -> Findings:
    """Send requests as the merchants whose keys are given."""
    loop = asyncio.get_running_loop()
    found = Findings()
    owners = sorted(keys)
    left = options.requests

    async def one(number: int) -> None:
        nonlocal left
        random_ = random.Random(options.seed * 1_000 + number)
        _, connection = await loop.create_connection(Connection, options.host, options.port)
        while left > 0:
            left -= 1
            own = random_.choice(owners)
            path = request(random_, options.merchants, options.skus, options.consumers, own)
            head = f"GET {path} HTTP/1.1\r\nHost: {options.host}\r\nX-API-Key: {keys[own]}\r\n\r\n"
            found.statuses[await connection.ask(head.encode())] += 1
            told = SKU.findall(connection.body)
            strangers = [owner for owner in told if owner != b"m%d" % own]
            found.items += len(told)
            found.leaks += len(strangers)
            if strangers and not found.example:
                found.example = f"m{own}: {path}"

    await asyncio.gather(*(one(number) for number in range(options.connections)))
    return found


def main() -> int:
    """Read keys from standard input (`merchant key` a line), probe, print the summary as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--merchants", type=int, required=True)
    parser.add_argument("--skus", type=int, required=True)
    parser.add_argument("--consumers", type=int, required=True)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lines = (line.split() for line in sys.stdin if line.strip())
    keys = {int(merchant): key for merchant, key in lines}
    found = uvloop.run(probe(options, keys))
    statuses = {str(status): count for status, count in sorted(found.statuses.items())}
    print(
        json.dumps(
            {"statuses": statuses, "items": found.items, "leaks": found.leaks, "example": found.example}
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
