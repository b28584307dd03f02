"""The live loop: how fresh profiles and prices were, what each tick cost, what was skipped."""

from __future__ import annotations

from statistics import median

from pipelines.live.log import Tick, TickLog
from pipelines.report import svg
from pipelines.report.blocks import Block, Facts, Figure, Figures, Note, Section
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, count, duration, memory, moment, percent

MOST_LAG_MINUTES = 15


def section(evidence: Evidence) -> Section:
    """Lag, dirty share and cost of the ticks of the last week."""
    return Section(
        "live",
        "From an event to a profile",
        "Between two runs a worker brings recorded rows into profiles and prices; each tick is measured.",
        evidence.origins.of("events", "orders"),
        _blocks(evidence, TickLog(evidence.settings.live_dir).ticks()),
    )


def _blocks(evidence: Evidence, ticks: list[Tick]) -> list[Block]:
    if not ticks:
        return [
            Note(
                "No tick is on record: make ui starts the worker of the live loop, make refresh does one.",
                is_gap=True,
            )
        ]
    found = [tick for tick in ticks if tick.found]
    lags = [(tick.began_at, tick.lag_s / 60) for tick in ticks if tick.lag_s is not None]
    consumers = evidence.tags.height if evidence.tags is not None else 0
    origin = evidence.origins.of("events", "orders")
    return [
        Facts(
            [
                ("Ticks", count(len(ticks)), f"{count(len(ticks) - len(found))} found nothing to do"),
                ("Newest", moment(ticks[-1].began_at), f"business time {moment(ticks[-1].as_of)}"),
                ("Median cost", _median_cost(found), "CPU, ticks that found something"),
                ("Peak memory", memory(max(t.peak_rss_mb for t in ticks)), "of a tick"),
                ("Rows that differ", _differing(ticks), "from the last nightly rebuild"),
            ]
        ),
        Figures(
            [
                Figure(
                    svg.timeline(
                        lags, "Longest wait of a row, minutes", kind="observed", limit=MOST_LAG_MINUTES
                    ),
                    "Longest wait of a row, minutes",
                    origin,
                    "Dashed: the most that it may be.",
                ),
                Figure(
                    svg.timeline(
                        [(t.began_at, 100 * _share(t, consumers)) for t in found],
                        "Profiles looked at, percent",
                        kind="observed",
                    ),
                    "Profiles looked at, percent",
                    origin,
                    f"Of {count(consumers)}; {percent(_changed(found))} of those looked at had changed.",
                ),
                Figure(
                    svg.timeline(
                        [(t.began_at, t.cpu_s) for t in ticks], "CPU seconds of a tick", kind="observed"
                    ),
                    "CPU seconds of a tick",
                    origin,
                ),
            ],
            a_row=3,
        ),
    ]


def _median_cost(ticks: list[Tick]) -> str:
    return duration(median(tick.cpu_s for tick in ticks)) if ticks else NOTHING


def _differing(ticks: list[Tick]) -> str:
    compared = next((tick.comparison for tick in reversed(ticks) if tick.comparison is not None), None)
    if compared is None or compared.reason:
        return NOTHING
    return count(sum(compared.differences.values()))


def _share(tick: Tick, consumers: int) -> float:
    return max(tick.dirty.values(), default=0) / consumers if consumers else 0.0


def _changed(ticks: list[Tick]) -> float | None:
    looked = sum(sum(tick.dirty.values()) for tick in ticks)
    return sum(sum(tick.changed.values()) for tick in ticks) / looked if looked else None
