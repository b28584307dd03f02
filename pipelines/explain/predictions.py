"""What models say of a consumer, as far as it can be explained: value, model and version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feature_store.contracts import TagStatus
from feature_store.predicted import PREDICTED, PredictedTag
from pipelines.explain.served import Served

_BY = "_by"


@dataclass(frozen=True)
class ExplainedPrediction:
    """One predicted tag of a consumer.

    Attributes:
        tag: Its catalogue entry.
        status: What a reader may do with it.
        value: The value that readers get.
        by: Model and version that said it; None where no model said anything, or it is withheld.
        as_of: The moment that the value describes (UTC).
    """

    tag: PredictedTag
    status: TagStatus
    value: Any
    by: str | None
    as_of: datetime


def is_predicted(name: str | None) -> bool:
    """Whether a tag is said by a model, or says which one."""
    return any(one.name == name for one in PREDICTED)


def predictions(served: Served, name: str | None = None) -> tuple[ExplainedPrediction, ...]:
    """Predicted tags of a consumer that is served; empty for one that is not.

    Args:
        served: What readers get.
        name: One of them; all but those that only name a model when left out.
    """
    wanted = [one for one in PREDICTED if one.name == name or (name is None and not one.name.endswith(_BY))]
    return tuple(_explained(one, served) for one in wanted if one.name in served.tags)


def _explained(tag: PredictedTag, served: Served) -> ExplainedPrediction:
    told = served.tags[tag.name]
    sayer = next(one.name for one in PREDICTED if one.model == tag.model and one.name.endswith(_BY))
    by = served.tags[sayer].value if sayer in served.tags else None
    return ExplainedPrediction(tag, told.status, told.value, by, served.as_of[tag.field.refresh])
