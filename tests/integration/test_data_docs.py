"""The Great Expectations project: what a suite says, how long it remembers, how it survives a torn file."""

import json

import pandas as pd
import pytest

from pipelines.limits.document import Limit


def limit(expectation, **arguments):
    return Limit(
        boundary="feeds", severity="error", reason="A test.", expectation=expectation, arguments=arguments
    )


SUITE = {
    "two_rows": limit("expect_table_row_count_to_be_between", min_value=2),
    "some_quantity": limit("expect_column_values_to_be_between", column="qty", min_value=1, mostly=0.5),
    "one_row_a_sku": limit("expect_column_values_to_be_unique", column="sku_id"),
}
GOOD = pd.DataFrame({"sku_id": ["a", "b", "c"], "qty": [1, 2, 0]})
BAD = pd.DataFrame({"sku_id": ["a", "a", "b"], "qty": [0, 0, 5]})


def judge(root, frame):
    from pipelines.limits.quality import DataDocs

    return DataDocs(root).validate("feeds", frame, SUITE)


def test_a_good_batch_passes_and_says_how_much_was_judged(tmp_path):
    result = judge(tmp_path, GOOD)
    assert (result.breaches, result.expectations, result.rows_seen) == ([], 3, 3)


def test_each_broken_expectation_is_one_readable_breach_with_its_limit(tmp_path):
    between, unique = judge(tmp_path, BAD).breaches
    assert (between.limit, unique.limit) == ("some_quantity", "one_row_a_sku")
    assert between.is_error
    assert "66.67%" in between.found
    assert "'a'" in unique.found
    assert str(unique).endswith("A test.")


def test_steps_in_threads_judge_one_after_the_other(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from pipelines.limits.quality import DataDocs

    docs = DataDocs(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: docs.validate(f"feed_{n}", [GOOD, BAD][n % 2], SUITE), range(8)))
    assert [len(result.breaches) for result in found] == [0, 2] * 4


def test_a_column_that_is_gone_fails_instead_of_passing(tmp_path):
    (breach,) = judge(tmp_path, GOOD.drop(columns="qty")).breaches
    assert breach.limit == "some_quantity"
    assert "qty" in breach.found


@pytest.mark.parametrize("text", ["", '{"name": "fee'])
def test_files_torn_by_a_killed_process_or_a_full_disk_are_made_again(tmp_path, text):
    judge(tmp_path, GOOD)
    torn = list((tmp_path / "gx").rglob("*.json"))
    assert len(torn) >= 4
    for file in torn:
        file.write_text(text)
    (tmp_path / "gx" / "great_expectations.yml").write_text("")
    assert not judge(tmp_path, GOOD).breaches
    assert all(json.loads(file.read_text()) for file in (tmp_path / "gx").rglob("*.json"))


def test_only_the_newest_results_are_kept_and_shown(tmp_path, monkeypatch):
    from pipelines.limits import quality

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
