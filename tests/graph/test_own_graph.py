"""A test builds a graph of its own: settings and stores by hand, nothing from the environment."""

import datetime as dt
import os

import dagster as dg
import polars as pl
import pytest

from pipelines.graph import RESOURCES, build_defs, resources
from pipelines.lake.tables import Lake
from pipelines.limits.document import load_limits
from pipelines.settings import Settings

pytestmark = pytest.mark.xdist_group("graph")

AS_OF = dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)


class FakeScores:
    """Forecasts to reorder by; remembers what was saved."""

    def __init__(self, folder):
        self.saved = {}
        self._folder = folder

    def get(self, name):
        return pl.DataFrame({"asked_for": [name]})

    def save(self, name, frame):
        self.saved[name] = frame
        self._folder.joinpath(name).write_text("saved")

    def files(self, *names):
        return [self._folder / name for name in names]


class FakeBoundaries:
    """Everything is plausible, by the shipped limits."""

    def __init__(self, home):
        self.limits = load_limits(home)

    def require_passed(self, boundaries):
        pass

    def judge(self, boundary, read):
        from pipelines.steps.state import CheckRecord

        return CheckRecord(boundary.suite, True)


class FakeWarehouse:
    """A warehouse without a file."""

    def open(self):
        import duckdb

        connection = duckdb.connect()
        connection.execute("create schema core; create schema intermediate")
        return connection


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings by hand; any look at a setting in the environment fails the test."""
    for name in [name for name in os.environ if name.startswith("MUYUN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MUYUN_AS_OF", "this is not a time: reading the environment fails")
    return Settings.model_construct(home=tmp_path / "home", data=tmp_path / "feeds", as_of=AS_OF)


def build(settings, overrides, loaded_project):
    return build_defs(settings, {"dbt_project": loaded_project, **overrides})


def test_every_resource_follows_from_the_settings_alone(settings):
    made = resources(settings)
    assert set(made) == set(RESOURCES)
    assert made["lake"].root == settings.home / "lake"
    assert made["clock"].now() == AS_OF
    assert not settings.home.exists(), "building resources writes nothing"


def test_an_override_is_what_the_others_are_built_upon(settings, tmp_path):
    elsewhere = Lake(tmp_path / "elsewhere")
    made = resources(settings, {"lake": elsewhere})
    assert made["lake"] is elsewhere
    made["scores"].save_model_versions("demand", {"m": "1"})
    assert elsewhere.read_report("model_versions/demand") == {"m": "1"}


def test_a_misspelt_override_is_an_error_instead_of_the_real_store(settings):
    with pytest.raises(ValueError, match="databse"):
        resources(settings, {"databse": object()})


def test_a_step_runs_on_stores_of_the_test(settings, parsed_project, tmp_path, monkeypatch):
    """The reorder step reads forecasts and writes suggestions through the fakes, and is then remembered."""
    calls = []

    def reorder(forecasts, lines, offers, listings, as_of, config, weekly, new_listings, out, *, stopped):
        calls.append((forecasts["asked_for"].to_list(), as_of))
        frame = pl.DataFrame({"reorder_qty": [2, 0], "is_stalled": [False, True], "reason_code": ["x", "y"]})
        skus = pl.DataFrame({"sku_id": ["a", "b"], "basis": ["share_of_sales", "new_in_category"]})
        tables = {"reorder_suggestions": frame, "reorder_merchant_shares": frame, "sku_forecasts": skus}
        return type("Result", (), tables)

    monkeypatch.setattr("models.replenishment.reorder.reorder", reorder)
    for name in (
        "order_lines", "current_offers", "current_listings", "weekly_units", "new_listings", "out_of_stock",
    ):  # fmt: skip
        nothing = pl.DataFrame({"x": [1], "sku_id": ["a"]})
        monkeypatch.setattr(f"pipelines.warehouse.reading.{name}", lambda *_, _n=nothing, **__: _n)
    (tmp_path / "scores").mkdir()
    scores = FakeScores(tmp_path / "scores")
    graph = build(
        settings,
        {"scores": scores, "warehouse": FakeWarehouse(), "boundaries": FakeBoundaries(settings.home)},
        parsed_project,
    )
    key = dg.AssetKey(["published", "reorder_suggestions"])
    job = graph.resolve_job_def("platform_build")

    def run():
        with dg.DagsterInstance.ephemeral() as instance:
            return job.execute_in_process(instance=instance, asset_selection=[key])

    assert run().success
    assert calls == [(["demand_forecasts"], AS_OF)]
    assert set(scores.saved) == {"reorder_suggestions", "reorder_merchant_shares", "sku_forecasts"}
    assert run().success
    assert len(calls) == 1, "nothing changed: the step is reported again"
    assert not (settings.home / "lake").exists()


def tags_with_new_buyers(count):
    """A tag table of 60 consumers, so many of them new buyers; no other segment has members."""
    from feature_store.compiler import SQL_TYPES
    from feature_store.registry import load_registry

    kinds = {"BIGINT": pl.Int64, "DOUBLE": pl.Float64, "BOOLEAN": pl.Boolean, "DATE": pl.Date}
    tags = load_registry().tags.values()
    empty = pl.DataFrame(schema={tag.name: kinds.get(SQL_TYPES[tag.type], pl.String) for tag in tags})
    ids = pl.DataFrame({"consumer_id": [f"c{number:02d}" for number in range(60)]})
    new = ids.with_row_index().select(
        "consumer_id",
        lifecycle_stage=pl.when(pl.col("index") < count).then(pl.lit("new")).otherwise(pl.lit("active")),
    )
    return pl.concat([new, empty.drop("lifecycle_stage")], how="diagonal")


@pytest.mark.parametrize(("next_day", "passes"), [(55, True), (10, False)])
def test_segments_that_moved_too_far_fail_their_check(settings, parsed_project, next_day, passes):
    def judged(as_of, count):
        at = settings.model_copy(update={"as_of": as_of, "time_zone": "Etc/UTC"})
        Lake(at.lake_dir).put("features/consumer_tags", tags_with_new_buyers(count))
        graph = build(at, {"boundaries": FakeBoundaries(at.home)}, parsed_project)
        with dg.DagsterInstance.ephemeral() as instance:
            done = graph.resolve_job_def("platform_build").execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey(["published", "segments"])]
            )
        (check,) = done.get_asset_check_evaluations()
        assert done.success
        assert (check.check_name, check.severity) == (
            "segments_moved_within_their_limits",
            dg.AssetCheckSeverity.WARN,
        )
        return check.passed

    assert judged(AS_OF, 40)
    assert judged(AS_OF + dt.timedelta(days=1), next_day) is passes
