"""What the training asset of every family does: learn from the published warehouse, register, report."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from models.contracts import Candidate
from pipelines.clock import Clock
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome
from pipelines.stores.models import ModelStore
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import due, registration
from pipelines.trainings.task import Task


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        name: Its summary is kept as `reports/models/<name>`.
        models: Registered model names that it may return.
        work: Its function in `pipelines.trainings`.
        reads: Reads a champion (name, bundle, settings), or raises.
    """

    name: str
    models: Sequence[str]
    work: Callable[[Task], list[Candidate]]
    reads: registration.Reads


@dataclass(frozen=True)
class Workshop:
    """The resources that every training needs.

    Attributes:
        steps: The memo of steps.
        settings: Seed and local time.
        clock: Business time.
        warehouse: What is learnt from.
        models: Registry and work folders.
        lake: Where the summary goes.
    """

    steps: Steps
    settings: Settings
    clock: Clock
    warehouse: Warehouse
    models: ModelStore
    lake: Lake


def train(
    family: Family,
    context: dg.AssetExecutionContext,
    workshop: Workshop,
    *,
    deciding: Mapping[str, object] | None = None,
    keeps: Iterable[Path] = (),
    has_drifted: bool = False,
    after: Callable[[], None] | None = None,
) -> dg.MaterializeResult:
    """Train a family, unless its last training is still good enough.

    Args:
        family: What to train.
        context: The asset's context; its key names the step.
        workshop: The resources.
        deciding: Further settings that decide the result.
        keeps: Files beside the bundles and the summary that the training leaves.
        has_drifted: Whether what the models read looks other than at the last training.
        after: Done when the family is registered.
    """
    steps, lake, models = workshop.steps, workshop.lake, workshop.models

    def work() -> Outcome:
        outcome = registration.train_and_register(
            family.name,
            family.models,
            family.work,
            family.reads,
            step=context.asset_key.to_user_string(),
            settings=workshop.settings,
            warehouse=workshop.warehouse.published(),
            models=models,
            lake=lake,
            data_version=steps.records.version("warehouse/published"),
            as_of=workshop.clock.as_of(context),
            facts=due.facts(steps.records, lake),
        )
        if after is not None:
            after()
        return outcome

    return steps.run(
        context,
        work,
        settings=deciding,
        outputs=lambda: [
            *models.bundles(family.models),
            lake.report_path(f"models/{family.name}"),
            *keeps,
        ],
        clock="none",
        waits=due.waits(steps.records, lake, context.run.tags, has_drifted=has_drifted),
    )
