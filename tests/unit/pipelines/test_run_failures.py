"""Problems read out of what Dagster really emits: a check, a model, a step that never began."""

import dagster as dg
import pytest

from pipelines.intake.share import SHARE_CHECK, IntakeRefusedError
from pipelines.run.failures import problems_of
from pipelines.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


def ended(*definitions):
    """The result of a run of a graph, and what `run_graph` says of its steps."""
    graph = dg.Definitions(
        assets=[d for d in definitions if not isinstance(d, dg.AssetChecksDefinition)],
        asset_checks=[d for d in definitions if isinstance(d, dg.AssetChecksDefinition)],
        jobs=[dg.define_asset_job("all")],
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = graph.resolve_job_def("all").execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    failed = {event.step_key: "failed" for event in result.all_events if event.is_step_failure}
    return result, failed


@dg.asset(key=["raw", "orders"])
def orders():
    return None


def test_a_blocking_check_is_the_problem_and_not_what_it_blocked(settings):
    @dg.asset_check(asset=orders, blocking=True)
    def feed_is_plausible():
        return dg.AssetCheckResult(
            passed=False, metadata={"errors": dg.MetadataValue.json(["sales_keep_their_volume: rows is 5"])}
        )

    @dg.asset(key=["warehouse", "published"], deps=[orders])
    def behind():
        raise AssertionError("never reached")

    (problem,) = problems_of(settings, *ended(orders, feed_is_plausible, behind))
    assert problem.where == "raw/orders: feed_is_plausible"
    assert problem.details == ("sales_keep_their_volume: rows is 5",)
    assert not any("Dagster" in line for line in problem.details)


def test_a_warning_is_no_problem(settings):
    @dg.asset_check(asset=orders)
    def feed_is_plausible():
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    assert problems_of(settings, *ended(orders, feed_is_plausible)) == ()


def test_too_many_refused_rows_are_one_problem_although_a_later_step_refuses_too(settings):
    @dg.asset(
        key=["raw", "products"],
        check_specs=[dg.AssetCheckSpec(SHARE_CHECK, asset=["raw", "products"])],
    )
    def products():
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(passed=False, metadata={"share": "60% of products were refused"})
            ]
        )

    @dg.asset(deps=[products])
    def dbt_build():
        raise IntakeRefusedError("not built: 60% of products were refused")

    (problem,) = problems_of(settings, *ended(products, dbt_build))
    assert problem.where == "raw/products: quarantined_share"
    assert problem.details == ("60% of products were refused",)


def test_a_model_that_fails_names_its_error_and_keeps_the_traceback_in_a_file(settings):
    @dg.asset(key=["models", "demand", "forecasters"])
    def forecasters():
        raise ValueError("no week has a sale")

    result, failed = ended(forecasters)
    (problem,) = problems_of(settings, result, failed)
    assert problem.what == "training demand forecasters failed"
    assert problem.details == ("ValueError: no week has a sale",)
    file = settings.home / "runs" / f"{result.run_id}.errors.txt"
    assert str(file) in problem.remedy
    assert "Traceback" not in "".join(problem.details)
    assert "no week has a sale" in file.read_text()


def test_steps_that_never_began_are_told(settings):
    result, _ = ended(orders)
    (problem,) = problems_of(settings, result, {"published/prices": "was skipped"})
    assert problem.what == "making the published table prices failed"
    assert problem.details == ("was skipped",)
