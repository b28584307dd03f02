"""Feedback: what consumers wrote gets its topics, every quarter of an hour and before the brake judges."""

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import FORCE_TAG, Group, Owner
from pipelines.defs.schedules import running_schedule
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, fingerprint
from pipelines.stores.database import Database
from serving.feedback.records import state_of

_KEY = ["quality", "feedback"]
_DONE = "no_text_waits_for_its_topic"


def definitions() -> dg.Definitions:
    """The asset, and the job that keeps topics up with what comes in."""
    often = dg.define_asset_job(
        "feedback_sorting",
        selection=dg.AssetSelection.assets(_KEY),
        tags={FORCE_TAG: "/".join(_KEY)},
        description="Sorts the texts of every tenant that came since: topic and sentiment.",
    )
    return dg.Definitions(
        assets=[feedback], jobs=[often], schedules=[running_schedule(often, "*/15 * * * *")]
    )


@dg.asset(
    key=_KEY,
    group_name=Group.QUALITY,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "postgres"},
    pool="ledger",
    check_specs=[
        dg.AssetCheckSpec(
            _DONE, asset=_KEY, description="The round sorted every text that had come, of every tenant."
        )
    ],
)
def feedback(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    clock: dg.ResourceParam[Clock],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """What consumers wrote, sorted: topic, sentiment, how sure. A model on the processor, nothing leaves.

    What people corrected is learned with the next round. Read by the quality brake (a buyer who blames the
    goods complains of them), by shops and operators. One row per text that was sorted.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _sort(clock, context, url),
        settings={"database": database.number(url)},
        clock="none",
        holds=lambda record: record.metadata["state"] == state_of(url),
    )


def _sort(clock: Clock, context: dg.AssetExecutionContext, url: str) -> Outcome:
    from pipelines.feedback_round import sort_feedback

    done = sort_feedback(url, clock.as_of(context))
    state = state_of(url)
    told = {"by_topic": dict(sorted(done.by_topic.items())), "models": done.sorters, "state": state}
    return Outcome(
        rows=done.by_topic.total(),
        metadata=told,
        checks=[CheckRecord(_DONE, not done.waiting, {"tenants": done.waiting}, is_error=False)],
        version=fingerprint({"state": state}),
    )
