"""The steps of a price as sentences: the published explanation has codes and numbers, people get words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.report.formats import amount, decimal, percent, plain_name, signed_percent

Step = Mapping[str, Any]


def sentence(step: Step, currency: str) -> str:
    """What a step of an explanation says.

    Args:
        step: `step`, `before_cents`, `after_cents` and the numbers of that step (`docs/api.md`).
        currency: ISO code of the amounts.

    Returns:
        The name of the step and its sentence; the name alone where nothing more is known of it.
    """
    name = plain_name(step["step"])
    words = _WORDS.get(step["step"])
    try:
        said = words(step, lambda cents: amount(cents, currency)) if words else ""
    except KeyError:  # an explanation of another release, with other numbers
        said = ""
    return f"{name}: {said}" if said else name


def _anchor(step: Step, _: Callable[[int], str]) -> str:
    if step["rule"] == "cost_plus":
        return f"no promoted elasticity model: cost plus {percent(step['markup'], 0)}"
    return (
        f"index: markup {decimal(step['markup'], 2)}, scarcity {decimal(step['scarcity'], 2)}, competitor "
        f"against market {decimal(step['competitor_ratio'], 2)}, elasticity {decimal(step['elasticity'], 2)}"
    )


def _policy(step: Step, _: Callable[[int], str]) -> str:
    if step["rule"] == "anchor":
        return "cost plus is the target"
    return f"best expected profit on the ladder, {step['rule']}"


def _ceiling(step: Step, money: Callable[[int], str]) -> str:
    above = f"list price {money(step['list_price_cents'])} plus {percent(step['ceiling_bps'] / 10_000, 0)}"
    return f"the floor lies above {above} and is the ceiling, too" if step["is_lifted_to_floor"] else above


def _asks(step: Step, money: Callable[[int], str]) -> str:
    below = step["cause"] != "above_ceiling"
    where = "below the floor of" if below else "above the ceiling of"
    said = (
        f"the price in force, {money(step['current_cents'])}, lies {where} {money(step['limit_cents'])}; "
        f"the next price inside is a move of {signed_percent(step['move_bps'] / 10_000)}"
    )
    if step["cause"] == "cost_jumped":
        before, now = money(step["cost_at_change_cents"]), money(step["cost_cents"])
        said += f"; since the price last changed the cost went from {before} to {now}: look at the cost first"
    return said


def _turnover(step: Step, money: Callable[[int], str]) -> str:
    said = (
        f"turnover {percent(step['turnover_rate'])} in {step['window_days']} days is low, "
        f"{step['on_hand_qty']} units in stock"
    )
    if step["days_to_clear_now"] is None:
        return f"{said}; nothing was sold"
    cuts = [
        f"{percent(cut['cut_bps'] / 10_000, 0)} off clears in {decimal(cut['days_to_clear'], 0)} days and "
        f"gives up {money(cut['margin_cost_cents'])}{' (below the floor)' if cut['is_below_floor'] else ''}"
        for cut in step["cuts"]
    ]
    return "; ".join([f"{said}; they clear in {decimal(step['days_to_clear_now'], 0)} days", *cuts])


_WORDS: Mapping[str, Callable[[Step, Callable[[int], str]], str]] = {
    "anchor": _anchor,
    "policy": _policy,
    "quality_brake": lambda step, money: "the quality brake limits the sku: its price is not cut",
    "fixed": lambda step, money: "the merchant fixed the price",
    "law": lambda step, money: "legal maximum or minimum advertised price",
    "floor": lambda step, money: (
        f"cost plus the least margin of {percent(step['min_margin_bps'] / 10_000, 0)}"
    ),
    "ceiling": _ceiling,
    "step": lambda step, money: f"at most {percent(step['most_bps'] / 10_000, 0)} a change",
    "week_step": lambda step, money: f"at most {percent(step['most_bps'] / 10_000, 0)} in 7 days",
    "dwell": lambda step, money: (
        f"a price stands at least {step['days']} days; this one: {decimal(step['days_since_change'], 1)}"
    ),
    "rounding": lambda step, money: "price ending",
    "change_budget": lambda step, money: (
        f"at most {percent(step['most_bps'] / 10_000, 0)} of a category's listings change in one run"
    ),
    "asks": _asks,
    "turnover": _turnover,
}
