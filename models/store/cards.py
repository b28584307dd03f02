"""The card of a model version, written by the training run: what it is, learnt from what, judged how.

Only what the run found is said. No tracking here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.contracts import Candidate, Interval

PURPOSE: Mapping[str, str] = {
    "recommendation": "Ranks what a consumer may want next from a merchant's assortment.",
    "demand": "Forecasts weekly units of a category at a merchant, with quantiles.",
    "pricing": "Says how quantity answers to price, for suggested prices.",
    "supply": "Says which skus a merchant is likely to start to sell.",
    "lifecycle": "Says who is likely to leave, to come back, or to buy again, and what they are worth.",
}
"""What each family is for, in a sentence."""

_SHOWN_METRICS = 60


@dataclass(frozen=True)
class Provenance:
    """Where a version comes from.

    Attributes:
        data_version: Hash of the input tables.
        code_version: Hash of the code that trained it, and of the packages that it imports.
        as_of: Business time of the training, ISO 8601.
    """

    data_version: str
    code_version: str
    as_of: str


def card(candidate: Candidate, provenance: Provenance) -> str:
    """The card in Markdown.

    Args:
        candidate: What the training returned.
        provenance: Where it comes from.
    """
    decision = candidate.decision
    compared = [(f"best simple rule, {decision.baseline}", *_interval(decision.lift))]
    if decision.champion_lift is not None:
        compared.append(("standing champion", *_interval(decision.champion_lift)))
    parts = [
        f"# {candidate.name}",
        PURPOSE.get(candidate.family, ""),
        "## May it serve?",
        decision.reason,
        _table(("compared with", "difference (above 0 is better)", "95% interval"), compared),
        f"Deciding metric: {decision.metric}, {_number(decision.value)}; "
        f"{decision.baseline} has {_number(decision.baseline_value)}.",
        "\n".join(f"- {'holds' if one.holds else 'does not hold'}: {one.words}" for one in decision.judged),
        "## Learnt from",
        _table(
            ("", ""),
            [
                ("first and last day", f"{candidate.data_from:%Y-%m-%d} to {candidate.data_to:%Y-%m-%d}"),
                ("rows", f"{candidate.input_rows:,}"),
                ("as of", provenance.as_of),
                ("data version", f"`{provenance.data_version}`"),
                ("code version", f"`{provenance.code_version}`"),
            ],
        ),
        "## Metrics",
        _table(
            ("metric", "value"),
            [(name, _number(value)) for name, value in sorted(candidate.metrics.items())[:_SHOWN_METRICS]],
        ),
        "## Settings",
        f"```json\n{json.dumps(candidate.config, default=str, indent=1, sort_keys=True)}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _interval(found: Interval) -> tuple[str, str]:
    return _number(found.mean), f"{_number(found.low)} to {_number(found.high)}"


def _number(value: float) -> str:
    return "not measured" if math.isnan(value) else f"{value:.4g}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
