"""Pulls against a real HTTP server that is not kind: nothing is lost, nothing is doubled, drift is told."""

import dataclasses
import datetime as dt
import json
from collections import Counter
from pathlib import Path

import pytest

import pipelines.sources.connectors as package
from pipelines.sources.connectors.declaration import parse_connector
from pipelines.sources.connectors.pull import GOES_ON_FOR
from pipelines.sources.connectors.rounds import pull_round
from pipelines.sources.connectors.shelf import Shelf
from tests.feed_server import ENVIRONMENT, KEY, TOKEN, FeedShop, answers, dies, feed_server, fine, throttled

REFERENCES = Path(package.__file__).parent / "reference"
BEGAN = dt.datetime(2026, 11, 29, 9, tzinfo=dt.UTC)
ITEMS, OFFERS, PARCELS = "/api/v1/items", "/api/v1/offers", "/api/v1/parcels"


def declared(name, url, **changes):
    """A reference declaration at the address of a test; `changes` replace texts of it."""
    text = (REFERENCES / f"{name}.yaml").read_text()
    for host in ("https://marketplace.example.com", "https://open.brand.example.com"):
        text = text.replace(host, url)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return parse_connector(text, f"{name}.yaml")


class Puller:
    """Pulls into a folder; time passes by hand and nobody sleeps."""

    def __init__(self, root):
        self.root = root
        self.now = BEGAN
        self.slept = []

    def pull(self, connector, only=None, environment=ENVIRONMENT):
        self.now += dt.timedelta(minutes=1)
        streams = {name: one for name, one in connector.streams.items() if only in (None, name)}
        wanted = connector.model_copy(update={"streams": streams})
        done = pull_round(
            [wanted],
            self.root,
            environment,
            now=lambda: self.now,
            sleep=self.slept.append,
            monotonic=lambda: sum(self.slept),
        )
        reports = {report.stream.split("/")[1]: report for report in done}
        return reports if only is None else reports[only]

    def rows(self, connector, stream):
        files = sorted((self.root / connector.connector / stream).glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.fixture
def shop():
    stocked = FeedShop()
    stocked.stock_up(8)
    return stocked


@pytest.fixture
def url(shop):
    with feed_server(shop) as address:
        yield address


@pytest.fixture
def puller(tmp_path):
    return Puller(tmp_path / "feeds")


@pytest.fixture
def market(url):
    return declared("marketplace", url)


def ids(rows, name="item_id"):
    return sorted(row[name] for row in rows)


def every_item(shop):
    return [item["item_id"] for item in shop.items]


def test_every_page_of_every_kind_comes_once(shop, market, puller):
    reports = puller.pull(market)
    assert {name: (report.status, report.rows) for name, report in reports.items()} == {
        "catalogue": ("landed", 8),
        "offers": ("landed", 8),
        "scans": ("landed", 16),
    }
    assert all(not report.drift and report.problem is None for report in reports.values())
    assert ids(puller.rows(market, "catalogue")) == ids(puller.rows(market, "offers")) == every_item(shop)
    assert len({row["track.id"] for row in puller.rows(market, "scans")}) == 16
    assert [query["page"] for query in shop.asked_for(ITEMS)] == ["1", "2", "3"]


def test_digits_and_nulls_come_as_they_were_written(shop, market, puller):
    shop.items[0]["item_id"] = 12345678901234567890123
    shop.faults[OFFERS] = [answers(200, b'{"offers": [{"price": 0.30}], "paging": {"next": null}}')]
    puller.pull(market)
    row = puller.rows(market, "catalogue")[0]
    assert row["item_id"] == 12345678901234567890123
    assert row["brand.name"] == ""  # there, and nothing in it
    assert puller.rows(market, "offers") == [{"price": "0.30"}]


def test_who_throttles_is_asked_again_after_the_wait_it_asks_for(shop, market, puller):
    shop.faults[ITEMS] = [fine, throttled("7")]
    report = puller.pull(market, "catalogue")
    assert (report.status, report.rows, report.waits) == ("landed", 8, 1)
    assert 7.0 in puller.slept
    assert ids(puller.rows(market, "catalogue")) == every_item(shop)


@pytest.mark.parametrize(("seconds", "status"), [("60", "landed"), ("61", "failed")])
def test_a_wait_longer_than_the_longest_ends_the_pull(shop, market, puller, seconds, status):
    shop.faults[ITEMS] = [fine, throttled(seconds)]
    assert puller.pull(market, "catalogue").status == status


def test_waits_without_a_word_from_the_other_side_double(shop, url, puller):
    patient = declared("marketplace", url, **{"longest_wait_s: 60": "longest_wait_s: 3"})
    shop.faults[ITEMS] = [answers(503)] * 4
    report = puller.pull(patient, "catalogue")
    assert (report.status, report.waits) == ("landed", 4)
    assert [wait for wait in puller.slept if wait >= 1] == [1.0, 2.0, 3.0, 3.0]
    shop.faults[ITEMS] = [answers(503)] * 5
    assert puller.pull(patient, "catalogue").status == "failed"


def test_a_page_that_is_repeated_is_asked_for_again(shop, market, puller):
    first = json.dumps(shop.answer(ITEMS, {"page": "1"})).encode()
    shop.faults[ITEMS] = [fine, answers(200, first), fine, fine]
    report = puller.pull(market, "catalogue")
    assert (report.status, report.rows) == ("landed", 8)
    assert [query["page"] for query in shop.asked_for(ITEMS)] == ["1", "2", "2", "3"]
    assert ids(puller.rows(market, "catalogue")) == every_item(shop)


def test_rows_that_come_with_two_pages_land_once(shop, market, puller):
    shop.reshape = lambda page, rows: rows if page == 1 else [shop.items[2], *rows]
    report = puller.pull(market, "catalogue")
    assert (report.rows, report.repeated) == (8, 2)
    assert ids(puller.rows(market, "catalogue")) == every_item(shop)


def test_a_page_that_is_repeated_for_ever_lands_nothing(shop, url, puller):
    blind = declared("marketplace", url, **{", more: data.has_more": ""})
    first = json.dumps(shop.answer(ITEMS, {"page": "1"})).encode()
    shop.faults[ITEMS] = [fine, *[answers(200, first)] * 5]
    report = puller.pull(blind, "catalogue")
    assert report.status == "failed"
    assert "says again what an earlier page said" in report.problem
    assert puller.rows(blind, "catalogue") == []


def test_a_page_repeated_for_ever_lands_nothing_whatever_says_that_more_follow(shop, market, puller):
    pages = {
        "catalogue": (ITEMS, json.dumps(shop.answer(ITEMS, {"page": "1"}))),
        "offers": (OFFERS, json.dumps(shop.answer(OFFERS, {})).replace('"c2"', '"c3"')),
    }
    for stream, (path, first) in pages.items():
        shop.faults[path] = [fine, *[answers(200, first.encode())] * 5]
        report = puller.pull(market, stream)
        assert report.status == "failed"
        assert "says again what an earlier page said" in report.problem
        assert puller.rows(market, stream) == []


def test_a_cursor_that_leads_back_lands_nothing(shop, market, puller):
    circle = json.dumps({"offers": [shop.offers[7]], "paging": {"next": "c2"}}).encode()
    shop.faults[OFFERS] = [fine, fine, *[answers(200, circle)] * 5]
    report = puller.pull(market, "offers")
    assert report.status == "failed"
    assert "leads back" in report.problem
    assert puller.rows(market, "offers") == []


def test_an_answer_that_breaks_off_is_asked_for_again(shop, market, puller):
    shop.faults[ITEMS] = [fine, dies]
    report = puller.pull(market, "catalogue")
    assert (report.status, report.waits) == ("landed", 1)
    assert ids(puller.rows(market, "catalogue")) == every_item(shop)


def test_a_server_that_dies_half_way_shows_nothing_and_the_next_pull_goes_on(shop, market, puller):
    shop.faults[ITEMS] = [fine, fine, *[dies] * 5]
    failed = puller.pull(market, "catalogue")
    assert (failed.status, puller.rows(market, "catalogue")) == ("failed", [])
    shop.asked.clear()
    report = puller.pull(market, "catalogue")
    assert (report.status, report.rows, report.went_on) == ("landed", 8, True)
    assert [query["page"] for query in shop.asked_for(ITEMS)] == ["3"]
    assert ids(puller.rows(market, "catalogue")) == every_item(shop)


@pytest.mark.parametrize(
    ("later", "first_page"), [(GOES_ON_FOR - dt.timedelta(seconds=1), "3"), (GOES_ON_FOR, "1")]
)
def test_a_pull_that_was_stopped_long_ago_begins_anew(shop, market, puller, later, first_page):
    shop.faults[ITEMS] = [fine, fine, *[dies] * 5]
    puller.pull(market, "catalogue")
    shop.asked.clear()
    puller.now += later - dt.timedelta(minutes=1)
    assert puller.pull(market, "catalogue").status == "landed"
    assert shop.asked_for(ITEMS)[0]["page"] == first_page
    assert ids(puller.rows(market, "catalogue")) == every_item(shop)


class KilledError(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", ["put", "save", "land", "clear"])
@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("time", range(1, 5))
def test_a_kill_anywhere_loses_nothing_and_doubles_nothing(
    shop, market, puller, monkeypatch, step, is_done, time
):
    done = getattr(Shelf, step)
    calls = Counter()

    def killed(self, *arguments):
        calls[step] += 1
        if calls[step] == time and not is_done:
            raise KilledError
        answer = done(self, *arguments)
        if calls[step] == time:
            raise KilledError
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Shelf, step, killed)
        try:
            puller.pull(market, "offers")
        except KilledError:
            visible = ids(puller.rows(market, "offers"))
            assert visible in ([], every_item(shop))  # never half
    shop.offers.append({**shop.offers[0], "item_id": "new", "updated_at": "2026-11-28T00:00:00Z"})
    puller.pull(market, "offers")
    puller.pull(market, "offers")
    assert ids(puller.rows(market, "offers")) == sorted([*every_item(shop), "new"])


def test_only_what_changed_is_asked_for_and_what_came_before_is_dropped(shop, market, puller):
    assert puller.pull(market, "offers").mark == "2026-11-01T07:00:00Z"
    again = puller.pull(market, "offers")
    assert (again.status, again.rows, again.repeated) == ("unchanged", 0, 1)
    assert shop.asked[-1][1]["updated_after"] == "2026-11-01T06:59:00Z"  # a minute of overlap
    late = {**shop.offers[3], "stock": 99, "updated_at": "2026-11-01T06:59:00Z"}
    shop.offers.append(late)
    shop.offers.append({**shop.offers[4], "stock": 98, "updated_at": "2026-11-02T00:00:00Z"})
    news = puller.pull(market, "offers")
    assert (news.status, news.rows) == ("landed", 2)
    assert len(puller.rows(market, "offers")) == 10


def test_a_change_of_the_future_does_not_move_the_mark(shop, market, puller):
    shop.offers[7]["updated_at"] = "2099-01-01T00:00:00Z"
    report = puller.pull(market, "offers")
    assert (report.rows, report.mark) == (8, "2026-11-01T06:00:00Z")


def test_a_change_that_is_a_little_ahead_hides_no_change_before_it(shop, market, puller):
    shop.offers[7]["updated_at"] = "2026-11-30T05:00:00Z"
    assert puller.pull(market, "offers").mark == "2026-11-01T06:00:00Z"
    puller.now = BEGAN + dt.timedelta(hours=2)
    shop.offers.append({**shop.offers[0], "item_id": "new", "updated_at": "2026-11-29T10:00:00Z"})
    report = puller.pull(market, "offers")
    assert (report.rows, report.mark) == (1, "2026-11-29T10:00:00Z")
    assert ids(puller.rows(market, "offers")) == sorted([*every_item(shop), "new"])


@pytest.mark.parametrize(
    ("at", "is_mark"),
    [("2026-11-29T09:01:00Z", True), ("2026-11-29T09:01:00.000001Z", False), ("2026-11-29 17:01:00", True)],
)
def test_a_mark_is_at_most_now_by_the_clock_of_its_zone(shop, url, puller, at, is_mark):
    there = declared(
        "marketplace", url, **{"    money: major": "    money: major\n    time_zone: Asia/Shanghai"}
    )
    shop.offers[7]["updated_at"] = at
    assert (puller.pull(there, "offers").mark == at) == is_mark


def test_a_time_without_an_offset_is_asked_for_without_one(shop, market, puller):
    for number, offer in enumerate(shop.offers):
        offer["updated_at"] = f"2026-11-01 0{number}:00:00"
    puller.pull(market, "offers")
    puller.pull(market, "offers")
    assert shop.asked[-1][1]["updated_after"] == "2026-11-01 06:59:00"


def test_marks_that_cannot_be_compared_are_told_and_land_once(shop, market, puller):
    for offer in shop.offers:
        offer["updated_at"] = "1 Nov 2026"
    first, again = puller.pull(market, "offers"), puller.pull(market, "offers")
    assert [(one.status, one.rows) for one in (first, again)] == [("landed", 8), ("unchanged", 0)]
    assert "everything is asked for every time" in first.drift[0]
    assert len(puller.rows(market, "offers")) == 8


def test_half_of_a_character_spoils_neither_its_row_nor_the_others(shop, market, puller):
    shop.items[0]["title"] = "茶 \ud83d"
    shop.items[1]["title"] = "茶 \ud83c\udf75"
    assert puller.pull(market, "catalogue").rows == 8
    assert [row["title"] for row in puller.rows(market, "catalogue")[:2]] == ["茶 \ufffd", "茶 🍵"]


def test_a_field_that_is_renamed_half_way_is_named(shop, market, puller):
    def renamed(page, rows):
        return (
            rows
            if page < 3
            else [
                {("stock_qty" if name == "stock" else name): value for name, value in row.items()}
                for row in rows
            ]
        )

    puller.pull(market, "offers")
    for offer in shop.offers:
        offer["updated_at"] = "2026-11-20T00:00:00Z"
    shop.reshape = renamed
    report = puller.pull(market, "offers")
    assert report.rows == 8  # nothing is lost: what is not understood is refused when it is read
    assert report.lacking == {"stock": 2}
    assert report.drift == ("2 rows lack 'stock'; did you mean 'stock_qty'?", "new fields: stock_qty")


def test_a_new_field_is_told_until_it_is_declared(shop, url, puller):
    market = declared("marketplace", url)
    puller.pull(market, "catalogue")
    for number, item in enumerate(shop.items):
        item |= {"weight": number, "title": f"Tea {number}"}
    assert puller.pull(market, "catalogue").drift == ("new fields: weight",)
    assert puller.pull(market, "catalogue").drift == ("new fields: weight",)
    known = declared("marketplace", url, **{"ignored: [category.name,": "ignored: [weight, category.name,"})
    assert puller.pull(known, "catalogue").drift == ()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"data": {"rows": []}}, "no array of rows at 'data.items'"),
        ({"data": {"items": [], "more": True}}, "no 'data.has_more'"),
        ([], "no array of rows"),
    ],
)
def test_an_answer_of_another_shape_lands_nothing(shop, market, puller, answer, told):
    shop.faults[ITEMS] = [fine, answers(200, json.dumps(answer).encode())]
    report = puller.pull(market, "catalogue")
    assert report.status == "failed"
    assert told in report.problem
    assert puller.rows(market, "catalogue") == []


def test_what_is_no_json_and_what_is_too_long_is_refused(shop, market, puller, monkeypatch):
    shop.faults[ITEMS] = [answers(200, b"<html>")] * 5
    assert "not JSON" in puller.pull(market, "catalogue").problem
    monkeypatch.setattr("pipelines.sources.connectors.client.MOST_BYTES", 20)
    assert "longer than 20 bytes" in puller.pull(market, "catalogue").problem


def test_yesterdays_file_and_the_same_file_land_nothing(shop, url, puller):
    brand = declared("brand", url)
    line = {
        "code": "00001",
        "price_fen": 990,
        "days": 2,
        "moq": 1,
        "from": "east",
        "valid_from": "2026-11-29",
    }
    shop.prices = {"written_at": "2026-11-29T00:00:00Z", "lines": [line]}
    today = puller.pull(brand, "prices")
    shop.prices = {"written_at": "2026-11-28T00:00:00Z", "lines": [{**line, "price_fen": 950}]}
    yesterday = puller.pull(brand, "prices")
    assert (today.status, yesterday.status) == ("landed", "outdated")
    assert "2026-11-28" in yesterday.problem
    shop.prices = {"written_at": "2026-11-29T06:00:00Z", "lines": [line]}
    assert puller.pull(brand, "prices").status == "unchanged"
    assert [row["price_fen"] for row in puller.rows(brand, "prices")] == [990]
    shop.prices = {"written_at": "2026-11-29T12:00:00Z", "lines": [{**line, "price_fen": 1010}]}
    assert puller.pull(brand, "prices").status == "landed"


def test_an_empty_answer_is_told_and_takes_nothing_away(shop, market, puller):
    puller.pull(market, "catalogue")
    shop.items.clear()
    report = puller.pull(market, "catalogue")
    assert (report.status, report.problem) == ("unchanged", "the answer has no rows")
    assert len(puller.rows(market, "catalogue")) == 8


def test_a_feed_that_cannot_be_reached_leaves_what_came_before(shop, puller):
    with feed_server(shop) as url:
        market = declared("marketplace", url)
        puller.pull(market)
    reports = puller.pull(market)
    assert {report.status for report in reports.values()} == {"failed"}
    assert all("no answer" in report.problem for report in reports.values())
    assert ids(puller.rows(market, "catalogue")) == every_item(shop)


def test_one_stream_that_fails_stops_no_other(shop, market, puller):
    shop.faults[ITEMS] = [answers(404)]
    reports = puller.pull(market)
    assert {name: report.status for name, report in reports.items()} == {
        "catalogue": "failed",
        "offers": "landed",
        "scans": "landed",
    }


@pytest.mark.parametrize(
    "address", ["http://[half", "http://127.0.0.1:port/x", "http://127.0.0.1:99999/x", "/x\ny"]
)
def test_an_address_that_is_none_fails_its_stream_alone(shop, market, puller, address):
    shop.faults[PARCELS] = [answers(200, json.dumps({"parcels": [], "links": {"next": address}}).encode())]
    reports = puller.pull(market)
    assert (reports["scans"].status, reports["offers"].status) == ("failed", "landed")
    assert "address" in reports["scans"].problem


def test_an_answer_that_cannot_be_unpacked_is_asked_for_again(shop, market, puller):
    shop.faults[ITEMS] = [answers(200, b"no zip", **{"Content-Encoding": "gzip"})]
    report = puller.pull(market, "catalogue")
    assert (report.status, report.rows, report.waits) == ("landed", 8, 1)


@pytest.mark.parametrize("secret", [f"{TOKEN}\n", f"{TOKEN} ", f"{TOKEN}\u200b", f"{TOKEN}é", f"{TOKEN}\0"])
def test_a_secret_that_no_header_can_carry_is_named_by_its_variable_and_not_told(shop, url, puller, secret):
    environment = {"MARKETPLACE_TOKEN": secret, "BRAND_API_KEY": secret}
    for name in ("marketplace", "brand"):
        for report in puller.pull(declared(name, url), environment=environment).values():
            assert report.status == "failed"
            assert "holds what no header can carry" in report.problem
            assert TOKEN not in str(report)


def test_secrets_are_in_no_file_report_or_log(shop, market, puller, caplog, tmp_path):
    caplog.set_level("DEBUG")
    reports = puller.pull(market)
    shop.faults[ITEMS] = [answers(403)]
    reports |= {"refused": puller.pull(market, "catalogue")}
    assert "answered 403" in reports["refused"].problem
    assert "refused" in str(reports)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    told = [str(dataclasses.asdict(report)) for report in reports.values()]
    for secret in (TOKEN, KEY):
        assert not any(secret in text for text in (*told, caplog.text))
        assert not any(secret.encode() in content for content in written)


def test_a_secret_that_is_not_set_or_wrong_is_named_by_its_variable(market, puller):
    lacking = puller.pull(market, "catalogue", environment={})
    assert (lacking.status, "MARKETPLACE_TOKEN" in lacking.problem) == ("failed", True)
    wrong = puller.pull(market, "catalogue", environment={"MARKETPLACE_TOKEN": "guess"})
    assert (wrong.status, "answered 401" in wrong.problem) == ("failed", True)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.2:9/api/v1/parcels?at=2", "https://elsewhere.example.com/x"]
)
def test_secrets_do_not_follow_to_another_host(shop, market, puller, address):
    shop.faults[PARCELS] = [answers(200, json.dumps({"parcels": [], "links": {"next": address}}).encode())]
    report = puller.pull(market, "scans")
    assert report.status == "failed"
    assert "another host" in report.problem


def test_a_redirect_is_not_followed(shop, market, puller):
    shop.faults[ITEMS] = [answers(302, Location="https://elsewhere.example.com")]
    assert "moved (302)" in puller.pull(market, "catalogue").problem


def test_the_pace_is_kept(shop, market, puller):
    puller.pull(market, "catalogue")
    assert puller.slept == pytest.approx([0.2, 0.2])  # five a second, three requests


def test_two_pulls_of_one_stream_do_not_meet(market, puller):
    with Shelf(puller.root / "marketplace" / "catalogue").alone():
        report = puller.pull(market, "catalogue")
    assert (report.status, "another process" in report.problem) == ("failed", True)
    assert puller.pull(market, "catalogue").status == "landed"
