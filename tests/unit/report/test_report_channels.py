"""The section of channels: effects before credits, and words where nothing was tested or touched."""

import polars as pl
from report_home import make_home, summary_of

from pipelines.channel_credits import CREDITS_KEY, EFFECTS_KEY
from pipelines.lake.tables import Lake
from pipelines.report.blocks import Facts, Figure, Note, Table
from pipelines.report.evidence import gather
from pipelines.report.sections import channels


def section(home, change=None):
    settings = make_home(home / "var")
    if change is not None:
        change(Lake(settings.lake_dir))
    return channels.section(gather(settings, summary_of())).blocks


def test_what_a_channel_causes_comes_before_what_models_credit(tmp_path):
    facts, effect, table, funnel = section(tmp_path)
    assert isinstance(facts, Facts)
    assert facts.items[1][:2] == ("measured by a test", "1")
    assert facts.items[2][1] == "80.0%"  # 100 of 125
    assert isinstance(effect, Figure)
    assert "wecom" in effect.svg
    assert isinstance(table, Table)
    assert [row[:5] for row in table.rows] == [
        ["feed ads", "not tested", "9", "7.00", "1"],
        ["wecom", "50.00 (12.00 to 88.00)", "4", "–", "1"],
        ["unattributed", "–", "0", "–", "1"],
    ]
    assert table.rows[0][5:] == ["0.40"] * 7
    assert funnel.rows == [["wecom", "15", "12", "10", "7", "5", "2"]]


def test_without_a_finished_test_the_section_says_that_nothing_is_known(tmp_path):
    blocks = section(tmp_path, lambda lake: lake.put(EFFECTS_KEY, lake.get(EFFECTS_KEY).clear()))
    (gap,) = [block for block in blocks if isinstance(block, Note)]
    assert gap.is_gap
    assert "what channels cause is not known" in gap.text


def test_without_touches_nothing_is_shared(tmp_path):
    def only_unattributed(lake):
        lake.put(CREDITS_KEY, lake.get(CREDITS_KEY).filter(pl.col("channel") == "unattributed"))

    home = tmp_path / "plain"
    blocks = section(home, only_unattributed)
    assert isinstance(blocks[0], Facts)
    assert blocks[0].items[2][1] == "0.0%"
