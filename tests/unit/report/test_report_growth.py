"""The growth section: every journey drawn with its counts, verdicts with intervals, gaps said."""

import re

import pytest
from report_home import make_home, settings_of, summary_of

from pipelines.report import svg, write_report
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
