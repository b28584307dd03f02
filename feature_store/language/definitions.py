"""The shape of one registry entry: parameter, source, rollup, tag. Checks that need one entry only.

What entries must satisfy together (known columns, no duplicates, no cycles) is in
`feature_store.registry.checks`.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from feature_store.contracts import RefreshClass, TagType
from feature_store.language import expressions

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]
Group = Literal[
    "identity_demographic",
    "rfm_value",
    "category_brand",
    "price_promotion",
    "time_channel",
    "lifecycle",
    "behaviour_session",
    "social_referral_distribution",
    "membership_points",
    "service_complaint",
    "logistics",
    "contact_fatigue",
    "predicted",
    "sales",
    "service",
    "demand",
    "earnings",
    "grades",
]
ColumnType = Literal["VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMPTZ"]


def _expression(snippet: str) -> str:
    tree = expressions.parse(snippet)
    if unknown := expressions.unknown_functions(tree):
        raise ValueError(f"unknown function(s) {sorted(unknown)}")
    if wrong := expressions.wrong_arguments(tree):
        raise ValueError("; ".join(wrong))
    return snippet


def _aggregate(snippet: str) -> str:
    tree = expressions.parse(_expression(snippet))
    if not expressions.has_aggregate(tree) or expressions.has_window(tree):
        raise ValueError(f"must be an aggregate without window functions: {snippet!r}")
    if loose := expressions.columns_outside_aggregates(tree) - {"as_of"}:
        raise ValueError(f"column(s) {sorted(loose)} are read outside an aggregate: {snippet!r}")
    return snippet


def _row_expression(snippet: str) -> str:
    tree = expressions.parse(_expression(snippet))
    if expressions.has_aggregate(tree) or expressions.has_window(tree):
        raise ValueError(f"must be an expression of one row, without aggregates or windows: {snippet!r}")
    return snippet


def _layer_expression(snippet: str) -> str:
    if expressions.has_aggregate(expressions.parse(_expression(snippet))):
        raise ValueError(f"an aggregate needs an OVER clause here: {snippet!r}")
    return snippet


Aggregate = Annotated[str, AfterValidator(_aggregate)]
RowExpression = Annotated[str, AfterValidator(_row_expression)]
LayerExpression = Annotated[str, AfterValidator(_layer_expression)]
Window = Annotated[str, Field(pattern=r"^([1-9][0-9]*[dh]|as_of|lifetime|static)$")]
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]*[dh]$")]


def duration_us(window: str) -> int | None:
    """Microseconds of a window such as `90d` or `24h`; None for `as_of`, `lifetime`, `static`."""
    match = re.fullmatch(r"([1-9][0-9]*)([dh])", window)
    if match is None:
        return None
    return int(match[1]) * (expressions.DAY_US if match[2] == "d" else expressions.DAY_US // 24)


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameter(_Entry):
    """A number or pattern of the definitions that a deployment may change; a change raises the version."""

    name: Name
    value: int | float | str
    version: Annotated[int, Field(ge=1)]
    description: Text


class Join(_Entry):
    """A table joined to a source row by equality of one column; its attributes count as timeless."""

    table: Text
    key: Name
    columns: dict[Name, ColumnType]


class Source(_Entry):
    """A table with one row an event of an entity.

    Attributes:
        name: What definitions call it.
        table: Qualified table name in the warehouse.
        entity: Column with the entity's id.
        time: Column with the event time; rows later than `as_of` are invisible.
        received: Column with the receive time; rows received later than `as_of` are invisible. Null where
            the table has none: the event time then stands for it.
        superseded: Column with the time at which a newer version of the row came, null on the newest; a
            version is visible until then. Null where the table has no versions.
        columns: Columns that definitions may read, with their types.
        joins: Tables joined before anything else.
        where: Which rows count.
        embedded_origin: Where the rows come from in the embedded data.
        defines_population: Whether its entities belong to the population.
        description: Catalogue text.
    """

    name: Name
    table: Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z_]+$")]
    entity: Name
    time: Name
    received: Name | None
    superseded: Name | None = None
    columns: dict[Name, ColumnType]
    joins: tuple[Join, ...] = ()
    where: RowExpression | None = None
    embedded_origin: Literal["observed", "overlay"]
    defines_population: bool = False
    description: Text

    @cached_property
    def readable(self) -> set[str]:
        """Columns an expression over this source may read."""
        joined = {column for join in self.joins for column in join.columns}
        return set(self.columns) | joined | {"as_of", "event_at", "age_us"}


class Measure(_Entry):
    """An aggregate of a rollup; `within` narrows it to a shorter window than the rollup's."""

    value: Aggregate
    within: Duration | None = None


class Layer(_Entry):
    """Columns added to a rollup after grouping; a later layer may read an earlier one.

    Windows run over the rows of one entity, or of all entities when `scope` is `population`.
    """

    scope: Literal["entity", "population"] = "entity"
    columns: dict[Name, LayerExpression]


class Rollup(_Entry):
    """A source (or rollup) regrouped before tags aggregate it; without `measures` the rows stay.

    Attributes:
        name: What definitions call it.
        source: The source or rollup it reads.
        window: Only rows younger than this count (where the source has `age_us`).
        where: Which rows count.
        explode: Each row is repeated once a value; name to values.
        compute: Columns computed a row before grouping.
        group_by: Grouping columns besides the entity; none makes one row an entity.
        measures: Aggregates of a group.
        layers: Columns added after grouping.
        description: Catalogue text.
    """

    name: Name
    source: Name
    window: Window
    where: RowExpression | None = None
    explode: dict[Name, list[int]] = Field(default_factory=dict)
    compute: dict[Name, RowExpression] = Field(default_factory=dict)
    group_by: tuple[Name, ...] = ()
    measures: dict[Name, Measure] = Field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    description: Text

    @model_validator(mode="after")
    def _grouped_or_not(self) -> Self:
        if self.group_by and not self.measures:
            raise ValueError("group_by needs measures")
        if len(self.explode) > 1:
            raise ValueError("explode takes one column")
        return self


class Definition(_Entry):
    """How a tag is computed: an aggregate over a source, or an expression over other tags.

    Attributes:
        source: Source or rollup of an aggregate.
        value: The aggregate; the tag's window becomes its FILTER.
        where: Which rows count.
        derived: An expression over other tags of the same entity and moment.
        population: The same, with window functions over all entities of that moment.
    """

    source: Name | None = None
    value: Aggregate | None = None
    where: RowExpression | None = None
    derived: RowExpression | None = None
    population: LayerExpression | None = None

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        shapes = [self.source is not None, self.derived is not None, self.population is not None]
        if sum(shapes) != 1:
            raise ValueError("exactly one of source, derived, population must be given")
        if (self.source is None) != (self.value is None):
            raise ValueError("source and value belong together")
        if self.where is not None and self.source is None:
            raise ValueError("where belongs to a source")
        return self


class Valid(_Entry):
    """What a non-null value may be: a range (inclusive), a list of values, or a pattern of the whole text."""

    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] | None = None
    pattern: str | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        if self.pattern is not None:
            re.compile(self.pattern)
        return self


class Tag(_Entry):
    """One tag. Field by field: see `docs/features.md`."""

    name: Name
    group: Group
    type: TagType
    unit: Text
    window: Window
    definition: Definition
    owner: Text
    null_rule: Literal["null", "zero", "false", "unknown"]
    valid: Valid
    refresh: RefreshClass
    privacy: Literal["behavioural", "personal", "sensitive"]
    consent: Literal["service", "marketing", "profiling"]
    description: Text

    @model_validator(mode="after")
    def _fits_type(self) -> Self:
        number = self.type in (TagType.INT, TagType.DECIMAL)
        text = self.type in (TagType.ENUM, TagType.TEXT)
        fitting = {
            "null": True,
            "zero": number,
            "false": self.type is TagType.BOOL,
            "unknown": text,
        }
        if not fitting[self.null_rule]:
            raise ValueError(f"null_rule {self.null_rule!r} does not fit type {self.type.value!r}")
        if (self.valid.min is not None or self.valid.max is not None) != number:
            raise ValueError("valid.min or valid.max must be given for numbers, and for numbers only")
        if (self.valid.values is not None or self.valid.pattern is not None) != text:
            raise ValueError("valid.values or valid.pattern must be given for enum and text, and only there")
        if self.null_rule == "unknown" and self.valid.values and "unknown" not in self.valid.values:
            raise ValueError("null_rule 'unknown' needs 'unknown' among valid.values")
        return self

    @cached_property
    def inputs(self) -> set[str]:
        """Names that a derived or population expression reads; empty for an aggregate."""
        snippet = self.definition.derived or self.definition.population
        return expressions.columns_of(expressions.parse(snippet)) if snippet else set()
