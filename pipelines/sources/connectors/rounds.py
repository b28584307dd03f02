"""A round: every stream is pulled once; one that fails stops no other."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pipelines.sources.connectors.client import Client
from pipelines.sources.connectors.declaration import Connector
from pipelines.sources.connectors.errors import ConnectorError
from pipelines.sources.connectors.pull import Pull, PullReport
from pipelines.sources.connectors.shelf import Shelf


def pull_round(
    connectors: Iterable[Connector],
    root: Path,
    environment: Mapping[str, str],
    *,
    now: Callable[[], dt.datetime],
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[PullReport]:
    """Pulls the streams of some connectors, one after the other.

    Args:
        connectors: The declarations.
        root: Folder of all feeds.
        environment: Where the secrets are.
        now: The time (UTC).
        sleep: Waits so many seconds.
        monotonic: Seconds of a clock that only goes forward.

    Yields:
        What became of each stream.

    Raises:
        LakeError: The disk is full or cannot be written.
    """
    for connector in connectors:
        try:
            client = Client(connector, environment, sleep=sleep, monotonic=monotonic)
        except ConnectorError as error:
            for name, stream in connector.streams.items():
                place = f"{connector.connector}/{name}"
                yield PullReport(place, stream.table, "failed", problem=str(error))
            continue
        try:
            for name, stream in connector.streams.items():
                shelf = Shelf(root / connector.connector / name)
                yield Pull(f"{connector.connector}/{name}", stream, shelf, client, now).run()
        finally:
            client.close()
