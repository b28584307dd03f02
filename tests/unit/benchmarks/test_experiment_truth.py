"""The benchmark of experiments finds what it planted, and calls little where it planted nothing."""

from benchmarks.growth.experiment_truth import measured


def test_a_few_experiments():
    found = {(row.system, row.metric): row.value for row in measured(12)}
    assert found["muyun", "false_positive_share"] <= 0.25
    assert found["muyun", "power_2pp"] >= 0.6
    assert found["muyun", "coverage_95"] >= 0.75
    assert 0.4 < found["muyun", "cuped_variance"] < 0.7
    assert 0.85 < found["planned", "power_2pp"] < 0.95
