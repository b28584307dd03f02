"""The growth section: every journey drawn with its counts, verdicts with intervals, gaps said."""

import re

import duckdb
import pytest
from report_home import make_home, settings_of, summary_of

from pipelines.report import svg, write_report
from pipelines.report.evidence import gather
from pipelines.report.sections import communities, feedback, trainings
from pipelines.report.sections.growth import _columns


def section_of(settings):
    page = write_report(settings, summary_of()).read_text()
    return page.split('<section id="growth">')[1].split("</section>")[0]


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    return section_of(make_home(tmp_path_factory.mktemp("growth") / "var"))


def test_arrows_and_ends_carry_their_counts(body):
    drawing = re.search(r'<svg[^>]+aria-label="Wake the dormant".*?</svg>', body, re.DOTALL)[0]
    assert drawing.count("<polygon") == 5
    texts = re.findall(r">([^<>]+)</text>", drawing)
    assert {"330", "240", "200", "40", "150"} <= set(texts)
    assert texts[texts.index("no consent") - 1] == "13"
    assert texts[texts.index("at the end") - 1] == "190"


def test_verdicts_stand_with_their_intervals_and_what_is_simulated_is_named(body):
    assert "30.0% · gain" in body
    assert "1.0% · not yet" in body
    assert "Simulated journeys: 1." in body


def test_a_home_without_journeys_says_so(tmp_path):
    assert "Nobody has entered a journey yet." in section_of(settings_of(tmp_path / "var"))


def test_a_journey_that_nobody_walked_is_counted_and_not_drawn(body):
    drawn = re.findall(r'<svg[^>]+aria-label="([^"]+)"', body)
    assert {"Wake the dormant", "Left carts"} <= set(drawn)
    assert "A coupon for the birthday" not in drawn
    assert "nobody has gone from one step to the next: 1; not drawn." in body


def test_topics_of_the_newest_month_stand_beside_the_one_before(tmp_path):
    (table,) = feedback.blocks(gather(make_home(tmp_path / "var"), summary_of()))
    assert "2017-12" in table.title
    assert table.rows == [
        ["quality", "4", "75.0%", "75.0%", "1", "1", "+2"],
        ["unsure", "2", "50.0%", "25.0%", "0", "0", "+1"],
        ["price", "0", "–", "0.0%", "0", "9", "-9"],
    ]


def test_where_nobody_wrote_nothing_is_said(tmp_path):
    settings = make_home(tmp_path / "var")
    with duckdb.connect(str(settings.warehouse_good)) as connection:
        connection.execute("delete from analyst.mart_feedback_topics")
    assert feedback.blocks(gather(settings, summary_of())) == []
    assert "consumers wrote about" not in section_of(settings)


def test_steps_stand_in_order_whatever_way_leads_back():
    names = ["a", "b", "c", "d"]
    ways = [("a", "b"), ("b", "c"), ("b", "d"), ("c", "d"), ("d", "b")]
    assert _columns(names, ways) == [["a"], ["b"], ["c"], ["d"]]
    assert _columns(names, [("a", "c")]) == [["a", "b", "d"], ["c"]]


def test_a_name_is_escaped_and_a_way_back_goes_round():
    drawn = svg.flow([[svg.Stop("<b>", "wait")], [svg.Stop("c", "wait")]], [svg.Arrow("c", "<b>", 7)], "t")
    assert "&lt;b&gt;" in drawn
    assert "<b>" not in drawn
    assert svg.flow([], [], "t") == ""


def test_communities_stand_with_their_last_whole_week(tmp_path):
    (table,) = communities.blocks(gather(make_home(tmp_path / "var"), summary_of()))
    assert "2017-12-25" in table.title
    assert [row[:6] + row[-2:] for row in table.rows] == [
        ["Mothers", "40", "5", "2", "12", "9", "8", "25.0%"],
    ]
    assert communities.blocks(gather(settings_of(tmp_path / "bare"), summary_of())) == []


def test_trainings_stand_with_what_a_seat_brought(tmp_path):
    settings = make_home(tmp_path / "var")
    (table,) = trainings.blocks(gather(settings, summary_of()))
    assert table.rows == [
        ["Live again", "2017-12", "2018-01", "10", "40", "–", "not over"],
        ["Live streams", "2017-10", "2017-11", "30", "70", "40.00 (10.00 to 70.00)", "gain"],
    ]
    assert "Live streams" in section_of(settings)
    assert trainings.blocks(gather(settings_of(tmp_path / "bare"), summary_of())) == []
