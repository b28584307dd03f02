"""Charts as inline SVG: bars, fans, histograms, dots with intervals, waterfalls. Pure functions of values.

Colours are CSS classes (`k-<kind>`), so that the page decides how a kind looks in light and in dark. Every
text is escaped here. What to draw is decided in `sections`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from markupsafe import Markup, escape

from pipelines.report.formats import short, shortened
from pipelines.report.scales import Scale, apart, log_ticks, round_up, ticks

WIDE, HALF, THIRD = 760, 480, 310
"""Widths of a chart that fills the page, half of it, a third of it."""

ROW = 20
"""Height of one row of a chart that is read from top to bottom."""

_CHARACTER = 6.1
"""Width of a character of the charts' text, about, in pixels."""


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its value (not below 0), the text at its end, and its kind."""

    label: str
    value: float
    text: str
    kind: str


@dataclass(frozen=True)
class Dot:
    """One estimate with an optional interval; `text` stands at the right edge."""

    label: str
    value: float
    low: float | None
    high: float | None
    text: str
    kind: str


@dataclass(frozen=True)
class FanPoint:
    """One week of a fan: what happened, what was expected, or both."""

    on: date
    actual: float | None
    low: float | None
    middle: float | None
    high: float | None


@dataclass(frozen=True)
class Move:
    """One step of a waterfall, from a value to a value."""

    label: str
    before: float
    after: float


@dataclass(frozen=True)
class Stop:
    """A step of a way: its name, the word below it, and what left there, each with a count."""

    name: str
    word: str
    exits: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True)
class Arrow:
    """A way from a stop to another, by their names, with how many went it."""

    source: str
    target: str
    count: int


def bars(
    items: Sequence[Bar], title: str, *, width: int = HALF, label_width: int = 150, is_log: bool = False
) -> Markup:
    """Horizontal bars, one row each, in the given order.

    Args:
        items: The bars; values of 0 have no length.
        title: What a screen reader says.
        width: Width in pixels.
        label_width: Room for the labels on the left.
        is_log: Logarithmic lengths from 1 on; values below 1 have no length.
    """
    if not items:
        return Markup()
    text_width = max(len(item.text) for item in items) * _CHARACTER + 12
    left, right, top = label_width, width - text_width, 4
    highest = max(item.value for item in items)
    base = 1.0 if is_log else 0.0
    scale = Scale(base, max(highest, base + 1e-12), left, right, is_log)
    bottom = top + ROW * len(items)
    marks = log_ticks(1, max(highest, 1)) if is_log else ticks(0, highest) if highest > 0 else [0.0]
    parts = [_vertical_grid(marks, scale, top, bottom, short)]
    for row, item in enumerate(items):
        y = top + ROW * row
        end = scale(max(item.value, base))
        parts.append(
            _text(left - 8, y + 14, shortened(item.label, int((label_width - 10) / _CHARACTER)), "end")
            + Markup('<rect class="k-{}" x="{}" y="{}" width="{}" height="12" rx="1.5"/>').format(
                item.kind, _px(left), _px(y + 4), _px(end - left)
            )
            + _text(end + 5, y + 14, item.text, "start", "v")
        )
    return _frame(title, width, bottom + 20, parts)


def dots(
    items: Sequence[Dot],
    title: str,
    *,
    width: int = HALF,
    label_width: int = 150,
    zero: bool = False,
    tick_text: Callable[[float], str] = short,
) -> Markup:
    """Estimates as dots with their intervals as lines, one row each.

    Args:
        items: The estimates; intervals may be absent.
        title: What a screen reader says.
        width: Width in pixels.
        label_width: Room for the labels on the left.
        zero: Draw the line at 0 and keep it inside the axis.
        tick_text: How an axis value is written.
    """
    if not items:
        return Markup()
    ends = [v for item in items for v in (item.value, item.low, item.high) if v is not None]
    if zero:
        ends.append(0.0)
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.1
    text_width = max(len(item.text) for item in items) * _CHARACTER + 18
    left, right, top = label_width, width - text_width, 4
    scale = Scale(low - room, high + room, left, right)
    bottom = top + ROW * len(items)
    parts = [_vertical_grid(ticks(low - room, high + room, 5), scale, top, bottom, tick_text)]
    if zero:
        parts.append(_line("zero", scale(0), top, scale(0), bottom))
    for row, item in enumerate(items):
        y = top + ROW * row + 10
        parts.append(
            _text(left - 8, y + 4, shortened(item.label, int((label_width - 10) / _CHARACTER)), "end")
        )
        if item.low is not None and item.high is not None:
            parts.append(_line(f"l-{item.kind} thick", scale(item.low), y, scale(item.high), y))
        parts.append(
            Markup('<circle class="k-{}" cx="{}" cy="{}" r="4.5"/>').format(
                item.kind, _px(scale(item.value)), _px(y)
            )
        )
        parts.append(_text(width - 2, y + 4, item.text, "end", "v"))
    return _frame(title, width, bottom + 20, parts)


def histogram(
    edges: Sequence[float],
    stacks: Mapping[str, Sequence[int]],
    title: str,
    *,
    edge_text: Callable[[float], str] = short,
    opens_low: bool = False,
    opens_high: bool = False,
    width: int = THIRD,
    height: int = 150,
) -> Markup:
    """Columns over bins, kinds stacked on one another in the given order.

    Args:
        edges: Ascending, one more than there are bins.
        stacks: Counts of each bin by kind.
        title: What a screen reader says.
        edge_text: How an edge is written below the axis.
        opens_low: Whether the first bin holds everything below; marked at its edge.
        opens_high: Whether the last bin holds everything above.
        width: Width in pixels.
        height: Height in pixels.
    """
    n_bins = len(edges) - 1
    totals = [sum(counts[place] for counts in stacks.values()) for place in range(n_bins)]
    if n_bins < 1 or not any(totals):
        return Markup()
    left, right, top, bottom = 42, width - 12, 8, height - 22
    across = Scale(0, n_bins, left, right)
    up = Scale(0, round_up(max(totals), 3), bottom, top)
    parts = [_horizontal_grid(ticks(0, up.high, 3), up, left, right)]
    for place in range(n_bins):
        x, below = across(place), 0
        for kind, counts in stacks.items():
            if counts[place]:
                y0, y1 = up(below), up(below + counts[place])
                parts.append(
                    Markup('<rect class="k-{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                        kind, _px(x + 0.5), _px(y1), _px(max(across(place + 1) - x - 1, 0.5)), _px(y0 - y1)
                    )
                )
                below += counts[place]
    parts.append(_line("axis", left, bottom, right, bottom))
    widest = max(len(edge_text(edge)) for edge in edges) * _CHARACTER + 14
    for place in _labelled(
        n_bins, max(1, -(-n_bins * int(widest) // int(right - left))), opens_low, opens_high
    ):
        sign = "≥" if opens_high and place == n_bins - 1 else "<" if opens_low and place == 1 else ""
        parts.append(_text(across(place), bottom + 14, sign + edge_text(edges[place]), "middle", "t"))
    return _frame(title, width, height, parts)


def fan(
    points: Sequence[FanPoint], title: str, *, actual_kind: str, width: int = THIRD, height: int = 170
) -> Markup:
    """What happened as a line, what was expected as a band with its middle.

    Args:
        points: Ascending by day.
        title: What a screen reader says.
        actual_kind: Kind of the actuals' line.
        width: Width in pixels.
        height: Height in pixels.
    """
    values = [v for p in points for v in (p.actual, p.low, p.middle, p.high) if v is not None]
    if not values:
        return Markup()
    left, right, top, bottom = 42, width - 8, 8, height - 22
    across = Scale(points[0].on.toordinal(), points[-1].on.toordinal(), left, right)
    up = Scale(0, round_up(max(values), 3), bottom, top)
    parts = [_horizontal_grid(ticks(0, up.high, 3), up, left, right)]
    ahead = [
        (across(p.on.toordinal()), p.low, p.middle, p.high)
        for p in points
        if p.low is not None and p.middle is not None and p.high is not None
    ]
    if ahead:
        start = ahead[0][0]
        parts.append(_line("origin", start, top, start, bottom))
        outline = [(x, up(high)) for x, _, _, high in ahead] + [(x, up(low)) for x, low, _, _ in ahead[::-1]]
        parts.append(Markup('<polygon class="band" points="{}"/>').format(_points(outline)))
        middle = [(x, up(value)) for x, _, value, _ in ahead]
        parts.append(Markup('<polyline class="l-model thick" points="{}"/>').format(_points(middle)))
    known = [(across(p.on.toordinal()), up(p.actual)) for p in points if p.actual is not None]
    if known:
        parts.append(Markup('<polyline class="l-{} thick" points="{}"/>').format(actual_kind, _points(known)))
    parts.append(_line("axis", left, bottom, right, bottom))
    parts.append(_text(left, bottom + 14, f"{points[0].on:%d %b %Y}", "start", "t"))
    parts.append(_text(right, bottom + 14, f"{points[-1].on:%d %b %Y}", "end", "t"))
    return _frame(title, width, height, parts)


def timeline(
    points: Sequence[tuple[datetime, float]],
    title: str,
    *,
    kind: str,
    limit: float | None = None,
    width: int = THIRD,
    height: int = 150,
) -> Markup:
    """A value over time as a line, with the most that it may be as a dashed one.

    Args:
        points: Moment and value (not below 0), ascending by moment.
        title: What a screen reader says.
        kind: Kind of the line.
        limit: The most that the value may be.
        width: Width in pixels.
        height: Height in pixels.
    """
    if not points:
        return Markup()
    left, right, top, bottom = 42, width - 8, 8, height - 22
    first, last = points[0][0], points[-1][0]
    across = Scale(first.timestamp(), max(last.timestamp(), first.timestamp() + 1), left, right)
    highest = max([value for _, value in points] + ([limit] if limit is not None else []))
    up = Scale(0, round_up(highest, 3) if highest > 0 else 1, bottom, top)
    parts = [_horizontal_grid(ticks(0, up.high, 3), up, left, right)]
    if limit is not None:
        parts.append(_line("limit", left, up(limit), right, up(limit)))
    places = [(across(moment.timestamp()), up(value)) for moment, value in points]
    parts.append(Markup('<polyline class="l-{} thick" points="{}"/>').format(kind, _points(places)))
    parts.append(_line("axis", left, bottom, right, bottom))
    parts.append(_text(left, bottom + 14, f"{first:%d %b %H:%M}", "start", "t"))
    parts.append(_text(right, bottom + 14, f"{last:%d %b %H:%M}", "end", "t"))
    return _frame(title, width, height, parts)


def waterfall(
    start: tuple[str, float],
    moves: Sequence[Move],
    end: tuple[str, float],
    limits: Mapping[str, float],
    title: str,
    *,
    value_text: Callable[[float], str],
    width: int = THIRD,
    label_width: int = 98,
) -> Markup:
    """Steps from one value to another, top to bottom, with the limits as dashed lines.

    Args:
        start: Label and value of the first bar, drawn from 0.
        moves: Steps in order.
        end: Label and value of the last bar, drawn from 0.
        limits: Label to value of the dashed lines.
        title: What a screen reader says.
        value_text: How a value is written.
        width: Width in pixels.
        label_width: Room for the labels on the left.
    """
    values = [start[1], end[1], *limits.values(), *(v for m in moves for v in (m.before, m.after))]
    text_width = max(len(value_text(value)) for value in values) * _CHARACTER + 14
    across = Scale(0, max(*values, 1e-9), label_width, width - text_width)
    lines = sorted(limits.items(), key=lambda item: (item[1], item[0]))
    rows = apart([across(value) for _, value in lines], max((len(n) for n in limits), default=0) * 6 + 6)
    top = 6 + 12 * (max(rows, default=-1) + 1)
    bottom = top + ROW * (len(moves) + 2)
    parts = []
    for (name, value), row in zip(lines, rows, strict=True):
        y = 12 + 12 * row
        parts.append(_line("limit", across(value), y + 2, across(value), bottom))
        parts.append(_text(across(value), y, name, "middle", "t"))
    total = (start[0], 0.0, start[1], "other"), (end[0], 0.0, end[1], "model")
    steps = [(m.label, m.before, m.after, "raise" if m.after >= m.before else "cut") for m in moves]
    for row, (label, before, after, kind) in enumerate([total[0], *steps, total[1]]):
        y = top + ROW * row
        x0, x1 = sorted((across(before), across(after)))
        parts.append(_text(label_width - 8, y + 14, label, "end"))
        parts.append(
            Markup('<rect class="k-{}" x="{}" y="{}" width="{}" height="12" rx="1.5"/>').format(
                kind, _px(x0), _px(y + 4), _px(max(x1 - x0, 1.5))
            )
        )
        parts.append(_text(x1 + 5, y + 14, value_text(after), "start", "v halo"))
    return _frame(title, width, bottom + 4, parts)


def flow(
    columns: Sequence[Sequence[Stop]], arrows: Sequence[Arrow], title: str, *, width: int = WIDE
) -> Markup:
    """Stops from left to right with arrows between them; below each what ended there.

    Args:
        columns: Stops that stand below one another, first column first.
        arrows: Between stops that are there; one that leads back or to the same column goes round above.
        title: What a screen reader says.
        width: Width in pixels.
    """
    if not columns:
        return Markup()
    gap, top, height = 52.0, 22.0, 34.0
    box = (width - gap * (len(columns) - 1) - 2) / len(columns)
    box = min(box, 150.0)
    deepest = max((len(stop.exits) for column in columns for stop in column), default=0)
    step = height + 14.0 * deepest + 26
    places = {
        stop.name: (1 + number * (box + gap), top + row * step)
        for number, column in enumerate(columns)
        for row, stop in enumerate(column)
    }
    parts = []
    for arrow in arrows:
        (x0, y0), (x1, y1) = places[arrow.source], places[arrow.target]
        if x1 <= x0:
            ends = [(x0 + box / 2, y0), (x0 + box / 2, 2.0), (x1 + box / 2, 2.0), (x1 + box / 2, y1)]
            label = ((x0 + x1 + box) / 2, 10.0)
        else:
            start, end = (x0 + box, y0 + height / 2), (x1, y1 + height / 2)
            middle = (start[0] + end[0]) / 2
            ends = [start, (middle, start[1]), (middle, end[1]), end]
            label = (start[0] + gap / 2 - 2, start[1] - 5 if end[1] <= start[1] else start[1] + 14)
        path = f"M{_points(ends[:1])} C{_points(ends[1:])}"
        parts.append(
            Markup(
                '<path class="l-model thick" fill="none" d="{}"/><polygon class="k-model" points="{}"/>'
            ).format(path, _tip(ends[-1], points_right=x1 > x0))
        )
        parts.append(_text(*label, f"{arrow.count:,}", "middle", "v halo"))
    for column in columns:
        for stop in column:
            x, y = places[stop.name]
            letters = int(box / _CHARACTER) - 1
            parts.append(
                Markup('<rect class="stop" x="{}" y="{}" width="{}" height="{}" rx="4"/>').format(
                    _px(x), _px(y), _px(box), _px(height)
                )
                + _text(x + box / 2, y + 14, shortened(stop.name, letters), "middle")
                + _text(x + box / 2, y + 27, stop.word, "middle", "t")
            )
            for row, (why, count) in enumerate(stop.exits):
                parts.append(_text(x + 4, y + height + 14 + 14 * row, f"{count:,}", "start", "v"))
                parts.append(
                    _text(x + 8 + 6.4 * len(f"{count:,}"), y + height + 14 + 14 * row, why, "start", "t")
                )
    return _frame(title, width, top + step * max(len(column) for column in columns), parts)


def _tip(place: tuple[float, float], *, points_right: bool) -> str:
    """The head of an arrow that ends at a place."""
    x, y = place
    across, down = (0.0, 4.0) if points_right else (4.0, 0.0)
    back = (x - 7, y) if points_right else (x, y - 7)
    return _points([place, (back[0] - across, back[1] - down), (back[0] + across, back[1] + down)])


def _labelled(n_bins: int, every: int, opens_low: bool, opens_high: bool) -> list[int]:
    """Edges to write: every so many, and always the inner edge of an open end bin, which has no outer."""
    fixed = {1} if opens_low else set()
    if opens_high:
        fixed.add(n_bins - 1)
    first, last = (1 if opens_low else 0), (n_bins - 1 if opens_high else n_bins)
    free = [place for place in range(first, last + 1, every) if all(abs(place - f) >= every for f in fixed)]
    return sorted({*free, *fixed})


def _frame(title: str, width: float, height: float, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" style="max-width:{w}px" role="img" '
        'aria-label="{title}">'
        "<title>{title}</title>{body}</svg>"
    ).format(w=_px(width), h=_px(height), title=title, body=Markup().join(parts))


def _vertical_grid(
    marks: Sequence[float], scale: Scale, top: float, bottom: float, text: Callable[[float], str]
) -> Markup:
    return Markup().join(
        _line("grid", scale(mark), top, scale(mark), bottom)
        + _text(scale(mark), bottom + 14, text(mark), "middle", "t")
        for mark in marks
    )


def _horizontal_grid(marks: Sequence[float], scale: Scale, left: float, right: float) -> Markup:
    return Markup().join(
        _line("grid", left, scale(mark), right, scale(mark))
        + _text(left - 6, scale(mark) + 4, short(mark), "end", "t")
        for mark in marks
    )


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        kind, _px(x1), _px(y1), _px(x2), _px(y2)
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        kind, _px(x), _px(y), anchor, escape(text)
    )


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_px(x)},{_px(y)}" for x, y in places)


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
