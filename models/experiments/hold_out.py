"""The universal hold-out: whom nothing of marketing reaches for a quarter, to tell what all of it does.

Source: Kohavi, Tang, Xu (2020), Trustworthy Online Controlled Experiments, ch. 23.
"""

from __future__ import annotations

from datetime import date

from models.experiments.assignment import FULL_BPS, draw

UNIVERSAL_BPS = 500
"""Share of all consumers who are left alone in a quarter, in basis points."""


def quarter(day: date) -> str:
    """The quarter of a day, such as `2026Q4`."""
    return f"{day.year}Q{(day.month + 2) // 3}"


def is_held_out(tenant_id: str, consumer_id: str, day: date) -> bool:
    """Whether a consumer is left alone in the quarter of a local day."""
    return draw(tenant_id, "universal", quarter(day), consumer_id) * FULL_BPS < UNIVERSAL_BPS
