"""Business time: what "now" means for an installation, and for one run of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from pipelines.conventions import JOB_TIME_TAG
from pipelines.settings import Settings
from pipelines.steps.state import StepRecord

if TYPE_CHECKING:
    import dagster as dg

    from pipelines.stores.sources import Sources

Sensitivity = Literal["none", "since", "day", "instant"]
"""How far business time decides a result: not; not while it goes forward; by local day; by instant."""


class Clock:
    """Business time of one installation.

    Args:
        settings: May fix the time.
        sources: Where the embedded panel is the source, its newest order is now.
    """

    def __init__(self, settings: Settings, sources: Sources) -> None:
        self._settings = settings
        self._sources = sources

    def fixed_now(self) -> datetime | None:
        """Business time when it stands still: the setting, or what the embedded panel has seen; else None.

        The panel ends with its newest order; what the API recorded since goes on from there.
        """
        if self._settings.as_of is not None:
            return self._settings.as_of
        if not self._settings.embedded:
            return None
        end = self._sources.source.as_of()
        recorded = (self._sources.recorded_feeds, self._sources.recorded_observations)
        return max(end, *(extraction.last_time() or end for extraction in recorded))

    def now(self) -> datetime:
        """Business time outside a run."""
        return self.fixed_now() or datetime.now(UTC)

    def day(self, moment: datetime) -> date:
        """The local day of the shops at a moment."""
        return moment.astimezone(ZoneInfo(self._settings.zone)).date()

    def stands(self, record: StepRecord, now: datetime) -> bool:
        """Whether a result still stands as far as time is concerned.

        Args:
            record: The result.
            now: Business time of the run that asks.
        """
        clock, made_at = record.clock, record.as_of
        if record.until and now >= datetime.fromisoformat(record.until):
            return False
        if clock == "none":
            return True
        if not made_at:
            return False
        made = datetime.fromisoformat(made_at)
        if clock == "since":
            return made <= now
        if clock == "day":
            return self.day(made) == self.day(now)
        return made == now

    def as_of(self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> datetime:
        """Business time of a run: one value for all its steps, in whatever process they run."""
        tag = context.run.tags.get(JOB_TIME_TAG)
        if tag:
            return datetime.fromisoformat(tag)
        fixed = self.fixed_now()
        if fixed is not None:
            return fixed
        record = context.instance.get_run_record_by_id(context.run.run_id)
        return record.create_timestamp.astimezone(UTC) if record else self.now()
