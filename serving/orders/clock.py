"""The business clock: which moment "now" is for orders and money. It measures no durations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from serving.settings import Settings

_TRUST_S = 5.0


class BusinessClock:
    """Business time of one process; may be shared by threads.

    * With `MUYUN_AS_OF` it stands still there.
    * For a user's own data (`MUYUN_DATA`), and while nothing is published, it is the wall clock.
    * For the embedded panel of a past year it goes on from the `as_of` of the current publication, as
      fast as the wall clock does since that publication. In one process it never runs backwards.
    """

    def __init__(self, settings: Settings, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._settings = settings
        self._wall = wall
        self._lock = threading.Lock()
        self._trusted_until = 0.0
        self._behind = timedelta(0)
        self._last: datetime | None = None

    def now(self, conn: psycopg.Connection[Any]) -> datetime:
        """Business time in UTC.

        Args:
            conn: Reads when what was published; asked at most every few seconds.
        """
        if self._settings.as_of is None and self._settings.data is None:
            self._learn(conn)
        return self.after(self._behind)

    def after(self, behind: timedelta) -> datetime:
        """Business time in UTC where that of the embedded panel lies so far behind the wall clock.

        Args:
            behind: Between the business time of the current publication and the moment it was switched to.
        """
        if self._settings.as_of is not None:
            return self._settings.as_of
        if self._settings.data is not None:
            return self._wall()
        with self._lock:
            found = self._wall() - behind
            self._last = found if self._last is None else max(found, self._last)
            return self._last

    def _learn(self, conn: psycopg.Connection[Any]) -> None:
        if self._trusted_until <= time.monotonic():
            row = conn.execute(
                "select c.switched_at - p.as_of from scores.current_publication c"
                " join scores.publication p using (version)"
            ).fetchone()
            with self._lock:
                self._behind = row[0] if row else timedelta(0)
                self._trusted_until = time.monotonic() + _TRUST_S
