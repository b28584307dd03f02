"""What an alternative is; the words that proposing, taking and showing share. No solver here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OptionKind = Literal["other_supplier", "other_warehouse", "faster", "transfer", "later_date"]


@dataclass(frozen=True, slots=True)
class Move:
    """A whole line goes to another supplier, or leaves from another warehouse of its own.

    Amounts against staying, days below 0 where it comes earlier. Of a `transfer` with the warehouse, and the
    days until its units are brought there; None: they lie there, or it is not counted where they lie.
    """

    order_id: str
    line_no: int
    sku_id: str
    qty: int
    from_supplier_id: str
    to_supplier_id: str
    cost_change_cents: int
    arrival_change_days: float | None
    to_warehouse_id: str | None = None
    brought_days: int | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """What could be done.

    Attributes:
        kind: `other_supplier` (cheapest), `other_warehouse` (cheapest from another region than the failed
            ones), `faster` (earliest, whatever it costs), `transfer` (from another warehouse of the same
            supplier), `later_date` (all stays).
        moves: Lines that go elsewhere.
        lines: Lines of the alarm.
        cost_change_cents: Stated cost of routing against staying, fen.
        arrival_change_days: Mean over the units, against staying and waiting; None where nobody knows how
            long waiting takes. Of `later_date` how much later than promised.
        is_takeable: Whether it can be done by one act; goods that left cannot be taken over.
    """

    kind: OptionKind
    moves: tuple[Move, ...]
    lines: int
    cost_change_cents: int
    arrival_change_days: float | None
    is_takeable: bool
