"""The grade of a member, by activity and spend. Pure; everybody may read the rule.

Source: the papers grade members of communities by activity and spend; the lines are assumed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

Grade = Literal["core", "active", "quiet"]

WINDOW = timedelta(days=90)
"""Over which a member is graded, up to now. Source: assumed."""
CORE_CENTS = 50_000
"""Spend in the window from which a member is of the core, fen. Source: assumed."""
CORE_ACTS = 6
"""Orders and texts in the window from which a member who ordered is of the core. Source: assumed."""


def grade_of(orders: int, texts: int, spent_cents: int) -> Grade:
    """How a member stands.

    Args:
        orders: Orders of the window that were paid and not refunded.
        texts: Texts about goods or the shop that the member wrote in the window.
        spent_cents: What those orders brought, fen.

    Returns:
        `core`: spent much, or orders and takes part; `active`: did either; `quiet`: did neither.
    """
    if orders and (spent_cents >= CORE_CENTS or orders + texts >= CORE_ACTS):
        return "core"
    return "active" if orders or texts else "quiet"
