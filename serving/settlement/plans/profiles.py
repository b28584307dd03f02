"""The plans that ship with the product. Plans of a tenant are rows in the database, not files."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from serving.settlement.plans.loader import load_plan, read_yaml
from serving.settlement.plans.plan import PlanVersion

ShippedPlan = Literal["cn_strict", "cn_two_level", "whitepaper_demo", "worked_20_8_25", "worked_25_10_25"]
SHIPPED_PLANS: tuple[ShippedPlan, ...] = get_args(ShippedPlan)
DEFAULT_PLAN: ShippedPlan = "cn_strict"


@cache
def shipped_text(name: ShippedPlan) -> str:
    """The YAML text of a shipped plan, for an operator to copy and adapt."""
    return files("serving.settlement.plans").joinpath("documents", f"{name}.yaml").read_text(encoding="utf-8")


def load_shipped(
    name: ShippedPlan = DEFAULT_PLAN,
    *,
    plan_id: str | None = None,
    version: int | None = None,
    published_at: datetime | None = None,
    effective_at: datetime | None = None,
    legal_review: str | None = None,
) -> PlanVersion:
    """A shipped plan as a validated version; what is given replaces the file's value.

    Raises:
        PlanRefusedError: as `load_plan`; `cn_two_level` ships without a legal review and needs one here.
    """
    document: dict[str, Any] = read_yaml(shipped_text(name))
    given = {
        "plan_id": plan_id,
        "version": version,
        "published_at": published_at,
        "effective_at": effective_at,
        "legal_review": legal_review,
    }
    return load_plan({**document, **{key: value for key, value in given.items() if value is not None}})
