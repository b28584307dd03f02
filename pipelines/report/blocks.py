"""What a section is made of. Figures and tables cannot be made without saying where their data come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from pipelines.report.origins import Origin


@dataclass(frozen=True)
class Figure:
    """A chart.

    Attributes:
        svg: The drawing; empty when there was nothing to draw.
        title: What it shows, units included.
        origin: Where the drawn rows come from.
        note: A reading aid below the chart.
        legend: Kind and its meaning.
        reasons: Numbered sentences below the chart.
    """

    svg: Markup
    title: str
    origin: Origin
    note: str = ""
    legend: Sequence[tuple[str, str]] = ()
    reasons: Sequence[str] = ()
    name: str = field(default="figure", init=False)


@dataclass(frozen=True)
class Figures:
    """Charts side by side, `a_row` of them where the page is wide enough, with a common legend."""

    items: Sequence[Figure]
    legend: Sequence[tuple[str, str]] = ()
    a_row: int = 2
    name: str = field(default="figures", init=False)


@dataclass(frozen=True)
class Column:
    """A column of a table; `is_text` ones stand left, numbers stand right."""

    title: str
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: Its columns.
        rows: Formatted cells.
        title: What it shows.
        origin: Where its rows come from.
        note: A reading aid below the table.
        row_kinds: One kind a row, drawn as a mark before its first cell.
        legend: Kind and its meaning.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    title: str
    origin: Origin
    note: str = ""
    row_kinds: Sequence[str] = ()
    legend: Sequence[tuple[str, str]] = ()
    name: str = field(default="table", init=False)


@dataclass(frozen=True)
class Facts:
    """Numbers to see first: label, value, and a word below it."""

    items: Sequence[tuple[str, str, str]]
    name: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Note:
    """A paragraph; `is_gap` says that something is missing and why."""

    text: str
    is_gap: bool = False
    name: str = field(default="note", init=False)


Block = Figure | Figures | Table | Facts | Note


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        key: Anchor.
        title: Heading.
        lead: One or two sentences under the heading.
        origin: Where the section's rows come from.
        blocks: Its content in order.
    """

    key: str
    title: str
    lead: str
    origin: Origin
    blocks: Sequence[Block]
