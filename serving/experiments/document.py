"""What an experiment says: its units, its arms and what each means, its metric. Pure.

Prices are never tested by consumer: a consumer-specific price would be price discrimination. They are tested
by sku or by merchant, so that everybody sees one price.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from models.experiments.assignment import FULL_BPS
from serving.experiments.errors import ExperimentRefusedError

Surface = Literal["recommendations", "prices", "coupons"]
Unit = Literal["consumer", "sku", "merchant"]
Metric = Literal["ordered", "returned", "spend_cents", "margin_cents", "units"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Days = Annotated[int, Field(ge=1, le=90)]
Share = Annotated[int, Field(ge=1, le=FULL_BPS)]

SHARES: frozenset[Metric] = frozenset({"ordered", "returned"})
"""Metrics that a unit has or has not; the others are means over units."""
WORSE_WHEN_HIGHER: frozenset[Metric] = frozenset({"returned"})
"""Metrics of which more is worse."""
_METRICS: Mapping[Unit, frozenset[Metric]] = {
    "consumer": frozenset({"ordered", "returned", "spend_cents", "margin_cents"}),
    "sku": frozenset({"spend_cents", "margin_cents", "units"}),
    "merchant": frozenset({"spend_cents", "margin_cents", "units"}),
}
_UNITS: Mapping[Surface, frozenset[Unit]] = {
    "recommendations": frozenset({"consumer"}),
    "coupons": frozenset({"consumer"}),
    "prices": frozenset({"sku", "merchant"}),
}
_LEVERS: Mapping[Surface, frozenset[str]] = {
    "recommendations": frozenset({"list", "session", "version"}),
    "coupons": frozenset({"programme_id"}),
    "prices": frozenset({"price"}),
}


class Part(BaseModel):
    """Base of everything in a document: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Arm(Part):
    """An arm; what is not said is as it is without an experiment.

    Attributes:
        name: Its name.
        share_bps: Its share of the experiment's units, basis points.
        list: Recommendations: the consumer's own list, or what is popular at the merchant.
        session: Recommendations: whether what the consumer just did orders the list.
        version: Recommendations: the published version whose list is shown.
        price: Prices: what is published is let go, or held back: then the price in force stays.
        programme_id: Coupons: the programme of which its consumers get a code.
    """

    name: Name
    share_bps: Share
    list: Literal["own", "popular"] | None = None
    session: bool | None = None
    version: Id | None = None
    price: Literal["let_go", "hold"] | None = None
    programme_id: Id | None = None

    @property
    def levers(self) -> frozenset[str]:
        """What it changes."""
        names = ("list", "session", "version", "price", "programme_id")
        return frozenset(name for name in names if getattr(self, name) is not None)


class Experiment(Part):
    """An experiment.

    Attributes:
        experiment_id: Its id for ever; salt of its arms.
        title: For people.
        surface: What the arms change.
        unit: Who or what is assigned.
        layer: Experiments of one layer share its units; layers are independent.
        traffic_bps: Part of the layer's units that it takes, basis points.
        arms: Two to five; the first is what the others are compared with.
        metric: What decides.
        guardrail: What must not get worse: the experiment then stops by itself.
        metric_days: Days after the exposure, and before it, over which a unit is measured.
        runs_days: Days after the start when it stops by itself.
    """

    experiment_id: Name
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    surface: Surface
    unit: Unit
    layer: Name
    traffic_bps: Share = FULL_BPS
    arms: Annotated[list[Arm], Field(min_length=2, max_length=5)]
    metric: Metric
    guardrail: Metric | None = None
    metric_days: Days = 14
    runs_days: Annotated[int, Field(ge=1, le=365)] = 28

    @property
    def weights(self) -> tuple[tuple[str, int], ...]:
        """Arms in their order with their shares."""
        return tuple((arm.name, arm.share_bps) for arm in self.arms)

    def arm(self, name: str) -> Arm:
        """The arm of a name."""
        return next(arm for arm in self.arms if arm.name == name)

    @model_validator(mode="after")
    def _makes_sense(self) -> Experiment:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError("two arms have one name")
        if sum(arm.share_bps for arm in self.arms) != FULL_BPS:
            raise ValueError(f"the shares of the arms must sum to {FULL_BPS} basis points")
        if self.surface == "prices" and self.unit == "consumer":
            raise ValueError(
                "prices are never tested by consumer: everybody sees one price; take sku or merchant"
            )
        if self.unit not in _UNITS[self.surface]:
            raise ValueError(f"{self.surface} are tested by {' or '.join(sorted(_UNITS[self.surface]))}")
        for arm in self.arms:
            if strange := sorted(arm.levers - _LEVERS[self.surface]):
                raise ValueError(f"arm {arm.name}: {', '.join(strange)} is no lever of {self.surface}")
            if arm.list == "popular" and (arm.version is not None or arm.session is not None):
                raise ValueError(f"arm {arm.name}: what is popular has neither version nor session")
        meanings = [arm.model_dump(exclude={"name", "share_bps"}) for arm in self.arms]
        if all(meaning == meanings[0] for meaning in meanings):
            raise ValueError("all arms mean the same: say what differs")
        for metric in (self.metric, self.guardrail):
            if metric is not None and metric not in _METRICS[self.unit]:
                known = ", ".join(sorted(_METRICS[self.unit]))
                raise ValueError(f"{metric} is no metric of a {self.unit}; there are {known}")
        if self.guardrail == self.metric:
            raise ValueError("the guardrail is the metric itself: leave it out")
        return self


def load(document: Mapping[str, Any]) -> Experiment:
    """An experiment of a good shape.

    Raises:
        ExperimentRefusedError: With every reason.
    """
    try:
        return Experiment.model_validate_json(json.dumps(document))
    except ValidationError as error:
        reasons = [
            ".".join(map(str, found["loc"])) + ": " * bool(found["loc"]) + found["msg"]
            for found in error.errors(include_url=False, include_context=False)
        ]
        raise ExperimentRefusedError("the experiment is refused: " + "; ".join(reasons)) from error


def digest(experiment: Experiment) -> str:
    """sha256 of the canonical document."""
    text = json.dumps(experiment.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
