"""When a value changes by the mere passing of time: due rules derived from a definition's expression.

A definition reads the clock through two names: `age_us` (microseconds between a row's event and the moment)
and `as_of` (the moment itself). Every use of them must match a rule below; the rule says at which instant the
value may change next while the rows stay as they are. `waits_of` walks an expression and collects those
instants as SQL for "microseconds from now on, null for never". What no rule understands is refused, because
nobody could tell when such a value has to be computed again.

Pure functions over syntax trees; `feature_store.compiler` puts the result into the statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from sqlglot import exp

from feature_store.language.expressions import DAY_US, has_aggregate

MIDNIGHT = "__us_to_midnight__"
"""Stands in the SQL for the microseconds from the moment to the next local midnight."""

CLOCK_CHANGE = "__us_of_clock_change__"
"""Stands in the SQL for how much shorter than whole days local days may be together (daylight saving)."""

REMEDY = (
    "write it as a window, whole_days(age_us), age_us // n, a comparison of age_us or as_of with something "
    "that stands still, local_date(as_of), or EXTRACT(YEAR | MONTH | DAY FROM as_of)"
)

_CALENDAR = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR")
_KEEPS_AGE = (exp.Min, exp.Max, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.First, exp.Last)


class Kind(Enum):
    """How a value moves while the rows stay as they are."""

    STILL = auto()
    """Not at all, or only at instants that have been collected."""
    AGE = auto()
    """It grows with the clock from 0 on, in microseconds."""
    SHIFTED_AGE = auto()
    """It grows with the clock, in microseconds; it may be negative."""
    MOMENT = auto()
    """It is the moment itself."""
    LOCAL_DAY = auto()
    """The local day of the moment."""
    DAY_COUNT = auto()
    """Whole days that grow by one at each local midnight."""


_AGES = (Kind.AGE, Kind.SHIFTED_AGE)


class ClockUseError(ValueError):
    """No rule says when an expression changes."""


@dataclass(frozen=True)
class Wait:
    """An instant at which an expression may change.

    Attributes:
        value: SQL expression: microseconds until then (positive where `when` holds).
        when: Conditions under which it will change at all.
    """

    value: exp.Expression
    when: tuple[exp.Expression, ...] = ()

    def guarded(self, conditions: tuple[exp.Expression, ...]) -> Wait:
        """The same, only where further conditions hold, none of which moves with the clock."""
        return Wait(self.value, (*self.when, *conditions))

    def covers(self, other: Wait) -> bool:
        """Whether it comes whenever the other does."""
        return self.value == other.value and set(self.when) <= set(other.when)

    @property
    def is_aggregate(self) -> bool:
        """Whether it is read from aggregates, not from a row."""
        return any(
            not isinstance(node.parent, exp.Window) and not _in_windowed_filter(node)
            for part in (self.value, *self.when)
            for node in part.find_all(exp.AggFunc)
        )

    @property
    def condition(self) -> exp.Expression | None:
        """All conditions as one, or None."""
        return exp.and_(*(c.copy() for c in self.when)) if self.when else None


@dataclass
class _Collector:
    kinds: Mapping[str, Kind]
    waits: list[Wait] = field(default_factory=list)


def waits_of(tree: exp.Expression, kinds: Mapping[str, Kind]) -> tuple[Kind, list[Wait]]:
    """How the value of an expression moves, and when it changes next.

    Args:
        tree: A checked expression in the function language.
        kinds: How the columns it reads move; a column that is not listed stands still.

    Raises:
        ClockUseError: It reads the clock in a way that no rule understands.
    """
    collector = _Collector(kinds)
    kind = _visit(tree, collector)
    return kind, collector.waits


def settled_waits(tree: exp.Expression, kinds: Mapping[str, Kind]) -> list[Wait]:
    """The waits of an expression whose value must stand still between them.

    Raises:
        ClockUseError: It reads the clock in a way that no rule understands, or moves all the time.
    """
    collector = _Collector(kinds)
    _settle(tree, collector)
    return collector.waits


def lasting_conditions(tree: exp.Expression, kinds: Mapping[str, Kind]) -> tuple[exp.Expression, ...]:
    """The parts of a conjunction that, once they do not hold, never hold again while the rows stay."""
    return tuple(part for part in _conjunction(tree) if _is_lasting(part, kinds))


def _in_windowed_filter(node: exp.Expression) -> bool:
    return isinstance(node.parent, exp.Filter) and isinstance(node.parent.parent, exp.Window)


def _number(value: int) -> exp.Expression:
    return exp.Literal.number(value)


def _sub(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return exp.Sub(this=exp.paren(left.copy()), expression=exp.paren(right.copy()))


def _add(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return exp.Add(this=exp.paren(left.copy()), expression=exp.paren(right.copy()))


def _whole(value: exp.Expression, rounding: str) -> exp.Expression:
    if isinstance(value, exp.Literal) and value.is_int:
        return value.copy()
    if isinstance(value, exp.Anonymous) and value.name.lower() == "days_us":
        return value.copy()
    return exp.cast(exp.func(rounding, value.copy()), "BIGINT")


def _conjunction(tree: exp.Expression) -> list[exp.Expression]:
    tree = tree.unnest()
    if isinstance(tree, exp.And):
        return [*_conjunction(tree.this), *_conjunction(tree.expression)]
    if isinstance(tree, exp.Between):
        low = exp.GTE(this=tree.this.copy(), expression=tree.args["low"].copy())
        return [low, exp.LTE(this=tree.this.copy(), expression=tree.args["high"].copy())]
    return [tree]


def _is_still(tree: exp.Expression, kinds: Mapping[str, Kind]) -> bool:
    probe = _Collector(kinds)
    try:
        return _visit(tree, probe) is Kind.STILL and not probe.waits
    except ClockUseError:
        return False


def _is_lasting(tree: exp.Expression, kinds: Mapping[str, Kind]) -> bool:
    """It stands still, or is an age below a bound."""
    if _is_still(tree, kinds):
        return True
    match tree:
        case exp.LT() | exp.LTE():
            young, bound = tree.this, tree.expression
        case exp.GT() | exp.GTE():
            young, bound = tree.expression, tree.this
        case _:
            return False
    try:
        kind, waits = waits_of(young, kinds)
    except ClockUseError:
        return False
    return kind in _AGES and not waits and _is_still(bound, kinds)


def _visit(node: exp.Expression, into: _Collector) -> Kind:
    match node:
        case exp.Paren():
            return _visit(node.this, into)
        case exp.Column():
            return into.kinds.get(node.name, Kind.STILL)
        case exp.And() | exp.Between():
            return _all_of(node, into)
        case exp.Filter():
            return _filtered(node, into)
        case exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            return _comparison(node, into)
        case exp.Is() if isinstance(node.expression, exp.Null):
            _visit(node.this, into)
            return Kind.STILL
        case exp.Count():
            for child in _children(node):
                _visit(child, into)
            return Kind.STILL
        case exp.Distinct():
            return _same(node.expressions, into)
        case exp.Ordered():
            return _ignored_order(node.this, into)
        case exp.Window():
            return _window(node, into)
        case exp.ArgMin() | exp.ArgMax():
            _ignored_order(node.expression, into)
            return _visit(node.this, into)
        case exp.Case() | exp.If() | exp.Coalesce() | exp.Greatest() | exp.Least():
            return _branches(node, into)
        case exp.Add() | exp.Sub():
            return _shifted(node, into)
        case exp.IntDiv():
            return _periods(node, into)
        case exp.DateDiff():
            return _days_between(node, into)
        case exp.Extract() | exp.TimestampTrunc() | exp.DateTrunc():
            return _calendar(node, into)
        case exp.Cast():
            return _cast(node, into)
        case exp.Anonymous():
            return _call(node, into)
        case _ if isinstance(node, _KEEPS_AGE):
            kind = _visit(node.this, into)
            if kind in _AGES:
                return kind
            return _settle_kind(node.this, kind, into)
        case _:
            for child in _children(node):
                _settle(child, into)
            return Kind.STILL


def _children(node: exp.Expression) -> list[exp.Expression]:
    return [child for child in node.iter_expressions() if isinstance(child, exp.Expression)]


def _settle(node: exp.Expression, into: _Collector) -> Kind:
    return _settle_kind(node, _visit(node, into), into)


def _settle_kind(node: exp.Expression, kind: Kind, into: _Collector) -> Kind:
    """A value used in a way that has no rule of its own: only days may be, they change at midnight."""
    if kind in (Kind.LOCAL_DAY, Kind.DAY_COUNT):
        into.waits.append(Wait(exp.Var(this=MIDNIGHT)))
    elif kind is not Kind.STILL:
        raise ClockUseError(f"no rule says when {node.sql(dialect='duckdb')!r} changes; {REMEDY}")
    return Kind.STILL


def _same(nodes: list[exp.Expression], into: _Collector) -> Kind:
    """The common kind of several values; a null may stand anywhere."""
    kinds = {_visit(node, into) for node in nodes if not isinstance(node, exp.Null)}
    if kinds and kinds <= set(_AGES):
        return Kind.AGE if kinds == {Kind.AGE} else Kind.SHIFTED_AGE
    for node in nodes:
        if not isinstance(node, exp.Null) and kinds != {Kind.STILL}:
            _settle(node, into)
    return Kind.STILL


def _all_of(node: exp.Expression, into: _Collector) -> Kind:
    """A conjunction: what moves in one part matters only where the parts that stand still hold."""
    parts = _conjunction(node)
    lasting = [part for part in parts if _is_lasting(part, into.kinds)]
    for part in parts:
        inner = _Collector(into.kinds)
        _settle(part, inner)
        others = tuple(other for other in lasting if other is not part)
        into.waits += [wait.guarded(_same_level(wait, others)) for wait in inner.waits]
    return Kind.STILL


def _same_level(wait: Wait, conditions: tuple[exp.Expression, ...]) -> tuple[exp.Expression, ...]:
    """The conditions that can be asked where the wait is read; an unknown one may still turn out true."""
    return tuple(
        exp.func("COALESCE", condition.copy(), exp.true())
        for condition in conditions
        if has_aggregate(condition) == wait.is_aggregate
    )


def _filtered(node: exp.Filter, into: _Collector) -> Kind:
    """An aggregate over some rows: its own waits count for those rows, a moving condition has its own."""
    condition = node.expression.this
    lasting = lasting_conditions(condition, into.kinds)
    inner = _Collector(into.kinds)
    kind = _visit(node.this, inner)
    into.waits += [wait if wait.is_aggregate else wait.guarded(lasting) for wait in inner.waits]
    _settle(condition, into)
    return kind


def _ignored_order(node: exp.Expression, into: _Collector) -> Kind:
    """An order: rows that age together keep it."""
    for part in node.expressions if isinstance(node, exp.Tuple) else [node]:
        part = part.this if isinstance(part, exp.Neg) else part
        if _visit(part, into) not in (*_AGES, Kind.STILL):
            _settle(part, into)
    return Kind.STILL


def _window(node: exp.Window, into: _Collector) -> Kind:
    for child in node.args.get("partition_by") or []:
        _settle(child, into)
    order = node.args.get("order")
    for child in order.expressions if order is not None else []:
        _visit(child, into)
    inner = _Collector(into.kinds)
    kind = _visit(node.this, inner)
    if any(wait.is_aggregate for wait in inner.waits):
        raise ClockUseError(
            f"{node.sql(dialect='duckdb')!r} reads the clock inside a window function; compute it first, in "
            "a layer before"
        )
    into.waits += inner.waits
    return kind


def _branches(node: exp.Expression, into: _Collector) -> Kind:
    """CASE, COALESCE, GREATEST: conditions must stand still, values may all be ages."""
    match node:
        case exp.Case():
            conditions = [branch.this for branch in node.args["ifs"]]
            if node.this is not None:
                conditions.append(node.this)
            values = [branch.args["true"] for branch in node.args["ifs"]]
            values += [node.args["default"]] if node.args.get("default") is not None else []
        case exp.If():
            conditions = [node.this]
            values = [v for v in (node.args["true"], node.args.get("false")) if v is not None]
        case _:
            conditions, values = [], [node.this, *node.expressions]
    for condition in conditions:
        _settle(condition, into)
    return _same(values, into)


def _shifted(node: exp.Expression, into: _Collector) -> Kind:
    left, right = _visit(node.this, into), _visit(node.expression, into)
    if isinstance(node, exp.Sub) and left in _AGES and right in _AGES:
        return Kind.STILL
    if left in _AGES and right is Kind.STILL:
        return Kind.SHIFTED_AGE
    if isinstance(node, exp.Add) and left is Kind.STILL and right in _AGES:
        return Kind.SHIFTED_AGE
    _settle_kind(node.this, left, into)
    _settle_kind(node.expression, right, into)
    return Kind.STILL


_MIRRORED: dict[type[exp.Expression], type[exp.Expression]] = {
    exp.LT: exp.GT,
    exp.GT: exp.LT,
    exp.LTE: exp.GTE,
    exp.GTE: exp.LTE,
}


def _comparison(node: exp.Expression, into: _Collector) -> Kind:
    """`moving < bound` and `>=` turn when they meet; `<=` and `>` one step of the clock later."""
    left, right = node.this.unnest(), node.expression.unnest()
    kinds = _visit(left, into), _visit(right, into)
    operator = type(node)
    if kinds[0] is Kind.STILL and kinds[1] is not Kind.STILL:
        left, right, kinds, operator = right, left, (kinds[1], kinds[0]), _MIRRORED[operator]
    moving, bound = kinds
    meets = operator in (exp.LT, exp.GTE)
    if moving in _AGES and bound in _AGES:
        return Kind.STILL
    if bound is not Kind.STILL:
        _settle_kind(left, moving, into)
        _settle_kind(right, bound, into)
    elif moving in _AGES:
        turn = _whole(right, "CEIL") if meets else _add(_whole(right, "FLOOR"), _number(1))
        into.waits.append(Wait(_sub(turn, left), (exp.LT(this=left.copy(), expression=turn),)))
    elif moving is Kind.MOMENT:
        wait = _sub(_micros(exp.cast(right.copy(), "TIMESTAMP")), _micros(left))
        wait = wait if meets else _add(wait, _number(1))
        into.waits.append(Wait(wait, (exp.GT(this=exp.paren(wait.copy()), expression=_number(0)),)))
    elif moving is Kind.DAY_COUNT:
        turn = _whole(right, "CEIL") if meets else _add(_whole(right, "FLOOR"), _number(1))
        into.waits.append(
            _after_nights(_sub(turn, left)).guarded((exp.LT(this=left.copy(), expression=turn),))
        )
    else:
        _settle_kind(left, moving, into)
    return Kind.STILL


def _after_nights(nights: exp.Expression) -> Wait:
    """The local midnight after so many nights (1: the next one).

    Days are shorter when the clocks are put forward meanwhile: rather too early than too late.
    """
    more = exp.Mul(this=exp.paren(_sub(nights, _number(1))), expression=_number(DAY_US))
    early = exp.Case().when(exp.LTE(this=exp.paren(nights.copy()), expression=_number(1)), _number(0))
    early = early.else_(_sub(more, exp.Var(this=CLOCK_CHANGE)))
    return Wait(_add(exp.Var(this=MIDNIGHT), early))


def _micros(time: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this="EPOCH_US", expressions=[time.copy()])


def _next_step(age: exp.Expression, factor: int, step: exp.Expression) -> Wait:
    """When `age * factor // step` grows by one: at the first age whose product reaches the next multiple."""
    step = exp.cast(step.copy(), "BIGINT")
    product = age if factor == 1 else exp.Mul(this=exp.paren(age.copy()), expression=_number(factor))
    done = exp.paren(exp.IntDiv(this=exp.paren(product.copy()), expression=exp.paren(step.copy())))
    target: exp.Expression = exp.Mul(
        this=exp.paren(_add(done, _number(1))), expression=exp.paren(step.copy())
    )
    if factor != 1:
        target = exp.IntDiv(this=exp.paren(_add(target, _number(factor - 1))), expression=_number(factor))
    return Wait(_sub(target, age))


def _periods(node: exp.IntDiv, into: _Collector) -> Kind:
    """`age_us // step` and `age_us * n // step`, the step standing still and above 0."""
    top, step = node.this.unnest(), node.expression.unnest()
    factor = 1
    if isinstance(top, exp.Mul):
        for number, other in ((top.expression, top.this), (top.this, top.expression)):
            if isinstance(number, exp.Literal) and number.is_int:
                factor, top = int(number.name), other.unnest()
                break
    if _visit(top, into) is Kind.AGE and _visit(step, into) is Kind.STILL and factor > 0:
        into.waits.append(_next_step(top, factor, step))
        return Kind.STILL
    _settle(node.this, into)
    _settle(step, into)
    return Kind.STILL


def _days_between(node: exp.DateDiff, into: _Collector) -> Kind:
    later, earlier = _visit(node.this, into), _visit(node.expression, into)
    if node.text("unit").upper() == "DAY" and later is Kind.LOCAL_DAY and earlier is Kind.STILL:
        return Kind.DAY_COUNT
    unit = node.text("unit").upper()
    for side, kind in ((node.this, later), (node.expression, earlier)):
        if kind is Kind.MOMENT and unit in _CALENDAR:
            into.waits.append(_next_calendar(unit, side))
        else:
            _settle_kind(side, kind, into)
    return Kind.STILL


def _next_calendar(unit: str, moment: exp.Expression) -> Wait:
    return Wait(_sub(_micros(_calendar_end(unit, moment)), _micros(moment)))


def _calendar_end(unit: str, time: exp.Expression) -> exp.Expression:
    """The first instant of the next year, quarter, month, ..."""
    start = exp.cast(exp.TimestampTrunc(this=time.copy(), unit=exp.var(unit)), "TIMESTAMP")
    months = {"QUARTER": 3, "MONTH": 1, "YEAR": 12}.get(unit)
    length = exp.Literal.string(str(months or 1))
    step = exp.Interval(this=length, unit=exp.var("MONTH" if months else unit))
    return exp.Add(this=start, expression=step)


def _calendar(node: exp.Expression, into: _Collector) -> Kind:
    """A part of the moment's date in UTC, or of the local day."""
    if isinstance(node, exp.Extract):
        unit, read = node.this.name.upper(), node.expression
    else:
        unit, read = node.text("unit").upper(), node.this
    kind = _visit(read, into)
    if kind is Kind.MOMENT and unit in _CALENDAR:
        into.waits.append(_next_calendar(unit, read))
        return Kind.STILL
    if kind is Kind.LOCAL_DAY and unit in _CALENDAR and unit != "HOUR":
        nights = exp.DateDiff(this=_calendar_end(unit, read), expression=read.copy(), unit=exp.var("DAY"))
        into.waits.append(_after_nights(nights))
        return Kind.STILL
    return _settle_kind(read, kind, into)


def _cast(node: exp.Cast, into: _Collector) -> Kind:
    kind = _visit(node.this, into)
    target = node.to.sql(dialect="duckdb").upper()
    if kind in _AGES and target == "BIGINT":
        return kind
    if kind is Kind.LOCAL_DAY and target == "DATE":
        return kind
    if kind is Kind.MOMENT and target == "DATE":
        into.waits.append(_next_calendar("DAY", node.this))
        return Kind.STILL
    return _settle_kind(node, kind, into)


def _call(node: exp.Anonymous, into: _Collector) -> Kind:
    """The function language, and functions the translator leaves as they are."""
    name = node.name.lower()
    if name == "whole_days":
        argument = node.expressions[0].unnest()
        if _visit(argument, into) is Kind.AGE:
            into.waits.append(_next_step(argument, 1, _number(DAY_US)))
            return Kind.STILL
    if name == "local_date" and _visit(node.expressions[0], into) is Kind.MOMENT:
        return Kind.LOCAL_DAY
    for argument in node.expressions:
        _settle(argument, into)
    return Kind.STILL
