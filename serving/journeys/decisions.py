"""What journeys decided within a time, by journey: for the graph, the report and whoever asks why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg

Connection = psycopg.Connection[Any]

LATE = timedelta(hours=1)
"""A run that is due for so long was forgotten by everybody."""


@dataclass
class Decisions:
    """Of one journey.

    Attributes:
        entered: New runs by arm.
        acts: What runs asked for or left out, by kind and reason.
        ended: Runs that ended, by why.
        messages: Messages that were decided, by state.
        receipts: What channels told, by kind.
        open_runs: Runs that are under way.
        late_runs: Of them, those due for more than `LATE` that no pause holds.
    """

    entered: dict[str, int] = field(default_factory=dict)
    acts: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    receipts: dict[str, int] = field(default_factory=dict)
    open_runs: int = 0
    late_runs: int = 0

    def to_json(self) -> dict[str, Any]:
        """The counts."""
        return asdict(self)


def decided(conn: Connection, tenant_id: str, since: datetime, now: datetime) -> dict[str, Decisions]:
    """What was decided after a moment, by journey; journeys that nobody is in have no entry.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        since: Decisions after it.
        now: Up to then, business time.
    """
    values = {"tenant": tenant_id, "since": since, "now": now, "late": now - LATE}
    found: defaultdict[str, Decisions] = defaultdict(Decisions)
    for name, query in _COUNTS.items():
        for journey_id, word, count in conn.execute(query, values):
            getattr(found[journey_id], name)[word] = count
    for journey_id, open_runs, late_runs in conn.execute(_OPEN, values):
        found[journey_id].open_runs, found[journey_id].late_runs = open_runs, late_runs
    return dict(sorted(found.items()))


_ACTS: LiteralString = """
select r.journey_id, m.act || coalesce(': ' || m.reason, ''), count(*)
from journeys.move m join journeys.run r using (tenant_id, run_id)
where m.tenant_id = %(tenant)s and m.at > %(since)s and m.at <= %(now)s and m.act <> 'ended'
group by 1, 2 order by 1, 2
"""
_COUNTS: dict[str, LiteralString] = {
    "entered": """
select journey_id, arm, count(*) from journeys.run
where tenant_id = %(tenant)s and entered_at > %(since)s and entered_at <= %(now)s group by 1, 2 order by 1, 2
""",
    "acts": _ACTS,
    "ended": """
select journey_id, reason, count(*) from journeys.run
where tenant_id = %(tenant)s and ended_at > %(since)s and ended_at <= %(now)s group by 1, 2 order by 1, 2
""",
    "messages": """
select journey_id, state, count(*) from journeys.message
where tenant_id = %(tenant)s and decided_at > %(since)s and decided_at <= %(now)s group by 1, 2 order by 1, 2
""",
    "receipts": """
select coalesce(m.journey_id, '(unknown)'), r.kind, count(*)
from journeys.receipt r left join journeys.message m
    on m.tenant_id = r.tenant_id and m.message_id = r.message_id and r.fits
where r.tenant_id = %(tenant)s and r.received_at > %(since)s and r.received_at <= %(now)s
group by 1, 2 order by 1, 2
""",
}
_OPEN: LiteralString = """
select r.journey_id, count(*), count(*) filter (where r.due_at < %(late)s and not exists (
    select from journeys.version v where v.tenant_id = r.tenant_id and v.journey_id = r.journey_id
        and v.state = 'paused'))
from journeys.run r where r.tenant_id = %(tenant)s and r.due_at is not null group by 1 order by 1
"""
