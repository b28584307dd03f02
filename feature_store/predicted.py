"""Tags of consumers that models predict: what serves says them, no definition in SQL does.

They stand in profiles beside the tags of the registry, with the model and version that said them, are
refreshed with the nightly scoring, and are withheld as soon as their consumer withdraws any purpose. No model
is run here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from feature_store.contracts import RefreshClass, TagField, TagType

CHURN, REBUY, ELASTICITY = "lifecycle_churn", "lifecycle_rebuy", "pricing_elasticity"
VALUE = "lifecycle_value"


@dataclass(frozen=True)
class PredictedTag:
    """A tag that a model says.

    Attributes:
        name: Name of the tag; the end says how far it looks.
        type: Type of its values.
        unit: Unit of its values.
        model: Registered name of the model.
        valid: Valid values, in words.
        description: Catalogue text.
        owner: Who answers for it.
        privacy: Privacy class.
    """

    name: str
    type: TagType
    unit: str
    model: str
    valid: str
    description: str
    owner: str = "data-science"
    privacy: Literal["behavioural", "personal", "sensitive"] = "behavioural"

    @property
    def field(self) -> TagField:
        """Its place in a profile document."""
        return TagField(
            name=self.name,
            type=self.type,
            unit=self.unit,
            refresh=RefreshClass.DAY,
            consent="profiling",
            is_predicted=True,
        )


def _by(name: str, model: str) -> PredictedTag:
    text = f"Model and version that said `{name}`; null for whom the model was not asked about."
    return PredictedTag(f"{name}_by", TagType.TEXT, "-", model, "any value", text)


PREDICTED = (
    PredictedTag(
        "churn_probability_28d",
        TagType.DECIMAL,
        "fraction",
        CHURN,
        "range 0..1",
        "Calibrated probability of no order in the next 28 days; null without an order in the model's active "
        "window.",
    ),
    _by("churn_probability_28d", CHURN),
    PredictedTag(
        "rebuy_category_14d",
        TagType.TEXT,
        "-",
        REBUY,
        "matching `.+`",
        "Product type (level 3) that is likeliest bought again within 14 days; null where none was bought "
        "twice.",
    ),
    PredictedTag(
        "rebuy_probability_14d",
        TagType.DECIMAL,
        "fraction",
        REBUY,
        "range 0..1",
        "Calibrated probability that `rebuy_category_14d` is bought again within 14 days.",
    ),
    _by("rebuy_probability_14d", REBUY),
    PredictedTag(
        "price_sensitivity_365d",
        TagType.DECIMAL,
        "elasticity",
        ELASTICITY,
        "range ..0",
        "Elasticity of demand of what the consumer bought in the last 365 days, weighted with what was "
        "paid: at -2 a price 1% higher sells 2% less.",
    ),
    _by("price_sensitivity_365d", ELASTICITY),
    PredictedTag(
        "expected_orders_90d",
        TagType.DECIMAL,
        "count",
        VALUE,
        "range 0..",
        "Days with an order that are expected in the next 90 days.",
    ),
    PredictedTag(
        "clv_90d",
        TagType.INT,
        "minor",
        VALUE,
        "range 0..",
        "Net spend that is expected in the next 90 days: expected orders times what a day with an order is "
        "expected to bring, less what comes back.",
    ),
    _by("clv_90d", VALUE),
)
"""Every predicted tag of consumers, in catalogue order."""

_TYPES: dict[TagType, pl.DataType] = {
    TagType.DECIMAL: pl.Float64(),
    TagType.INT: pl.Int64(),
    TagType.TEXT: pl.String(),
}
SCHEMA = pl.Schema({"consumer_id": pl.String(), **{one.name: _TYPES[one.type] for one in PREDICTED}})
"""A table of predicted tags: one row a consumer about whom any model said something."""


def predicted_fields(names: Iterable[str] | None = None) -> list[TagField]:
    """Places of these predicted tags (all by default) in a profile document."""
    wanted = None if names is None else set(names)
    return [one.field for one in PREDICTED if wanted is None or one.name in wanted]


def silent(frame: pl.DataFrame) -> list[str]:
    """Predicted tags about which no model said anything of anybody: none serves.

    Args:
        frame: Columns of `SCHEMA`.
    """
    return [one.name for one in PREDICTED if frame[one.name].null_count() == frame.height]
