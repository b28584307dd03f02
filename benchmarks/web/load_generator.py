"""A small HTTP load generator, run as its own process: open loop at a rate, or closed loop at full speed.

In the open loop requests are due at random (Poisson) moments that do not depend on the answers, and the time
counts from the moment a request was due: a slow server cannot hide behind a waiting client. Reads requests
and prints a JSON summary; knows nothing about Muyun.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import deque

import uvloop

_DRAIN_S = 5.0


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way; keeps the body of the last answer."""

    def __init__(self) -> None:
        self.body = b""
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Finish the request when its answer is complete."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        start = head.find(b"content-length:")
        stop = head.find(b"\r\n", start)
        length = int(head[start + 15 : stop if stop > 0 else len(head)])
        if len(self._buffer) - end - 4 >= length:
            self.body = bytes(self._buffer[end + 4 :])
            self._buffer.clear()
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request that was under way."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionError("closed by the server"))

    async def ask(self, request: bytes) -> int:
        """Send a request and return the status of its answer."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("not connected")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting


class Outcome:
    """Times and statuses of a run."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.statuses: dict[int, int] = {}
        self.failed = 0

    def add(self, status: int, elapsed: float) -> None:
        """Count an answer."""
        self.times.append(elapsed)
        self.statuses[status] = self.statuses.get(status, 0) + 1


async def _open_loop(
    connections: list[Connection],
    requests: list[bytes],
    rate: float,
    seconds: float,
    seed: int,
    outcome: Outcome,
) -> float:
    gaps = random.Random(seed)
    idle = deque(connections)
    due: deque[tuple[float, bytes]] = deque()
    free = asyncio.Event()
    running: set[asyncio.Task[None]] = set()

    async def one(connection: Connection, moment: float, request: bytes) -> None:
        try:
            status = await connection.ask(request)
            outcome.add(status, time.perf_counter() - moment)
        except (ConnectionError, OSError):
            outcome.failed += 1
        finally:
            idle.append(connection)
            free.set()

    def dispatch() -> None:
        while due and idle:
            moment, request = due.popleft()
            task = asyncio.get_running_loop().create_task(one(idle.popleft(), moment, request))
            running.add(task)
            task.add_done_callback(running.discard)

    begun = time.perf_counter()
    moment = begun
    count = 0
    while moment < begun + seconds:
        while (wait := moment - time.perf_counter()) > 0:
            free.clear()
            if due:
                try:
                    await asyncio.wait_for(free.wait(), wait)
                except TimeoutError:
                    continue
                dispatch()
            else:
                await asyncio.sleep(wait)
        due.append((moment, requests[count % len(requests)]))
        count += 1
        dispatch()
        moment += gaps.expovariate(rate)
    deadline = time.perf_counter() + _DRAIN_S
    while (due or running) and time.perf_counter() < deadline:
        dispatch()
        await asyncio.sleep(0.001)
    outcome.failed += len(due) + len(running)
    return seconds


async def _closed_loop(
    connections: list[Connection], requests: list[bytes], seconds: float, outcome: Outcome
) -> float:
    begun = time.perf_counter()

    async def one(number: int, connection: Connection) -> None:
        count = number
        while time.perf_counter() - begun < seconds:
            started = time.perf_counter()
            try:
                status = await connection.ask(requests[count % len(requests)])
            except (ConnectionError, OSError):
                outcome.failed += 1
                return
            outcome.add(status, time.perf_counter() - started)
            count += len(connections)

    await asyncio.gather(*(one(number, connection) for number, connection in enumerate(connections)))
    return time.perf_counter() - begun


async def _run(options: argparse.Namespace, requests: list[bytes]) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(options.connections):
        _, connection = await loop.create_connection(Connection, options.host, options.port)
        connections.append(connection)
    outcome = Outcome()
    if options.rate > 0:
        seconds = await _open_loop(
            connections, requests, options.rate, options.seconds, options.seed, outcome
        )
    else:
        seconds = await _closed_loop(connections, requests, options.seconds, outcome)
    times = sorted(outcome.times)
    return {
        "answered": len(times),
        "failed": outcome.failed,
        "statuses": {str(status): count for status, count in sorted(outcome.statuses.items())},
        "requests_per_s": len(times) / seconds,
        "p50_ms": _quantile(times, 0.50) * 1000,
        "p99_ms": _quantile(times, 0.99) * 1000,
        "max_ms": times[-1] * 1000 if times else 0.0,
    }


def _quantile(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


def main() -> int:
    """Read paths from standard input (one a line), send them, print the summary as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second; 0 means closed loop")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--key", default="", help="API key to send")
    options = parser.parse_args()
    head = f"\r\nHost: {options.host}\r\n" + (f"X-API-Key: {options.key}\r\n" if options.key else "")
    requests = [f"GET {line.strip()} HTTP/1.1{head}\r\n".encode() for line in sys.stdin if line.strip()]
    print(json.dumps(uvloop.run(_run(options, requests))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
