"""Reviews and rankings through their routes: whose, which month, how sure; the page to print."""

import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA, manifest_of, reviewed, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key


@pytest.fixture(scope="module")
def keys(scores_url):
    return {
        who: issue_key(
            scores_url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
        ).secret
        for who, role, party in (
            ("operator", Role.OPERATOR, None),
            ("auditor", Role.AUDITOR, None),
            ("m1", Role.MERCHANT, "m1"),
            ("m2", Role.MERCHANT, "m2"),
            ("ag", Role.AGENT, "ag"),
        )
    }


@pytest.fixture(scope="module")
def get(client, keys):
    def send(who, path, status=200, accept="application/json", **query):
        answer = client.get(f"/v1{path}", params=query, headers={"X-API-Key": keys[who], "Accept": accept})
        assert answer.status_code == status, answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    return send


def test_a_review_is_the_newest_month_that_is_over_with_its_rates(get):
    found = get("ag", "/reviews/agent/ag")
    assert (found["month"], found["is_whole"], found["rank"]) == ("2017-11", True, 2)
    assert (found["rank_low"], found["rank_high"], found["peers"]) == (1, 3, 6)
    assert found["rates"] == {
        "margin_rate": 0.25,
        "repeat_rate": 0.75,
        "refund_rate": round(10 / 5010, 4),
        "orders_per_buyer": 1.75,
        "visit_rate": 0.6,
    }
    assert found["peers_do"]["repeat_rate"] == {"median": 0.5, "leaders": 0.625}
    assert found["best_skus"][0]["margin_cents"] == -70
    running = get("ag", "/reviews/agent/ag", month="2017-12")
    assert (running["is_whole"], running["net_sales_cents"]) == (False, 77)


def test_a_party_sees_its_own_operators_and_auditors_all(get):
    for party in ("agent/a1", "merchant/m1"):
        get("ag", f"/reviews/{party}", status=403)
    get("m1", "/reviews/merchant/m1")
    for party in ("agent/a1", "merchant/own-merchant", "merchant/nobody"):
        get("m1", f"/reviews/{party}", status=403)
    for who in ("operator", "auditor"):
        get(who, "/reviews/agent/a4")
    assert "nobody in 2017-11" in get("operator", "/reviews/agent/nobody", status=404)["detail"]
    get("ag", "/rankings", status=403)


def test_what_is_not_there_is_said(get):
    assert "2011-01" in get("ag", "/reviews/agent/ag", status=404, month="2011-01")["detail"]
    get("ag", "/reviews/agent/ag", status=422, month="2017-13")
    get("operator", "/reviews/supplier/s1", status=422)


def test_a_merchant_ranks_its_agents_among_all_and_operators_everybody(get):
    mine = get("m1", "/rankings")
    assert [(one["party_id"], one["rank"]) for one in mine["parties"]] == [("a1", 1), ("ag", 2)]
    assert get("m1", "/rankings", merchant_id="m1") == mine
    get("m1", "/rankings", status=403, merchant_id="m2")
    get("m1", "/rankings", status=422, party_type="merchant")
    first = get("operator", "/rankings", limit=4)
    rest = get("operator", "/rankings", limit=4, cursor=first["next_cursor"])
    assert [one["rank"] for one in (*first["parties"], *rest["parties"])] == [1, 2, 3, 4, 5, 6]
    assert rest["next_cursor"] is None
    assert (first["unranked"], mine["unranked"], first["basis"]) == (1, 0, "settled")
    assert get("operator", "/rankings", month="2011-01")["parties"] == []


def test_the_page_prints_in_both_languages_and_says_why_nobody_is_ranked(get):
    page = get("ag", "/reviews/agent/ag", accept="text/html,application/xhtml+xml;q=0.9")
    assert page.startswith("<!doctype html>")
    assert "Place 2 of 6 with the same level, time since joining" in page
    assert "a place from 1 to 3 (95%)" in page
    assert "http" not in page.replace("http-equiv", "")
    chinese = get("operator", "/reviews/agent/new", format="html", language="zh")
    assert "同类只有2家，太少，不排名。" in chinese
    assert "月度复盘" in chinese
    running = get("ag", "/reviews/agent/ag", format="html", month="2017-12")
    assert "The month is not over" in running


def test_a_name_of_a_party_is_text_and_not_markup(database_url, settings):
    tables = small_tables()
    tables["party_reviews"] = [reviewed("agent", "<b>x", level="<script>")]
    publish(database_url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="o", scopes=sorted(ROLE_SCOPES[Role.OPERATOR])).secret
    with TestClient(create_app(settings, database_url, ProfileReader(SCHEMA))) as client:
        page = client.get("/v1/reviews/agent/%3Cb%3Ex?format=html", headers={"X-API-Key": key})
    assert page.status_code in (200, 422)
    assert "<script>" not in page.text
    assert "<b>" not in page.text


def test_without_reviews_in_the_publication_the_answer_says_so(database_url, settings):
    tables = small_tables()
    tables["party_reviews"] = []
    publish(database_url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="o", scopes=sorted(ROLE_SCOPES[Role.OPERATOR])).secret
    with TestClient(create_app(settings, database_url, ProfileReader(SCHEMA))) as client:
        for path in ("/v1/reviews/agent/ag", "/v1/rankings"):
            answer = client.get(path, headers={"X-API-Key": key})
            assert answer.status_code == 404
            assert "no month that is over" in answer.json()["detail"]
