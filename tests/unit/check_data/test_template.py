"""The example folder: it loads without a refusal, and it is never written over something."""

import datetime as dt
from pathlib import Path

import pytest

from pipelines.check_data.check import check
from pipelines.console.template import write_template
from pipelines.limits.document import QuarantineLimits
from pipelines.messages import Texts
from pipelines.sources.contract import SourceError


def test_the_example_loads_without_a_refusal(tmp_path: Path) -> None:
    written = write_template(tmp_path / "example")
    assert sorted(path.name for path in written) == [
        "consumers.csv",
        "muyun.yaml",
        "offers.csv",
        "order_lines.csv",
        "orders.csv",
        "products.csv",
        "suppliers.csv",
    ]
    found = check(
        tmp_path / "example",
        as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        default_zone="UTC",
        default_currency="USD",
        limits=QuarantineLimits(least_rows=1, always_above=0.0, tables={}),
        refused_share=0.0,
        texts=Texts("en"),
    )
    assert found.works, found.blockers
    assert found.time_zone == "Asia/Shanghai"
    assert {report.table: report.quarantined for report in found.trial.reports if report.quarantined} == {}
    orders = found.trial.report("orders")
    assert orders is not None
    assert orders.accepted == 120
    assert any("name a guest" in note for note in orders.notes)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a\n")
    with pytest.raises(SourceError, match="not empty"):
        write_template(tmp_path)
