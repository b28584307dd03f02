"""The whole page: what must be in it, what must not, and that it stands when parts are missing."""

import re
from datetime import date
from html.parser import HTMLParser

import duckdb
import polars as pl
import pytest
from report_home import HOSTILE, SECTIONS, empty_scores, make_home, settings_of, summary_of

from pipelines.lake.tables import Lake
from pipelines.report import write_report
from pipelines.report.evidence import gather
from pipelines.report.sections import all_sections, forecasts

_VOID = {"meta", "link", "line", "rect", "circle", "polyline", "polygon", "path", "br"}


class Page(HTMLParser):
    """Elements with their attributes, and the text of each section."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.section, self.texts = [], [], None, {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"]
            self.texts[self.section] = ""
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        if tag == "section":
            self.section = None

    def handle_data(self, data):
        if self.section:
            self.texts[self.section] += data

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    settings = make_home(tmp_path_factory.mktemp("full") / "var")
    return write_report(settings, summary_of()).read_text()


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    home = tmp_path_factory.mktemp("bare") / "var"
    return write_report(settings_of(home), {}).read_text()


def test_it_is_written_where_the_settings_say(tmp_path):
    settings = settings_of(tmp_path / "var")
    assert write_report(settings, summary_of()) == settings.report_file
    assert sorted(path.name for path in settings.report_file.parent.iterdir()) == ["index.html", "tags.html"]


def test_every_section_is_there_in_order_and_in_the_contents(full):
    page = Page(full)
    assert list(page.texts) == SECTIONS
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == [*(f"#{key}" for key in SECTIONS), "tags.html"]
    assert page.open == []


@pytest.mark.parametrize("which", ["full", "bare"])
def test_nothing_is_loaded_from_anywhere(which, request):
    text = request.getfixturevalue(which)
    page = Page(text)
    for tag, attributes in page.elements:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith(("#", "data:", "tags.html")), (tag, attributes)
    assert page.count("script") == 0
    assert not re.search(r"https?://|@import|url\(", text)


def test_every_section_figure_and_table_says_where_its_rows_come_from(full):
    page = Page(full)
    badges = [set(attributes.get("class", "").split()) for tag, attributes in page.elements if tag == "span"]
    labelled = [classes for classes in badges if "badge" in classes]
    assert all(classes & {"observed", "overlay", "both"} for classes in labelled)
    # One a section, a figure and a table, and three in the key.
    assert len(labelled) == len(SECTIONS) + page.count("figure") + page.count("table") + 3
    assert page.count("figure") > 20


@pytest.mark.parametrize(
    ("section", "expected"),
    [("intake", "both"), ("recommendations", "observed"), ("prices", "both"), ("wakeup", "observed")],
)
def test_origins_follow_the_tables_that_came_in(full, section, expected):
    body = full.split(f'<section id="{section}">')[1].split("</header>")[0]
    assert f'class="badge {expected}"' in body


def test_tags_are_coloured_by_their_own_origin(full):
    body = full.split('<section id="tags">')[1].split("</section>")[0]
    figure = {
        re.search(r"<figcaption>(.*?)&ensp;<span", part).group(1): part for part in body.split("<figure>")[1:]
    }
    assert 'class="k-overlay"' in figure["sessions 30d"]
    assert 'class="k-observed"' in figure["recency days"]
    assert 'class="k-both"' in figure["gross margin 365d, USD"]
    assert "No consumer has a value." in figure["late delivery rate 180d"]


def test_a_hostile_sku_stays_text(tmp_path):
    text = write_report(make_home(tmp_path / "var", sku=HOSTILE), summary_of()).read_text()
    page = Page(text)
    assert page.count("script") == 0
    assert "<script" not in text
    assert HOSTILE in page.texts["prices"]
    assert HOSTILE in page.texts["reorder"]


def test_hostile_answers_stay_text(tmp_path):
    answer = {"request": f"GET /v1/x?{HOSTILE}", "status": 200, "ms": 1, "body": {"title": HOSTILE}}
    text = write_report(settings_of(tmp_path / "var"), summary_of(api=[answer])).read_text()
    assert "<script" not in text
    assert f"GET /v1/x?{HOSTILE}" in Page(text).texts["api"]


def test_without_anything_every_section_says_what_is_missing(bare):
    page = Page(bare)
    assert list(page.texts) == SECTIONS
    for key in set(SECTIONS):
        body = bare.split(f'<section id="{key}">')[1].split("</section>")[0]
        assert 'class="note gap"' in body, key
    assert page.count("svg") == page.count("table") == 0


def test_tables_without_rows_are_said_to_be_missing(tmp_path):
    text = write_report(empty_scores(tmp_path / "var"), summary_of()).read_text()
    page = Page(text)
    for key, words in {
        "forecasts": "no forecast has been scored",
        "recommendations": "No recommendation list",
        "prices": "no price has been suggested",
        "reorder": "nothing is suggested",
        "wakeup": "nobody is dormant",
        "tags": "no tag has been computed",
    }.items():
        assert words in page.texts[key]


@pytest.mark.parametrize("missing", ["prices", "demand_forecasts", "reorder_suggestions", "wakeup_list"])
def test_one_missing_table_leaves_the_others(tmp_path, missing):
    settings = make_home(tmp_path / "var")
    Lake(settings.lake_dir).derived_path(f"scores/{missing}").unlink()
    page = Page(write_report(settings, summary_of()).read_text())
    assert any(f"{missing}:" in text for text in page.texts.values())
    assert page.count("svg") > 12


def test_slow_stock_is_shown_with_its_ladder(full):
    text = Page(full).texts["reorder"]
    assert "2 stocks turn over by less than 15% in 30 days, 1 of them sold nothing; at cost they hold" in text
    assert "−5%: 180 / 50.00; −30%: 98 / 300.00 *" in text
    assert "13.0%" in text


def test_grades_and_the_brake_are_shown_with_what_they_stop(full):
    text = Page(full).texts["supply"]
    assert "suppliers graded3in 3 channels" in text.replace("\n", "")
    assert "no order goes to1suppliers behind a gate" in text.replace("\n", "")
    # The channel of grade A is not among the low ones; the one that sells most stands first.
    assert text.index("s-2l2-g/soup30C0.600.50 to 0.70") < text.index("s-3l2-g/soup5D0.600.50 to 0.70")
    assert "s-1l2-g/soup900A" not in text
    assert "it holds 3. 1 suppliers are frozen" in text
    # Who is only watched is counted and not listed.
    assert text.index("s1 (s1)3 not sold15300") < text.index("s1-limited (s1-limited)2 half the exposure")
    assert "s1-watched" not in text


def test_supply_that_leans_on_one_supplier_is_shown_with_what_its_failure_costs(full):
    text = Page(full).texts["supply"]
    said = "1 of 2 categories have more than 60% of their units from one supplier; in 1 the others could not"
    assert said in text
    assert "s-190.0%25.0%15.0%25.0%" in text  # cells without a space between
    assert "s-136325.0%315.0042.001.59" in text


def test_places_of_agents_are_shown_as_wide_as_chance_makes_them(full):
    text = Page(full).texts["parties"]
    assert "Agents of 2017-11 by net sales of orders" in text
    assert "place 1 (1 to 2) of 6" in text
    assert "place 6 (5 to 6) of 6" in text
    assert "agent-7" not in text
    assert "6 ranked, 0 sold nothing" in text


def test_without_a_warehouse_ids_stand_for_titles(tmp_path):
    settings = make_home(tmp_path / "var")
    settings.warehouse_good.unlink()
    page = Page(write_report(settings, summary_of()).read_text())
    assert "s1 (s1)" in page.texts["reorder"]
    assert "units expected" in page.texts["forecasts"]


def test_the_printed_formula_is_marked(full):
    text = Page(full).texts["prices"]
    assert "Printed formula −0.03: never published." in text
    assert text.count("never published") >= 6


def test_price_examples_tell_their_steps(full):
    body = full.split('<section id="prices">')[1].split("</section>")[0]
    text = Page(full).texts["prices"]
    for heading in (
        "A rise that is published",
        "A cut that is published",
        "A change that waits for approval",
        "Lifted by the floor",
        "Held back by a rail",
        "Fixed by the merchant",
    ):
        assert heading in text
    assert "1.00 → 1.05 (+5.0%): published at once" in text
    assert "<li>change budget: at most 20% of a category&#39;s listings change in one run</li>" in body


def test_money_is_shown_in_the_configured_currency(tmp_path):
    settings = make_home(tmp_path / "var").model_copy(update={"currency": "JPY"})
    page = Page(write_report(settings, summary_of()).read_text())
    assert "JPY 12,006" in page.texts["wakeup"]
    assert "USD" not in page.texts["wakeup"]


def test_controls_get_no_offer(full):
    text = Page(full).texts["wakeup"]
    assert "10.0%" in text
    assert "1 get no offer" in text
    assert "none: control" in text
    assert "WAKE: 5.00 off from 50.00" in text


def test_numbers_carry_separators(full):
    text = Page(full).texts["intake"]
    assert "12,345" in text
    assert "12,300" in text


def test_answers_and_costs_are_listed(full):
    page = Page(full)
    assert '{"price_cents": 105}' in page.texts["api"]
    assert "404" in page.texts["api"]
    assert "models/demand/forecasters" in page.texts["cost"]
    assert "5 min 2 s" in page.texts["headline"]


def test_a_run_without_new_work_says_so(tmp_path):
    text = write_report(settings_of(tmp_path / "var"), summary_of(steps=[])).read_text()
    assert "No step had anything new to do" in Page(text).texts["cost"]


def test_failures_are_named(tmp_path):
    summary = summary_of(failed={"published__prices": "boom"}, failed_checks=["raw/orders: rows_add_up"])
    text = write_report(settings_of(tmp_path / "var"), summary).read_text()
    assert "Not passed: published__prices; raw/orders: rows_add_up." in Page(text).texts["headline"]


def test_the_page_is_small(full):
    assert len(full.encode()) < 1_500_000


def test_weeks_between_sales_without_a_row_sold_nothing(tmp_path):
    evidence = gather(make_home(tmp_path / "var"), summary_of())
    sold = evidence.weekly_units(["m1"], ["l2-g/soup"], date(2017, 11, 27))
    assert sold.rows() == [
        ("m1", "l2-g/soup", date(2017, 12, 4), 11),
        ("m1", "l2-g/soup", date(2017, 12, 18), 8),  # nine sold, one of them came back
    ]
    points = forecasts.history(sold, "m1", "l2-g/soup", date(2017, 11, 27), date(2018, 1, 1))
    assert [(point.on, point.actual) for point in points] == [
        (date(2017, 12, 4), 11),
        (date(2017, 12, 11), 0),
        (date(2017, 12, 18), 8),
        (date(2017, 12, 25), 0),
    ]


def test_the_business_time_comes_from_the_tags_when_nothing_else_knows_it(tmp_path):
    evidence = gather(make_home(tmp_path / "var"), summary_of())
    assert f"{evidence.as_of:%Y-%m-%d}" == "2018-01-01"
    assert gather(settings_of(tmp_path / "other"), {}).as_of is None


def test_numbers_that_are_none_are_not_drawn(tmp_path):
    settings = make_home(tmp_path / "var")
    lake = Lake(settings.lake_dir)
    report = lake.read_report("models/lifecycle")
    for row in report["models"][0]["leaderboard"]:
        row["value"] = float("nan")
    report["models"][0] |= {"lift": [float("nan")] * 3, "value": float("nan")}
    lake.write_report("models/lifecycle", report)
    sections = {section.key: section for section in all_sections(gather(settings, summary_of()))}
    assert "nan" not in "".join(str(block) for block in sections["lifecycle"].blocks).lower()
    assert isinstance(gather(settings, summary_of()).tags, pl.DataFrame)


def test_money_of_settlement_is_shown_as_the_books_say(full):
    body = full.split('<section id="settlement">')[1].split("</section>")[0]
    for shown in ("9.00", "7.00", "1.20", "4.50", "2.50", "10.00"):
        assert shown in body, shown
    assert "9.99" not in body, "a replaced share stands for nothing"
    assert body.index("agt-1") < body.index("agt-2")


def test_sales_are_told_by_the_flags(full):
    """102,500 sold less 100 back; one of two orders is a guest's; the cancelled order is set aside."""
    text = re.sub(r"\s", "", Page(full).texts["sales"])
    for words in (
        "orders that count 2 paid, with something sold",
        "revenue 1,024.00 USD, returns subtracted",
        "returns 1.00 USD, 0.1% of what was sold",
        "guests 50.0% of the orders, 6.00 USD",
        "service 1 0 999.0 6.00",
        "merchandise 4 1 1,018.0 1,018.00",
        "cancelled 1 5.00",
    ):
        assert words.replace(" ", "") in text, words


def test_without_a_counted_order_the_sales_say_so(tmp_path):
    settings = make_home(tmp_path / "var")
    with duckdb.connect(str(settings.warehouse_good)) as connection:
        connection.execute("delete from core.fct_orders where state = 'paid'")
        connection.execute("delete from core.fct_order_lines where is_sale or is_return")
    text = Page(write_report(settings, summary_of()).read_text()).texts["sales"]
    assert "No order counts" in text
    assert "Set aside" in text


def test_levels_of_members_are_shown_with_their_moves_and_costs(full):
    words = " ".join(Page(full).texts["levels"].split())
    assert "Members at risk whom nobody told: 2." in words
    assert "351" in words
    assert "silver500414170489450.00" in words  # the cells of its row


def test_a_home_without_a_programme_of_members_says_so(tmp_path):
    page = write_report(settings_of(tmp_path / "var"), summary_of()).read_text()
    assert "No programme of members is in force." in " ".join(Page(page).texts["levels"].split())


def test_what_experiments_found_is_shown_by_arm(full):
    words = " ".join(Page(full).texts["experiments"].split())
    assert "In 1 of 2 experiments the exposed units do not fit the shares" in words
    assert "listsrecommended listsshare that orderedpopular1,0008006.00%−4.00%−7.00% .. −1.00%worse" in words
    assert "movespublished pricesmargin of a unitheld1,000800–––blocked" in words
