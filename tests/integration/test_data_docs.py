"""The Great Expectations project: what a suite says, how long it remembers, how it survives a torn file."""

import json

import pandas as pd
import pytest

from pipelines.suites import Expectation

SUITE = (
    Expectation("expect_table_row_count_to_be_between", {"min_value": 2}),
    Expectation("expect_column_values_to_be_between", {"column": "qty", "min_value": 1, "mostly": 0.5}),
    Expectation("expect_column_values_to_be_unique", {"column": "sku_id"}),
)
GOOD = pd.DataFrame({"sku_id": ["a", "b", "c"], "qty": [1, 2, 0]})
BAD = pd.DataFrame({"sku_id": ["a", "a", "b"], "qty": [0, 0, 5]})


def judge(root, frame):
    from pipelines.quality import DataDocs

    return DataDocs(root).validate("feeds", frame, SUITE)


def test_a_good_batch_passes_and_says_how_much_was_judged(tmp_path):
    result = judge(tmp_path, GOOD)
    assert (result.passed, result.failures, result.expectations, result.rows_seen) == (True, [], 3, 3)
    assert "3 expectations" in result.as_markdown()


def test_each_broken_expectation_is_one_readable_line(tmp_path):
    result = judge(tmp_path, BAD)
    assert not result.passed
    between, unique = result.failures
    assert "qty" in between
    assert "66.67%" in between
    assert "sku_id" in unique
    assert "'a'" in unique


def test_a_column_that_is_gone_fails_instead_of_passing(tmp_path):
    result = judge(tmp_path, GOOD.drop(columns="qty"))
    assert not result.passed
    assert "qty" in result.as_markdown()


@pytest.mark.parametrize("text", ["", '{"name": "fee'])
def test_files_torn_by_a_killed_process_or_a_full_disk_are_made_again(tmp_path, text):
    judge(tmp_path, GOOD)
    torn = list((tmp_path / "gx").rglob("*.json"))
    assert len(torn) >= 4
    for file in torn:
        file.write_text(text)
    (tmp_path / "gx" / "great_expectations.yml").write_text("")
    assert judge(tmp_path, GOOD).passed
    assert all(json.loads(file.read_text()) for file in (tmp_path / "gx").rglob("*.json"))


def test_only_the_newest_results_are_kept_and_shown(tmp_path, monkeypatch):
    from pipelines import quality

    monkeypatch.setattr(quality, "RESULTS_KEPT", 2)
    docs = quality.DataDocs(tmp_path)
    for frame in (BAD, BAD, GOOD, GOOD):
        docs.validate("feeds", frame, SUITE)
    results = list((tmp_path / "gx/uncommitted/validations/feeds").glob("*/*/*.json"))
    assert len(results) == 2
    assert all(json.loads(file.read_text())["success"] for file in results)
    site = tmp_path / "gx" / "uncommitted" / "data_docs" / "local_site"
    assert "feeds" in (site / "index.html").read_text()
    assert len(list((site / "validations" / "feeds").rglob("*.html"))) == 2
