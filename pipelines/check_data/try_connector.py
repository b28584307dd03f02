"""A connector is tried: the first page of every stream, read by its declaration; nothing is kept."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.sources.connectors.client import Client
from pipelines.sources.connectors.declaration import Connector, Stream
from pipelines.sources.connectors.errors import ConnectorError
from pipelines.sources.connectors.paging import read_page, request_for
from pipelines.sources.connectors.shelf import Shelf
from pipelines.sources.contract import contract_table
from pipelines.sources.files.landed import LandedStream
from pipelines.sources.loading.validation import check_chunk
from pipelines.sources.protocol import TableReading


@dataclass(frozen=True)
class Tried:
    """What the first page of a stream is.

    Attributes:
        stream: Connector and stream.
        table: Table that it feeds.
        rows: Rows of the page.
        accepted: Rows that the table admits; whether what they name exists is not asked.
        reasons: Why rows are refused, and how many.
        has_more: Whether other pages follow.
        problem: Why there is nothing to look at.
    """

    stream: str
    table: str
    rows: int = 0
    accepted: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    has_more: bool = False
    problem: str | None = None


def try_connector(
    connector: Connector, environment: Mapping[str, str], *, time_zone: str, as_of: dt.datetime
) -> Iterator[Tried]:
    """Asks for one page of every stream and reads it.

    Args:
        connector: The declaration.
        environment: Where the secrets are.
        time_zone: Zone of times without an offset.
        as_of: Business time (UTC).
    """
    for name, stream in connector.streams.items():
        place = f"{connector.connector}/{name}"
        try:
            client = Client(connector, environment)
            try:
                path, params = request_for(stream, None, stream.since.start if stream.since else None)
                page = read_page(stream, client.get(path, params), None)
            finally:
                client.close()
        except ConnectorError as error:
            yield Tried(place, stream.table, problem=str(error))
            continue
        yield _judged(connector, name, stream, page.lines, page.next is not None, time_zone, as_of)


def _judged(
    connector: Connector,
    name: str,
    stream: Stream,
    lines: tuple[str, ...],
    has_more: bool,
    time_zone: str,
    as_of: dt.datetime,
) -> Tried:
    contract = contract_table(stream.table)
    accepted, reasons = 0, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        Shelf(Path(folder)).land("try", list(lines))
        for chunk in LandedStream(connector.connector, name, stream, Path(folder)).chunks(time_zone, None):
            checked = check_chunk(
                contract, chunk, origin="observed", as_of=as_of, parents=[], reading=TableReading()
            )
            accepted += checked.accepted.height
            reasons.update(checked.rejected["reason"].to_list())
    place = f"{connector.connector}/{name}"
    return Tried(place, stream.table, len(lines), accepted, dict(reasons), has_more)
