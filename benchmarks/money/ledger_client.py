"""Posts the eight-leg transaction over HTTP at full speed, as its own process; prints a JSON summary.

Every connection is kept alive and has one request under way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
import uuid

import uvloop

from benchmarks.money.ledger_books import legs_for
from benchmarks.web.load_generator import Connection


def request_bytes(key: str, chosen: random.Random) -> bytes:
    """One posting with an idempotency key of its own."""
    entries = [
        {"account": kind, "party_type": party_type, "party_id": party_id, "amount_cents": cents}
        for kind, party_type, party_id, cents in legs_for(chosen)
    ]
    body = json.dumps(
        {
            "kind": "accrual",
            "booked_at": "2026-01-05T00:00:00Z",
            "reason_code": "benchmark",
            "entries": entries,
        }
    ).encode()
    head = (
        "POST /v1/ledger/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {key}\r\nIdempotency-Key: {uuid.uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _run(options: argparse.Namespace) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    statuses: dict[int, int] = {}
    chosen = random.Random(options.seed)

    async def one() -> None:
        _, connection = await loop.create_connection(Connection, "127.0.0.1", options.port)
        while time.perf_counter() - begun < options.seconds:
            status = await connection.ask(request_bytes(options.key, chosen))
            statuses[status] = statuses.get(status, 0) + 1

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(options.connections)))
    seconds = time.perf_counter() - begun
    created = statuses.pop(201, 0)
    return {"per_s": created / seconds, "other": sum(statuses.values())}


def main() -> int:
    """Post until the time is over."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(_run(options))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
