"""A pull of one stream: page after page onto the shelf, then all of it lands at once.

Whoever is stopped goes on where the shelf ends. Stated answers: a page that says what an earlier one said is
asked for again; rows that came already are dropped, word for word; an answer that was written before the
landed one is not landed; the same content as before lands no second time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pipelines.sources.connectors.client import Client
from pipelines.sources.connectors.declaration import Stream
from pipelines.sources.connectors.drift import drift_of
from pipelines.sources.connectors.errors import ConnectorError
from pipelines.sources.connectors.marks import earlier, is_at_or_after, is_newer, value_of
from pipelines.sources.connectors.paging import Page, digest_of, read_page, request_for
from pipelines.sources.connectors.shelf import STAMP, Shelf, Standing, UnderWay

GOES_ON_FOR = dt.timedelta(hours=1)
"""A pull that was stopped longer ago begins anew: pages by number have moved meanwhile."""

Status = Literal["landed", "unchanged", "outdated", "failed"]


@dataclass(frozen=True)
class PullReport:
    """What became of a pull.

    Attributes:
        stream: Connector and stream, `shop/offers`.
        table: Table that it feeds.
        status: `landed`; `unchanged`: nothing that did not come before; `outdated`: the answer was written
            before the landed one; `failed`: what was landed before stays.
        rows: Rows that were landed.
        repeated: Rows that came twice, or that came with an earlier pull.
        pages: Pages that were read, those before a stop included.
        waits: Requests that were made again.
        went_on: Whether it went on where an earlier one was stopped.
        drift: Fields that are not as declared, in words.
        lacking: Rows that will be refused for a field that they lack, by field.
        file: Name of the landed file.
        mark: Newest change that came.
        landed_at: When rows last landed (UTC, ISO 8601).
        problem: Why it failed or is outdated.
    """

    stream: str
    table: str
    status: Status
    rows: int = 0
    repeated: int = 0
    pages: int = 0
    waits: int = 0
    went_on: bool = False
    drift: tuple[str, ...] = ()
    lacking: dict[str, int] | None = None
    file: str | None = None
    mark: str | None = None
    landed_at: str | None = None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it, for a report."""
        return asdict(self)


class Pull:
    """Pulls one stream.

    Args:
        name: Connector and stream.
        stream: The declaration.
        shelf: Where its rows lie.
        client: Asks the other side.
        now: The time (UTC).
    """

    def __init__(
        self, name: str, stream: Stream, shelf: Shelf, client: Client, now: Callable[[], dt.datetime]
    ) -> None:
        self._name, self._stream, self._shelf, self._client, self._now = name, stream, shelf, client, now

    def run(self) -> PullReport:
        """Pull what is new; whatever goes wrong stands in the report.

        Raises:
            LakeError: The disk is full or cannot be written.
        """
        waits = self._client.waits
        try:
            with self._shelf.alone():
                return self._run(waits)
        except ConnectorError as error:
            return PullReport(
                self._name,
                self._stream.table,
                "failed",
                waits=self._client.waits - waits,
                problem=str(error),
            )

    def _run(self, waits: int) -> PullReport:
        standing = self._shelf.standing()
        went_on = self._begin(standing)
        under_way = standing.under_way
        assert under_way is not None
        while not under_way.is_complete:
            page = self._ask(standing, under_way)
            if under_way.pages == 0:
                under_way.written_at = page.written_at
                if self._is_outdated(page.written_at, standing.written_at):
                    return self._outdated(standing, page.written_at)
            self._shelf.put(under_way.pages + 1, page.lines)
            under_way.pages += 1
            under_way.used.append(under_way.position or "")
            under_way.digests.append(page.digest)
            under_way.position, under_way.is_complete = page.next, page.next is None
            self._shelf.save(standing)
        return self._land(standing, under_way, went_on=went_on, waits=self._client.waits - waits)

    def _begin(self, standing: Standing) -> bool:
        """Go on with the pull under way, or begin one; answers whether it goes on."""
        now = self._now()
        if standing.under_way is not None:
            began = dt.datetime.strptime(standing.under_way.stamp, STAMP).replace(tzinfo=dt.UTC)
            if standing.under_way.is_complete or now - began < GOES_ON_FOR:
                return standing.under_way.pages > 0
        self._shelf.clear()
        standing.under_way = UnderWay(stamp=f"{now:{STAMP}}")
        return False

    def _ask(self, standing: Standing, under_way: UnderWay) -> Page:
        """The next page; one that says what an earlier page said is asked for again.

        Raises:
            ConnectorError: It does not come, is not as declared, or the pages lead nowhere.
        """
        mark = self._from(standing)
        path, params = request_for(self._stream, under_way.position, mark)
        for _ in range(self._client.attempts):
            page = read_page(self._stream, self._client.get(path, params), under_way.position)
            is_repeated = bool(page.lines) and page.digest in under_way.digests
            is_circle = page.next is not None and page.next in (*under_way.used, under_way.position)
            if not is_repeated and not is_circle:
                return page
        if is_circle:
            raise ConnectorError(f"page {under_way.pages + 1} leads back to a page that was read")
        raise ConnectorError(
            f"page {under_way.pages + 1} says again what an earlier page said, however often it is asked "
            "for, and what it should say may be missing; where the last page by number is answered for "
            "ever, say which field tells the end: `more`"
        )

    def _from(self, standing: Standing) -> str | None:
        since = self._stream.since
        if since is None:
            return None
        return earlier(standing.mark, since.overlap_s) if standing.mark is not None else since.start

    def _is_outdated(self, written_at: str | None, landed: str | None) -> bool:
        if written_at is None or landed is None:
            return False
        return value_of(written_at) != value_of(landed) and is_at_or_after(landed, written_at)

    def _outdated(self, standing: Standing, written_at: str | None) -> PullReport:
        standing.under_way = None
        self._shelf.save(standing)
        return PullReport(
            self._name,
            self._stream.table,
            "outdated",
            landed_at=_iso(standing.landed_at),
            problem=f"the answer was written at {written_at}, before the one that was landed "
            f"({standing.written_at}); nothing of it was taken",
        )

    def _land(self, standing: Standing, under_way: UnderWay, *, went_on: bool, waits: int) -> PullReport:
        came = self._shelf.pages(under_way.pages)
        lines = list(dict.fromkeys(came))
        rows = [_fields(line) for line in lines]
        known = set(standing.at_mark)
        news = [line for line in lines if _short(line) not in known]
        content = digest_of(sorted(lines))
        drift = drift_of(self._stream, filter(None, rows), standing.fields)
        is_news = bool(news) and content != standing.content
        landed = len(news) if is_news else 0
        file = None
        if is_news:
            file = self._shelf.land(under_way.stamp, news).name
            standing.landed_at = under_way.stamp
        if lines:
            standing.content = content
            standing.fields = standing.fields or sorted({name for row in rows for name in row})
        standing.written_at = under_way.written_at or standing.written_at
        self._move_mark(standing, lines, rows)
        standing.under_way = None
        self._shelf.save(standing)
        self._shelf.clear()
        return PullReport(
            self._name,
            self._stream.table,
            "landed" if is_news else "unchanged",
            rows=landed,
            repeated=len(came) - landed,
            pages=under_way.pages,
            waits=waits,
            went_on=went_on,
            drift=(*drift.lines(), *self._unmarked(standing, lines)),
            lacking=drift.lacking,
            file=file,
            mark=standing.mark,
            landed_at=_iso(standing.landed_at),
            problem=None if came or self._stream.since else "the answer has no rows",
        )

    def _unmarked(self, standing: Standing, lines: list[str]) -> tuple[str, ...]:
        """Says that changes cannot be told from what came before."""
        since = self._stream.since
        if since is None or standing.mark is not None or not lines:
            return ()
        return (
            f"no row has a time that is over or a whole number in {since.field!r}: everything is asked for "
            "every time; correct `since`",
        )

    def _move_mark(self, standing: Standing, lines: list[str], rows: list[dict[str, Any]]) -> None:
        since = self._stream.since
        if since is None:
            return
        now, zone = self._now(), ZoneInfo(self._stream.time_zone or "UTC")
        marks = [str(row.get(since.field, "")) for row in rows]
        for text in marks:
            if is_newer(text, standing.mark, now, zone):
                standing.mark = text
        if standing.mark is None:
            return
        again = earlier(standing.mark, since.overlap_s)
        at_mark = [
            _short(line) for text, line in zip(marks, lines, strict=True) if is_at_or_after(text, again)
        ]
        standing.at_mark = at_mark or standing.at_mark


def _fields(line: str) -> dict[str, Any]:
    """A row's fields; none where it is no object."""
    row = json.loads(line)
    return row if isinstance(row, dict) else {}


def _short(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()[:32]


def _iso(stamp: str | None) -> str | None:
    return dt.datetime.strptime(stamp, STAMP).replace(tzinfo=dt.UTC).isoformat() if stamp else None
