"""Journeys: each as a drawing with counts on its arrows, and what they caused, with intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import polars as pl

from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Facts, Figure, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, amount, count, percent
from pipelines.report.origins import Origin
from pipelines.report.sections import communities, feedback, trainings
from pipelines.stores.journeys import EFFECT, STEPS, WAYS

_END = "end"
_KINDS = {"send": "message", "wait": "wait", "branch": "branch", "task": "task"}
_REASONS = {
    "converted": "goal reached",
    "reacted": "came back",
    "finished": "at the end",
    "time_over": "time over",
    "stopped": "stopped",
    "no_consent": "no consent",
    "open_complaint": "complaint",
    "erased": "erased",
}
_VERDICTS = {"gain": "gain", "loss": "loss", "not_yet": "not yet", "blocked": "blocked"}
_COLOURS = {"gain": "model", "loss": "other", "not_yet": "observed", "blocked": "observed"}
_ARMS = {"treated": "treated", "control": "control", "universal": "hold-out"}


def section(evidence: Evidence) -> Section:
    """What journeys sent, to whom, and whether it helped."""
    effect = _effect(evidence)
    made_up = not effect.is_empty() and bool(effect["is_simulated"].all())
    seen = evidence.origins.of("orders", "messages")
    origin = Origin("overlay", "overlay: journeys") if made_up else seen
    return Section(
        "growth",
        "Journeys and what they caused",
        "Everybody who enters a journey is drawn into an arm before anything is sent. Controls take the same "
        "way past the same guards; the difference between the two is what the journey caused.",
        origin,
        [
            *_blocks(evidence, effect, origin),
            *communities.blocks(evidence),
            *trainings.blocks(evidence),
            *feedback.blocks(evidence),
        ],
    )


def _effect(evidence: Evidence) -> pl.DataFrame:
    lake = evidence.lake
    return lake.get(EFFECT) if lake.derived_path(EFFECT).exists() else pl.DataFrame()


def _blocks(evidence: Evidence, effect: pl.DataFrame, origin: Origin) -> list[Block]:
    if effect.is_empty():
        return [Note("Nobody has entered a journey yet.", is_gap=True)]
    treated = effect.filter(arm="treated")
    simulated = effect.filter("is_simulated")["journey_id"].n_unique()
    blocks: list[Block] = [
        Facts(
            [
                ("Journeys", count(effect["journey_id"].n_unique()), "somebody has entered"),
                ("Runs", count(int(effect["run_count"].sum())), "consumers who entered, all arms"),
                ("Messages", count(int(effect["sent_count"].sum())), "went out, of runs that are judged"),
                ("Gains", count(treated.filter(verdict="gain").height), "the interval lies above 0"),
                ("Losses", count(treated.filter(verdict="loss").height), "stopped by themselves"),
            ]
        )
    ]
    if simulated:
        blocks.append(
            Note(
                f"Simulated journeys: {count(simulated)}. The embedded panel has none; who comes back is "
                "drawn with planted effects, a gain, a loss and none, that the verdicts must find."
            )
        )
    blocks += [_differences(treated, origin), _arms(effect, evidence.currency, origin)]
    ways = evidence.lake.get(WAYS)
    steps = evidence.lake.read_report(STEPS) or {}
    still = 0
    for journey_id, title in treated.select("journey_id", "title").iter_rows():
        kinds, gone = dict(steps.get(journey_id, [])), ways.filter(journey_id=journey_id)
        if not _is_walked(kinds, gone):
            still += 1
        else:
            blocks.append(_drawing(title, kinds, gone, origin))
    if still:
        blocks.append(
            Note(f"Journeys in which nobody has gone from one step to the next: {count(still)}; not drawn.")
        )
    return blocks


def _is_walked(kinds: dict[str, str], ways: pl.DataFrame) -> bool:
    """Whether somebody went on from a step, or through the only one: else there is no order to draw."""
    return any(
        step in kinds and (after in kinds or len(kinds) == 1)
        for step, after in ways.select("step", "next_step").iter_rows()
    )


def _differences(treated: pl.DataFrame, origin: Origin) -> Figure:
    title = "Share that reached the goal: treated minus control, with its 95% interval"
    dots = [
        svg.Dot(
            row["title"],
            row["difference"],
            row["difference_low"],
            row["difference_high"],
            f"{percent(row['difference'])} · {_VERDICTS[row['verdict']]}",
            _COLOURS[row["verdict"]],
        )
        for row in treated.drop_nulls("difference").sort("difference", descending=True).iter_rows(named=True)
    ]
    drawn = svg.dots(
        dots, title, width=svg.WIDE, label_width=250, zero=True, tick_text=lambda value: percent(value, 0)
    )
    return Figure(
        drawn,
        title,
        origin,
        "As assigned, whatever came of the messages; who was assigned too lately to have reached the goal is "
        "not counted.",
        legend=[("model", "gain"), ("other", "loss"), ("observed", "not yet, or blocked")],
    )


def _arms(effect: pl.DataFrame, currency: str, origin: Origin) -> Table:
    columns = [
        Column("journey", True), Column("arm", True), Column("assigned"), Column("sent"), Column("delivered"),
        Column("clicked"), Column("reached the goal"), Column("share"), Column("margin, net of messages"),
    ]  # fmt: skip
    rows = [
        [
            row["title"],
            _ARMS[row["arm"]],
            count(row["assigned_count"]),
            count(row["sent_count"]),
            count(row["delivered_count"]),
            count(row["clicked_count"]),
            count(row["converted_count"]),
            NOTHING if row["conversion_share"] is None else percent(row["conversion_share"]),
            amount(row["net_margin_cents"], currency),
        ]
        for row in effect.iter_rows(named=True)
    ]
    return Table(columns, rows, f"Arms of journeys, money in {currency}", origin)


def _drawing(title: str, kinds: dict[str, str], ways: pl.DataFrame, origin: Origin) -> Figure:
    """The way through a journey: all arms together."""
    arrows: defaultdict[tuple[str, str], int] = defaultdict(int)
    exits: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for step, after, reason, runs in ways.select("step", "next_step", "reason", "runs").iter_rows():
        if step in kinds and after == _END:
            exits[step][reason or "finished"] += runs
        elif step in kinds and after in kinds:
            arrows[step, after] += runs
    columns = _columns(list(kinds), arrows)
    stops = [
        [
            svg.Stop(
                name,
                _KINDS[kinds[name]],
                [
                    (_REASONS.get(why, why.replace("_", " ")), runs)
                    for why, runs in sorted(exits[name].items(), key=lambda one: (-one[1], one[0]))
                ],
            )
            for name in column
        ]
        for column in columns
    ]
    drawn = [svg.Arrow(*way, runs) for way, runs in sorted(arrows.items())]
    return Figure(
        svg.flow(stops, drawn, title),
        title,
        origin,
        "On an arrow, how many runs went on; below a step, how many ended there and why. All arms together.",
    )


def _columns(names: list[str], arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Steps by how many others lie before them; a way back, by the order of the document, moves nothing."""
    place = {name: number for number, name in enumerate(names)}
    depth = dict.fromkeys(names, 0)
    for source, target in sorted(arrows, key=lambda way: place[way[0]]):
        if place[source] < place[target]:
            depth[target] = max(depth[target], depth[source] + 1)
    found: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in names:
        found[depth[name]].append(name)
    return [column for column in found if column]
