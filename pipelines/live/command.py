"""`muyun refresh`: one tick, or one every few minutes, told to the person, to Dagster and to the log."""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipelines.graph import resources
from pipelines.live.log import Tick, TickLog
from pipelines.live.store import LiveStore
from pipelines.live.tick import Loop, tick
from pipelines.live.worker import work
from pipelines.messages import Texts
from pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg


def loop_of(settings: Settings) -> Loop:
    """What a tick of this installation works with."""
    parts = resources(settings)
    return Loop(
        settings=settings,
        url=parts["database"].url(),
        store=LiveStore(settings.live_dir),
        sources=parts["sources"],
        lake=parts["lake"],
        models=parts["models"],
        clock=parts["clock"],
    )


def refresh(settings: Settings, *, follow: bool) -> int:
    """Tick once and print what changed and where the time went; or tick until told to stop.

    Returns:
        0; a failed tick raises when it is the only one.
    """
    import dagster as dg

    loop = loop_of(settings)
    log = TickLog(settings.live_dir)
    text = Texts(settings.lang)
    with dg.DagsterInstance.get() as instance:

        def tell(done: Tick | Exception) -> None:
            _tell(done, log, instance, text)

        if follow:
            work(lambda: tick(loop), tell, every_s=60.0 * settings.tick_minutes)
        else:
            tell(tick(loop))
    return 0


def _tell(done: Tick | Exception, log: TickLog, instance: dg.DagsterInstance, text: Texts) -> None:
    from pipelines.live.dagster_events import forget_old
    from pipelines.live.dagster_events import tell as tell_dagster

    if isinstance(done, Exception):
        sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S}Z {text('live.failed', error=done)}\n")
        traceback.print_exception(done, file=sys.stderr)
        return
    log.append(done)
    tell_dagster(instance, done)
    if done.comparison is not None:
        forget_old(instance)
    for line in lines_of(done, text):
        print(line, flush=True)


def lines_of(done: Tick, text: Texts) -> list[str]:
    """What a tick did, for a person."""
    moment = f"{done.as_of:%Y-%m-%d %H:%M:%S}Z"
    if not done.found:
        return [text("live.nothing", moment=moment, seconds=done.wall_s)]
    lines = [
        text(
            "live.done",
            number=done.number,
            moment=moment,
            rows=sum(done.rows.values()),
            changed=sum(done.changed.values()),
            looked=sum(done.dirty.values()),
            prices=done.prices,
            seconds=done.wall_s,
            cpu=done.cpu_s,
        )
    ]
    if done.rows:
        lines.append(
            text("live.rows", rows=", ".join(f"{name} {count}" for name, count in done.rows.items()))
        )
    if done.waiting:
        lines.append(text("live.waiting", rows=done.waiting))
    if done.erased:
        lines.append(text("live.erased", people=done.erased))
    spent = sorted(done.stages.items(), key=lambda item: -item[1])
    lines.append(text("live.spent", stages=", ".join(f"{name} {spent_s:.2f} s" for name, spent_s in spent)))
    if done.lag_s is not None:
        lines.append(text("live.lag", lag=done.lag_s))
    compared = done.comparison
    if compared is not None and compared.reason:
        lines.append(text("live.not_compared", reason=compared.reason))
    elif compared is not None:
        lines.append(
            text("live.compared", rows=compared.rows, differences=sum(compared.differences.values()))
        )
    if done.wants_full_run:
        lines.append(text("live.full_run", reason=done.wants_full_run))
    return lines
