"""Feedback through its routes: taken in once, sorted, corrected, answered, counted; a shop sees its own."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import NOW, TENANT, Shop

from feature_store.online import ProfileReader
from models.feedback.sorting import Sorted
from pipelines.feedback_round import sort_feedback
from pipelines.sources.recorded.extraction import Extraction
from pipelines.sources.recorded.streams import RECORDED
from serving.app import create_app
from serving.consumers.erasure import erase
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.feedback import records
from serving.feedback.errors import FeedbackConflictError
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("feedback_routes")  # one database and application for all


class Desk:
    """The application over a market, with keys by role."""

    def __init__(self, client, shop):
        self.client, self.shop = client, shop
        self.keys = {
            who: issue_key(
                shop.url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
            ).secret
            for who, role, party in (
                ("ann", Role.OPERATOR, None),
                ("m1", Role.MERCHANT, "m1"),
                ("m2", Role.MERCHANT, "m2"),
                ("auditor", Role.AUDITOR, None),
            )
        }

    def ask(self, who, method, path, body=None, status=200, **query):
        headers = {"X-API-Key": self.keys[who], "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def send(self, who, *texts, status=200):
        return self.ask(who, "POST", "/feedback", {"texts": list(texts)}, status)


@pytest.fixture
def desk(database_url, settings):
    with Operations(database_url, size=4) as operations:
        shop = Shop(database_url, operations)
        shop.plan()
        shop.list("apple", 1_000)
        shop.supply("EV", "apple", 100, price=600)
        app = create_app(settings.model_copy(update={"as_of": NOW}), database_url, ProfileReader(SCHEMA))
        with TestClient(app) as client:
            yield Desk(client, shop)


def text(number, words, *, ago=1, **more):
    when = (NOW - timedelta(days=ago)).isoformat()
    return {
        "feedback_id": f"f{number}",
        "consumer_id": f"c{number}",
        "text": words,
        "occurred_at": when,
    } | more


class Words:
    """A model that knows words; the real one is tried by its own tests and below."""

    name = "words"

    def sort(self, texts):
        return [
            Sorted(
                "quality" if "烂" in one else "unsure", 0.9, "negative" if "烂" in one else "positive", 0.9
            )
            for one in texts
        ]


def test_a_text_counts_once_and_another_one_under_its_id_is_refused(desk):
    assert desk.send("m1", text(1, "苹果烂了"), text(2, "很甜")) == {"new": 2, "known": 0, "erased": 0}
    assert desk.send("m1", text(1, "苹果烂了"), text(3, "不错")) == {"new": 1, "known": 1, "erased": 0}
    refused = desk.send("m1", text(1, "苹果很好"), text(4, "新的"), status=409)
    assert "f1" in refused["detail"]
    assert len(desk.ask("m1", "GET", "/feedback")["texts"]) == 3


def test_bad_texts_are_refused_and_none_of_the_batch_is_kept(desk):
    assert "name the shop" in desk.send("ann", text(1, "苹果烂了"), status=422)["detail"]
    assert "twice" in desk.send("m1", text(1, "a"), text(1, "a"), status=422)["detail"]
    desk.send("m1", text(1, "a", ago=-2), status=422)
    desk.send("m1", text(1, "x" * 2001), status=422)
    desk.send("m1", text(1, "a", rating=6), status=422)
    desk.send("m1", text(1, "a", merchant_id="m2"), status=403)
    desk.ask("auditor", "GET", "/feedback", status=403)
    assert desk.ask("ann", "GET", "/feedback")["texts"] == []


def test_a_shop_sees_corrects_and_answers_its_own_texts_only(desk):
    desk.send("m1", text(1, "苹果烂了"))
    desk.send("m2", text(2, "橙子烂了"))
    (mine,) = desk.ask("m1", "GET", "/feedback")["texts"]
    assert (mine["feedback_id"], mine["topic"]) == ("f1", None)
    for act, body in (("topic", {"topic": "price", "sentiment": "negative"}), ("answer", {"text": "抱歉"})):
        desk.ask("m2", "POST", f"/feedback/{mine['number']}/{act}", body, status=404)
        desk.ask("m1", "POST", f"/feedback/{mine['number']}/{act}", body)
    desk.ask("ann", "POST", "/feedback/999/answer", {"text": "抱歉"}, status=404)
    unsure = {"topic": "unsure", "sentiment": "negative"}
    desk.ask("m1", "POST", f"/feedback/{mine['number']}/topic", unsure, status=422)
    seen = desk.ask("ann", "GET", "/feedback", topic="price")["texts"]
    assert [(one["feedback_id"], one["sorted_by"], one["answer"]) for one in seen] == [
        ("f1", "person", "抱歉")
    ]
    first = desk.ask("ann", "GET", "/feedback", limit=1)
    rest = desk.ask("ann", "GET", "/feedback", limit=1, cursor=first["next_cursor"])
    assert [one["feedback_id"] for one in (*first["texts"], *rest["texts"])] == ["f1", "f2"]


def test_a_buyer_is_known_for_one_by_the_order_in_this_shop(desk):
    desk.shop.place("o1", ("apple", 1), consumer="c1", at=NOW - timedelta(days=3))
    desk.shop.pay("o1", at=NOW - timedelta(days=3))
    desk.send(
        "m1",
        text(1, "烂了", order_id="o1", sku_id="apple"),
        text(2, "烂了", order_id="o1", sku_id="apple"),
        text(3, "烂了", consumer_id="c1", order_id="o1", sku_id="pear"),
        text(4, "烂了", consumer_id="c1", order_id="o1", ago=5),
        text(5, "慢", consumer_id="c1", order_id="o1"),
    )
    verified = {
        one["feedback_id"] for one in desk.ask("m1", "GET", "/feedback")["texts"] if one["is_verified"]
    }
    assert verified == {"f1", "f5"}


def test_topics_are_counted_beside_the_period_before_with_masked_examples(desk):
    desk.send(
        "m1",
        text(1, "烂了，打我电话13800138000"),
        text(2, "又烂了", ago=2),
        text(3, "很甜"),
        text(4, "烂", ago=10),
        text(5, "烂", ago=30),
    )
    desk.send("m2", text(6, "烂透了"))
    done = sort_feedback(desk.shop.url, NOW, lambda _: Words())
    assert dict(done.by_topic) == {"quality": 5, "unsure": 1}
    number = desk.ask("m1", "GET", "/feedback", topic="quality")["texts"][0]["number"]
    desk.ask("m1", "POST", f"/feedback/{number}/answer", {"text": "赔您一箱"})
    topics = desk.ask("m1", "GET", "/feedback/topics", days=7)["topics"]
    assert topics == [
        {"topic": "quality", "texts": 2, "negative": 2, "before": 1, "negative_before": 1, "unanswered": 1,
         "examples": ["烂了，打我电话＊", "又烂了"]},
        {"topic": "unsure", "texts": 1, "negative": 0, "before": 0, "negative_before": 0, "unanswered": 0,
         "examples": ["很甜"]},
    ]  # fmt: skip
    assert desk.ask("ann", "GET", "/feedback/topics", days=7)["topics"][0]["texts"] == 3


def test_a_round_sorts_what_waits_once_and_learns_what_was_corrected(desk):
    desk.send("m1", *(text(number, "苹果烂了" if number % 2 else "嗯") for number in range(1, 6)))
    learned = []

    def teach(examples):
        learned.append(len(examples))
        return Words()

    first = sort_feedback(desk.shop.url, NOW, teach, most=3)
    assert (first.by_topic.total(), first.waiting) == (3, [TENANT])
    number = desk.ask("m1", "GET", "/feedback", topic="unsure")["texts"][0]["number"]
    desk.ask("m1", "POST", f"/feedback/{number}/topic", {"topic": "service", "sentiment": "positive"})
    second = sort_feedback(desk.shop.url, NOW, teach)
    assert (second.by_topic.total(), second.waiting) == (2, [])
    assert learned[1] == learned[0] + 1
    kept = desk.ask("m1", "GET", "/feedback", topic="service")["texts"]
    assert [one["sorted_by"] for one in kept] == ["person"]


def test_nothing_to_sort_loads_no_model(desk):
    def teach(_):
        raise AssertionError("no text waits")

    assert sort_feedback(desk.shop.url, NOW, teach).by_topic.total() == 0
    assert not records.any_waits(desk.shop.url)


def test_the_real_model_sorts_what_came_through_the_route(desk):
    desk.send(
        "m1", text(1, "喝了牛奶拉肚子，孩子进了医院"), text(2, "快递员把包裹扔在雨里"), text(3, "谢谢团长")
    )
    assert records.any_waits(desk.shop.url)
    sort_feedback(desk.shop.url, NOW)
    found = {one["feedback_id"]: one for one in desk.ask("m1", "GET", "/feedback")["texts"]}
    assert [(found[i]["topic"], found[i]["sentiment"]) for i in ("f1", "f2")] == [
        ("safety", "negative"),
        ("logistics", "negative"),
    ]
    assert found["f3"]["topic"] == "other"
    assert not records.any_waits(desk.shop.url)
    assert sort_feedback(desk.shop.url, NOW).sorters == {}


def test_topics_come_into_the_lake_by_versions_and_no_words_and_nobody(desk, tmp_path):
    lake = Extraction(tmp_path / "feeds", RECORDED["feeds"], tenant_id=TENANT)
    url = libpq_url(desk.shop.url)

    def told():
        lake.extract(url)
        rows = lake.read("feedback")
        assert not {"text", "consumer_id", "order_id", "answer"} & set(rows.columns)
        rows = rows.sort("merchant_id")
        return rows.select("merchant_id", "sku_id", "topic", "sentiment", "answered_at").rows()

    desk.send("m1", text(1, "苹果烂了", sku_id="apple"))
    desk.send("m2", text(2, "嗯"))
    assert told() == [("m1", "apple", None, None, None), ("m2", None, None, None, None)]
    sort_feedback(desk.shop.url, NOW, lambda _: Words())
    assert told() == [("m1", "apple", "quality", "negative", None), ("m2", None, "unsure", "positive", None)]
    number = desk.ask("m1", "GET", "/feedback")["texts"][0]["number"]
    desk.ask("m1", "POST", f"/feedback/{number}/topic", {"topic": "price", "sentiment": "negative"})
    assert told()[0] == ("m1", "apple", "price", "negative", None)
    desk.ask("m1", "POST", f"/feedback/{number}/answer", {"text": "抱歉"})
    assert told()[0] == ("m1", "apple", "price", "negative", NOW)
    assert not lake.has_news(url)


def test_texts_go_with_the_person_and_none_comes_back(desk):
    desk.send("m1", text(1, "苹果烂了"), text(2, "很甜"))
    with desk.shop.transaction() as conn:
        erase(conn, TENANT, "c1", NOW)
    assert [one["feedback_id"] for one in desk.ask("m1", "GET", "/feedback")["texts"]] == ["f2"]
    assert desk.send("m1", text(1, "苹果烂了"), text(3, "好")) == {"new": 1, "known": 0, "erased": 1}


def test_an_id_is_its_shops_own(desk):
    desk.send("m1", text(1, "苹果烂了"))
    assert desk.send("m2", text(1, "很甜")) == {"new": 1, "known": 0, "erased": 0}
    both = [text(1, words, merchant_id=shop) for shop, words in (("m1", "苹果烂了"), ("m2", "很甜"))]
    assert desk.send("ann", *both) == {"new": 0, "known": 2, "erased": 0}
    desk.send("ann", both[0], both[0], status=422)


def test_of_two_texts_sent_at_once_under_one_id_none_is_lost_in_silence(desk):
    """The second waits for the first, and is then told that the id has another text."""
    written = [
        records.Written("twin", "m1", "c1", None, None, None, words, NOW) for words in ("苹果烂了", "很甜")
    ]
    with ThreadPoolExecutor(1) as pool:
        with desk.shop.transaction() as conn:
            records.take_in(conn, TENANT, written[:1], NOW)
            second = pool.submit(desk.shop.act, records.take_in, written[1:], NOW)
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            deadline = time.monotonic() + 30
            while desk.shop.sql(waiting) == [(0,)] and time.monotonic() < deadline:
                time.sleep(0.01)
        with pytest.raises(FeedbackConflictError, match="twin"):
            second.result(30)
    assert desk.shop.sql("select text from feedback.message") == [("苹果烂了",)]


def test_what_names_a_person_is_read_by_whom_personal_values_are_and_that_is_noted(desk):
    words = "烂了，打我电话138.0013.8000"
    desk.send("m1", text(1, words))
    shown = {who: desk.ask(who, "GET", "/feedback")["texts"][0] for who in ("m1", "ann")}
    assert {who: one["text"] for who, one in shown.items()} == {"m1": "烂了，打我电话＊", "ann": words}
    number = shown["m1"]["number"]
    answered = desk.ask("m1", "POST", f"/feedback/{number}/answer", {"text": "抱歉"})
    assert (answered["text"], answered["answer"]) == ("烂了，打我电话＊", "抱歉")
    few = sorted(ROLE_SCOPES[Role.OPERATOR] - {"personal:read"})
    desk.keys["bob"] = issue_key(desk.shop.url, name="bob", role=Role.OPERATOR, scopes=few).secret
    assert desk.ask("bob", "GET", "/feedback")["texts"][0]["text"] == "烂了，打我电话＊"
    read = "select count(*) from ops.audit_log where action = 'feedback.read'"
    assert desk.shop.sql(read) == [(1,)]
