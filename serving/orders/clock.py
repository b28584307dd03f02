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
    * For the embedded panel of a past year it goes on from the `as_of` of the tenant's current publication,
      as fast as the wall clock does since that publication. In one process it never runs backwards.
    """

    def __init__(self, settings: Settings, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._settings = settings
        self._wall = wall
        self._lock = threading.Lock()
        self._behind: dict[str, tuple[timedelta, float]] = {}  # and until when that is trusted
        self._last: dict[str, datetime] = {}

    def now(self, conn: psycopg.Connection[Any], tenant_id: str) -> datetime:
        """Business time in UTC.

        Args:
            conn: Reads when what was published; asked at most every few seconds.
            tenant_id: Whose time.
        """
        is_told = self._settings.as_of is not None or self._settings.data is not None
        return self.after(timedelta(0) if is_told else self._learned(conn, tenant_id), tenant_id)

    def after(self, behind: timedelta, tenant_id: str) -> datetime:
        """Business time of a tenant in UTC where the embedded panel lies so far behind the wall clock.

        Args:
            behind: Between the business time of the current publication and the moment it was switched to.
            tenant_id: Whose time.
        """
        if self._settings.as_of is not None:
            return self._settings.as_of
        if self._settings.data is not None:
            return self._wall()
        with self._lock:
            found = self._wall() - behind
            found = self._last[tenant_id] = max(found, self._last.get(tenant_id, found))
            return found

    def _learned(self, conn: psycopg.Connection[Any], tenant_id: str) -> timedelta:
        behind, trusted_until = self._behind.get(tenant_id, (timedelta(0), 0.0))
        if trusted_until <= time.monotonic():
            row = conn.execute(
                "select c.switched_at - p.as_of from scores.current_publication c"
                " join scores.publication p using (tenant_id, version) where c.tenant_id = %s",
                (tenant_id,),
            ).fetchone()
            behind = row[0] if row else timedelta(0)
            with self._lock:
                self._behind[tenant_id] = (behind, time.monotonic() + _TRUST_S)
        return behind
