"""Settings of the lifecycle family: one frozen object a part, readable from JSON. No logic else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from models.errors import ModelError
from models.lifecycle.value import model as value_model
from models.lifecycle.value.model import ValueParams

CHURN, REBUY = "lifecycle_churn", "lifecycle_rebuy"
VALUE = value_model.NAME
MODELS = (CHURN, REBUY, VALUE)


@dataclass(frozen=True)
class FitParams:
    """How one booster is trained and calibrated; what the standing champion is compared by.

    Attributes:
        rounds: Boosting rounds.
        leaves: Leaves a tree.
        learning_rate: Shrinkage.
        min_rows_a_leaf: Least rows in a leaf.
        feature_share: Share of the features that a tree may use.
        l2: L2 penalty of the leaf values.
        training_origins: Labelled origins of one fit, at most.
        training_step_days: Distance of neighbouring training origins.
        rows_an_origin: Rows drawn from each training origin, at most.
        calibration: `platt` (two coefficients on the logit) or `isotonic`.
        calibration_cuts: Newest closed cuts whose out-of-time predictions fit the calibration.
    """

    rounds: int
    leaves: int
    learning_rate: float
    min_rows_a_leaf: int
    feature_share: float
    l2: float
    training_origins: int
    training_step_days: int
    rows_an_origin: int
    calibration: Literal["platt", "isotonic"]
    calibration_cuts: int

    def __post_init__(self) -> None:
        counts = (self.rounds, self.training_origins, self.training_step_days, self.rows_an_origin)
        if min(*counts, self.calibration_cuts) < 1 or self.leaves < 2:
            raise ValueError("FitParams: counts must be at least 1 and leaves at least 2")


@dataclass(frozen=True)
class TaskParams:
    """What is asked, of whom, and how the answer is backtested.

    Attributes:
        horizon_days: Length of the label window.
        test_cuts: Rolling test cuts, the last window ends at `as_of`; fewer where the data is short.
        cut_step_days: Distance of neighbouring cuts; windows overlap where the horizon is longer.
        min_history_days: History that the oldest training origin needs.
        min_consumers: Fewer consumers than this at a test cut refuse training.
        min_each_class: Fewer positives, or fewer negatives, at a test cut refuse training.
        fit: The fit.
    """

    horizon_days: int
    test_cuts: int
    cut_step_days: int
    min_history_days: int
    min_consumers: int
    min_each_class: int
    fit: FitParams

    def __post_init__(self) -> None:
        if self.test_cuts < 3:
            raise ValueError("TaskParams: test_cuts must be at least 3; fewer prove nothing")
        if min(self.horizon_days, self.min_history_days, self.cut_step_days) < 1:
            raise ValueError("TaskParams: horizon, history and step must be at least one day")


@dataclass(frozen=True)
class WakeupParams:
    """The wake-up list.

    Attributes:
        dormant_days: Whole days without an order that make a consumer dormant; the bound belongs to it.
        high_value_cents: Net spend in 365 days above this (not at it) makes a consumer high value.
        offer_threshold_cents: Basket value that the coupon asks for.
        offer_value_cents: Value of the coupon.
        offer_code: Coupon code, sent by message.
        high_value_offer_code: The same coupon, handed over by a person.
        response_rate: Assumed share of the consumers at risk that an offer brings back. An assumption until
            the control share has measured it.
        margin_share: Share of the net spend that is margin, where the effect of offers is measured.
        control_share: Share of the consumers that never get an offer.
        max_offers: Offers a list; further consumers stay listed without one.
        overdue_ratio: Recency above so many own mean gaps is called overdue.
        min_gaps: Gaps that a consumer's own rhythm needs.
    """

    dormant_days: int = 30
    high_value_cents: int = 500_000
    offer_threshold_cents: int = 19_900
    offer_value_cents: int = 5_000
    offer_code: str = "coupon-199-50"
    high_value_offer_code: str = "coupon-199-50-personal"
    response_rate: float = 0.1
    margin_share: float = 0.25
    control_share: float = 0.1
    max_offers: int = 20_000
    overdue_ratio: float = 2.0
    min_gaps: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.control_share < 1 or not 0 <= self.response_rate <= 1:
            raise ValueError("WakeupParams: control_share must lie in (0, 1), response_rate in [0, 1]")
        if self.dormant_days < 1 or self.max_offers < 0:
            raise ValueError("WakeupParams: dormant_days must be at least 1, max_offers 0 or more")


_CHURN = TaskParams(
    horizon_days=28,
    test_cuts=6,
    cut_step_days=28,
    min_history_days=84,
    min_consumers=50,
    min_each_class=5,
    fit=FitParams(
        rounds=80,
        leaves=8,
        learning_rate=0.05,
        min_rows_a_leaf=60,
        feature_share=0.5,
        l2=5.0,
        training_origins=10,
        training_step_days=14,
        rows_an_origin=20_000,
        calibration="platt",
        calibration_cuts=3,
    ),
)
_REBUY = TaskParams(
    horizon_days=14,
    test_cuts=3,
    cut_step_days=14,
    min_history_days=56,
    min_consumers=20,
    min_each_class=20,
    fit=FitParams(
        rounds=60,
        leaves=15,
        learning_rate=0.1,
        min_rows_a_leaf=100,
        feature_share=0.7,
        l2=5.0,
        training_origins=2,
        training_step_days=14,
        rows_an_origin=30_000,
        calibration="platt",
        calibration_cuts=3,
    ),
)


@dataclass(frozen=True)
class LifecycleConfig:
    """Everything that fixes training and scoring.

    Attributes:
        active_days: Churn is asked of consumers with an order in this window before the origin.
        min_purchases: Rebuy is asked of pairs of consumer and product type bought at least so often.
        top_reminders: Product types a consumer is reminded of, at most.
        threads: LightGBM threads; results do not depend on it. One: on trees this small a second thread waits
            more than it works, above all on a busy machine.
        churn: No order within the horizon.
        rebuy: The product type bought again within the horizon.
        wakeup: The wake-up list.
        value: Purchases and net spend to come.
    """

    active_days: int = 112
    min_purchases: int = 2
    top_reminders: int = 5
    threads: int = 1
    churn: TaskParams = field(default=_CHURN)
    rebuy: TaskParams = field(default=_REBUY)
    wakeup: WakeupParams = field(default=WakeupParams())
    value: ValueParams = field(default=ValueParams())

    def __post_init__(self) -> None:
        if self.min_purchases < 2:
            raise ValueError("LifecycleConfig: min_purchases below 2 leaves a pair without an interval")

    def task(self, name: str) -> TaskParams:
        """Settings of the model `lifecycle_churn` or `lifecycle_rebuy`."""
        return {CHURN: self.churn, REBUY: self.rebuy}[name]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> LifecycleConfig:
        """Read what `to_dict` wrote; missing keys take their defaults.

        Raises:
            ModelError: A key or value is unknown to this version.
        """
        values = dict(document)
        try:
            for name in ("churn", "rebuy"):
                if name in values:
                    task = dict(values[name])
                    values[name] = TaskParams(**{**task, "fit": FitParams(**task["fit"])})
            if "wakeup" in values:
                values["wakeup"] = WakeupParams(**values["wakeup"])
            if "value" in values:
                values["value"] = ValueParams(**values["value"])
            return LifecycleConfig(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"lifecycle settings cannot be read by this version ({error}); take the alias champion from "
                "the model that holds them"
            ) from error
