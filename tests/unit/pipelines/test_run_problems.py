"""What went wrong in a run, in words: each kind names the step, the detail and the remedy, without noise."""

from pathlib import Path

import pytest

from pipelines.run.problems import (
    dbt_problem,
    failed_check,
    failed_dbt,
    failed_step,
    first_seen,
    refused_intake,
    step_in_words,
)
from pipelines.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("raw__order_lines", "loading the table order lines"),
        ("raw/order_lines", "loading the table order lines"),
        ("dbt_build", "building the warehouse (dbt)"),
        ("warehouse__published", "handing the warehouse to its readers"),
        ("models__demand__forecasters", "training demand forecasters"),
        ("published__prices", "making the published table prices"),
        ("something_else", "the step something_else"),
    ],
)
def test_a_step_is_told_in_words(step, words):
    assert step_in_words(step) == words


def test_a_blocked_boundary_names_the_limit_and_the_two_ways_out(settings):
    found = failed_check(
        settings, "raw/orders", "feed_is_plausible", {"errors": ["sales: rows is 5"], "n": 3}
    )
    assert found.what == "raw/orders was stopped: it is not plausible as a whole"
    assert found.where == "raw/orders: feed_is_plausible"
    assert found.details == ("sales: rows is 5",)
    assert "muyun limits accept orders" in found.remedy
    assert str(settings.home / "limits.yaml") in found.remedy


def test_a_refused_intake_is_one_problem_with_its_causes_and_the_replay(settings):
    shares = {"orders": "16.7% of orders were refused", "order_lines": "20% of order_lines were refused"}
    found = refused_intake(settings, shares, ["3,710 orders: consumer_id: missing value"])
    assert found.details == (*shares.values(), "3,710 orders: consumer_id: missing value")
    assert found.where == "raw/orders: quarantined_share, raw/order_lines: quarantined_share"
    assert "muyun quarantine replay" in found.remedy
    assert "quarantined_share.tables.orders" in found.remedy


def test_another_check_shows_its_facts(settings):
    found = failed_check(settings, "warehouse/published", "holds_every_line", {"accepted": 3, "held": 2})
    assert found.details == ("accepted 3, held 2",)
    assert found.what == "warehouse/published was stopped: holds every line"


def test_a_model_error_names_the_file_of_the_traceback(settings):
    found = failed_step(
        settings, "models__pricing__elasticities", "ValueError: no lines", Path("/x/errors.txt")
    )
    assert found.what == "training pricing elasticities failed"
    assert found.details == ("ValueError: no lines",)
    assert "/x/errors.txt" in found.remedy


def test_a_full_disk_says_so(settings):
    found = failed_step(settings, "raw__orders", "LakeError: No space left on device: x.parquet", None)
    assert found.remedy.startswith("the disk is full: free space")
    assert str(settings.home) in found.remedy


def test_a_database_that_went_away_says_so(settings):
    found = failed_step(settings, "published__publication", "ServingError: PostgreSQL does not answer", None)
    assert found.remedy.startswith("start PostgreSQL again")


def test_colour_codes_are_left_out(settings):
    found = failed_step(settings, "x", "\x1b[31mError\x1b[0m: red", None)
    assert found.details == ("Error: red",)


RESULTS = {
    "results": [
        {"unique_id": "model.muyun.good", "status": "success", "message": "OK"},
        {"unique_id": "test.muyun.coupons_stay", "status": "fail", "failures": 12,
         "message": "Got 12 results,\n configured to fail if != 0"},
        {"unique_id": "model.muyun.bad", "status": "error", "message": "\x1b[33mParser Error\x1b[0m in 3"},
        {"unique_id": "model.muyun.later", "status": "skipped", "message": None},
    ]
}  # fmt: skip
MANIFEST = {
    "nodes": {
        "test.muyun.coupons_stay": {"name": "coupons_stay", "original_file_path": "tests/coupons_stay.sql"},
        "model.muyun.bad": {"name": "bad", "original_file_path": "models/core/bad.sql"},
    }
}


def test_a_failing_dbt_node_names_its_message_its_rows_and_its_file():
    found = failed_dbt(RESULTS, MANIFEST, "dbt_build", Path("/x/dbt/build.log"))
    assert found.what == "building the warehouse (dbt) failed"
    test, rows, test_file, model, model_file = found.details
    assert test == "test coupons_stay: Got 12 results, configured to fail if != 0"
    assert rows.strip() == "12 rows break it"
    assert test_file.endswith("dbt_project/tests/coupons_stay.sql")
    assert model == "model bad: Parser Error in 3"
    assert model_file.endswith("dbt_project/models/core/bad.sql")
    assert "/x/dbt/build.log" in found.remedy


def test_without_what_dbt_left_there_is_no_dbt_problem(settings):
    assert dbt_problem(settings, "run", "dbt_build") is None
    folder = settings.dbt_target_dir / "run"
    folder.mkdir(parents=True)
    (folder / "run_results.json").write_text('{"results": []}')
    (folder / "manifest.json").write_text("{}")
    assert dbt_problem(settings, "run", "dbt_build") is None


def test_the_same_details_are_told_once(settings):
    twice = [failed_step(settings, step, "same error", None) for step in ("raw__orders", "raw__products")]
    assert [problem.where for problem in first_seen(twice)] == ["raw__orders"]
