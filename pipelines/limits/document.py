"""The limits as written: the shipped file, the user's file on top, and what is wrong with either."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipelines.limits.suites import ALL_BOUNDARIES
from pipelines.sources.contract import TABLES

SHIPPED = Path(__file__).with_name("defaults.yaml")
FILE_NAME = "limits.yaml"
"""The user's limits, in the home folder."""


class LimitsError(Exception):
    """The limits cannot be meant as they are written; the message names the file, the place, the remedy."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Strict):
    """Lowest and highest admitted value, both included; open where not given."""

    least: float | None = None
    most: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Range:
        if self.least is None and self.most is None:
            raise ValueError("give `least`, `most` or both")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("`least` is more than `most`")
        return self

    def admits(self, value: float) -> bool:
        """Whether a value lies inside."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


class Limit(_Strict):
    """One limit.

    Attributes:
        boundary: Names of the boundaries that it guards.
        severity: `error` blocks what lies behind the boundary, `warning` only tells.
        reason: Why it is there, for whoever meets it.
        expectation: A Great Expectations type, judged on the newest rows; or else `fact`.
        arguments: Keyword arguments of the expectation.
        fact: A fact of the whole batch, e.g. `rows` or `null_share.*` (see `profile`).
        ratio_to_last_good: Admitted quotient of the fact and that of the last good batch.
        rise_over_last_good: Admitted difference of the fact and that of the last good batch.
        distance_from_last_good: Admitted distance of a mix from that of the last good batch, 0 to 1.
        value: Admitted value of the fact itself.
        least_rows: A fact is judged from this number of rows on.
    """

    boundary: tuple[str, ...]
    severity: Literal["error", "warning"]
    reason: str = Field(min_length=1)
    expectation: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    fact: str | None = None
    ratio_to_last_good: Range | None = None
    rise_over_last_good: Range | None = None
    distance_from_last_good: Range | None = None
    value: Range | None = None
    least_rows: int = Field(default=30, ge=1)

    @field_validator("boundary", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_way(self) -> Limit:
        ways = [self.ratio_to_last_good, self.rise_over_last_good, self.distance_from_last_good, self.value]
        given = sum(way is not None for way in ways)
        if self.fact is None and (self.expectation is None or given):
            raise ValueError("give an `expectation`, or a `fact` and how it is judged")
        if self.fact is not None and (self.expectation is not None or given != 1):
            raise ValueError("a `fact` is judged in exactly one way and has no `expectation`")
        return self


class QuarantineLimits(_Strict):
    """From which share of refused rows on a table blocks.

    Attributes:
        least_rows: Fewer refused rows than this block only above `always_above`.
        always_above: Share above which any number of refused rows blocks.
        tables: Share by table, where it differs from the setting.
    """

    least_rows: int = Field(ge=1)
    always_above: float = Field(ge=0, le=1)
    tables: dict[str, float] = Field(default_factory=dict)


class SegmentLimits(_Strict):
    """From which movement on a published segment is told to have drifted since the day before.

    Attributes:
        most_change: Largest change of its size, as a share of the size before.
        most_turnover: Largest share of those who were in it that may have left.
        least_members: A segment with fewer members, before and now, is not judged.
    """

    most_change: float = Field(gt=0)
    most_turnover: float = Field(gt=0, le=1)
    least_members: int = Field(ge=1)


class Limits(_Strict):
    """Every limit by name, and those on the quarantine and on segments."""

    quarantined_share: QuarantineLimits
    segments: SegmentLimits
    limits: dict[str, Limit]

    def at(self, boundary: str) -> dict[str, Limit]:
        """The limits that guard a boundary, by name."""
        return {name: limit for name, limit in self.limits.items() if boundary in limit.boundary}


def load_limits(home: Path) -> Limits:
    """The shipped limits with the user's own choices from `limits.yaml` in the home.

    Args:
        home: The home folder; without a file there the shipped limits hold.

    Raises:
        LimitsError: The file cannot be read, or names a limit, table or boundary that does not exist.
    """
    file = home / FILE_NAME
    return merge(_shipped(), _read(file), str(file)) if file.exists() else _shipped()


def merge(shipped: Limits, chosen: object, where: str) -> Limits:
    """Limits with a user's choices laid over them.

    Args:
        shipped: What holds without choices.
        chosen: The document: `limits` (name to changed fields, or `off`), `quarantined_share`, `segments`.
        where: Name of the document, for messages.

    Raises:
        LimitsError: A name does not exist, or a value cannot be meant.
    """
    document = {} if chosen is None else chosen
    if not isinstance(document, Mapping):
        raise LimitsError(
            f"{where}: expected `limits:`, `quarantined_share:` or `segments:`, found {chosen!r}"
        )
    _known(document, ("limits", "quarantined_share", "segments"), "section", where)
    limits = {name: limit.model_dump(exclude_none=True) for name, limit in shipped.limits.items()}
    changes = _mapping(document.get("limits"), f"{where}: limits")
    _known(changes, limits, "limit", where)
    for name, change in changes.items():
        if change is False or change == "off":
            del limits[name]
        else:
            limits[name] |= _mapping(change, f"{where}: limits.{name}")
    share = shipped.quarantined_share.model_dump()
    own = _mapping(document.get("quarantined_share"), f"{where}: quarantined_share")
    tables = _mapping(own.get("tables"), f"{where}: quarantined_share.tables")
    share |= {**own, "tables": {**share["tables"], **tables}}
    of_segments = shipped.segments.model_dump()
    of_segments |= _mapping(document.get("segments"), f"{where}: segments")
    return _checked({"limits": limits, "quarantined_share": share, "segments": of_segments}, where)


@cache
def _shipped() -> Limits:
    return _checked(_read(SHIPPED), SHIPPED.name)


def _read(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LimitsError(f"{file} cannot be read as YAML: {error}") from error


def _checked(document: Any, where: str) -> Limits:
    try:
        limits = Limits.model_validate(document)
    except ValidationError as error:
        item = error.errors()[0]
        place = ".".join(str(part) for part in item["loc"])
        raise LimitsError(f"{where}: {place}: {item['msg']}") from error
    names = [boundary.suite for boundary in ALL_BOUNDARIES]
    for limit in limits.limits.values():
        _known(limit.boundary, names, "boundary", where)
    _known(limits.quarantined_share.tables, TABLES, "table", where)
    return limits


def _mapping(value: object, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise LimitsError(f"{where}: expected names with values, found {value!r}")
    return dict(value)


def _known(names: Iterable[object], known: Iterable[str], kind: str, where: str) -> None:
    """Refuse a name that does not exist, and say which one was probably meant."""
    choices = list(known)
    for name in names:
        if name in choices:
            continue
        near = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.0)
        raise LimitsError(f"{where}: there is no {kind} '{name}'; the nearest is '{near[0]}'")
