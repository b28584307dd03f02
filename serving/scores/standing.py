"""How fresh what is served is, for whoever watches the service: read from the database, kept for seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, LiteralString

from feature_store.contracts import RefreshClass
from serving.db.pool import Pool
from serving.scores.live import PRICES_AS_OF, read_instants

KEPT_S = 5.0
"""So long an answer is given again: whoever asks often does not load the database."""

_STANDING: Final[LiteralString] = """
with served as (
  select c.version, c.switched_at, p.as_of,
    (select t.snapshot_id from scores.publication_table t
      where t.tenant_id = c.tenant_id and t.version = c.version and t.table_name = 'profiles') as profiles,
    (select t.snapshot_id from scores.publication_table t
      where t.tenant_id = c.tenant_id and t.version = c.version and t.table_name = 'prices') as prices
  from scores.current_publication c join scores.publication p using (tenant_id, version)
  where c.tenant_id = %(tenant)s
)
select s.as_of, s.switched_at - s.as_of, extract(epoch from clock_timestamp() - s.switched_at)::float8,
  coalesce(a.revision, 0), a.as_of, coalesce(b.revision, 0), b.as_of,
  (select count(*) from scores.live_profile x where x.snapshot_id = s.profiles),
  (select count(*) from scores.live_price x where x.snapshot_id = s.prices)
from served s
left join scores.live_pointer a on a.snapshot_id = s.profiles
left join scores.live_pointer b on b.snapshot_id = s.prices
"""


@dataclass(frozen=True)
class Standing:
    """How fresh the served version and what lies over it are.

    Attributes:
        lag_s: Refresh class, or `prices`, to business seconds since the moment up to which its values are
            right for everybody; the business time of the publication where no tick keeps them up.
        revision: Table (`profiles`, `prices`) to the newest tick that readers see over it; 0 for none.
        overlay_rows: Table to rows that lie over the publication until the next one.
        publication_age_s: Wall seconds since readers were switched to the version.
    """

    lag_s: Mapping[str, float]
    revision: Mapping[str, int]
    overlay_rows: Mapping[str, int]
    publication_age_s: float


class StandingReader:
    """Reads the standing at most every few seconds. Belongs to one event loop.

    Args:
        pool: The database that readers are answered from.
        tenant_id: Whose publication.
        now: Business time, told how far the business time of the publication lies behind the wall clock.
        kept_s: Seconds for which an answer is given again.
    """

    def __init__(
        self, pool: Pool, tenant_id: str, now: Callable[[timedelta], datetime], *, kept_s: float = KEPT_S
    ) -> None:
        self._pool = pool
        self._tenant_id = tenant_id
        self._now = now
        self._kept_s = kept_s
        self._lock = asyncio.Lock()
        self._found: Standing | None = None
        self._until = 0.0

    async def read(self) -> Standing | None:
        """How fresh what is served is; None while nothing is published.

        Raises:
            DatabaseUnavailableError: The database does not answer.
        """
        async with self._lock:
            if self._until <= time.monotonic():
                rows = await self._pool.fetch(_STANDING, {}, tenant_id=self._tenant_id)
                self._found = self._standing(*rows[0]) if rows else None
                self._until = time.monotonic() + self._kept_s
            return self._found

    def _standing(
        self,
        as_of: datetime,
        behind: timedelta,
        age_s: float,
        profiles: int,
        profiles_as_of: Mapping[str, str] | None,
        prices: int,
        prices_as_of: Mapping[str, str] | None,
        profile_rows: int,
        price_rows: int,
    ) -> Standing:
        moments = dict.fromkeys((*RefreshClass, PRICES_AS_OF), as_of)
        moments |= read_instants(profiles_as_of) | read_instants(prices_as_of)
        now = self._now(behind)
        return Standing(
            lag_s={name: max(0.0, (now - moment).total_seconds()) for name, moment in moments.items()},
            revision={"profiles": profiles, "prices": prices},
            overlay_rows={"profiles": profile_rows, "prices": price_rows},
            publication_age_s=age_s,
        )
