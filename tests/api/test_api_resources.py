import json
from urllib.parse import quote

import psycopg
import pytest
from jsonschema import Draft202012Validator
from published_scores import TAGS

from serving.db.urls import libpq_url
from serving.security import Role, Scope, issue_key

RESOURCES = {
    "/v1/recommendations": {"merchant_id": "m1", "consumer_id": "c1"},
    "/v1/prices/m1/s00": {},
    "/v1/prices/m1": {"limit": 3},
    "/v1/reorder-suggestions": {"supplier_id": "s-69"},
    "/v1/clearance-warnings": {"supplier_id": "s-69"},
    "/v1/supplier-grades": {},
    "/v1/channel-scores": {"supplier_id": "s-69"},
    "/v1/supply-resilience": {},
    "/v1/assortment-suggestions": {"merchant_id": "m1"},
    "/v1/supply-proposals": {},
    "/v1/supply-failures": {},
    "/v1/wakeup-list": {},
    "/v1/consumers/c1/profile": {},
    "/v1/profiles/c1": {},
    "/v1/profiles": {"consumer_id": ["c1", "c2"]},
    "/v1/segments": {},
    "/v1/segments/loyal": {},
    "/v1/consumers/c1/rebuy-reminders": {},
    "/v1/publications/current": {},
    "/v1/publications": {},
    "/health/live": {},
    "/health/ready": {},
}
TEMPLATES = {
    "/v1/prices/m1/s00": "/v1/prices/{merchant_id}/{sku_id}",
    "/v1/prices/m1": "/v1/prices/{merchant_id}",
    "/v1/consumers/c1/profile": "/v1/consumers/{consumer_id}/profile",
    "/v1/profiles/c1": "/v1/profiles/{consumer_id}",
    "/v1/segments/loyal": "/v1/segments/{name}",
    "/v1/consumers/c1/rebuy-reminders": "/v1/consumers/{consumer_id}/rebuy-reminders",
}
INJECTIONS = [
    "'; drop table scores.prices; --",
    "' or '1'='1",
    "%s",
    "%(version)s",
    "\\",
    '"',
    "$$",
    "m1' union select 1 --",
    "漢字",
    "%",
    "_",
    "e\u0301",
]


@pytest.fixture(scope="module")
def openapi(client):
    return client.get("/v1/openapi.json").json()


def check(openapi, schema, document):
    bundle = {**schema, "components": openapi["components"]}
    Draft202012Validator(bundle).validate(document)


def answer_schema(openapi, path):
    answers = openapi["paths"][TEMPLATES.get(path, path)]["get"]["responses"]
    return answers["200"]["content"]["application/json"]["schema"]


@pytest.mark.parametrize("path", RESOURCES)
def test_answers_fit_the_openapi_document(ask, openapi, path):
    answer = ask(path, **RESOURCES[path])
    assert answer.status_code == 200, answer.text
    check(openapi, answer_schema(openapi, path), answer.json())
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "path", [path for path in RESOURCES if path.startswith("/v1") and "publications" not in path]
)
def test_scored_answers_name_their_version_in_body_and_header(ask, path):
    answer = ask(path, **RESOURCES[path])
    assert answer.json()["publication_version"] == "v1"
    assert answer.json()["as_of"] == "2017-12-31T04:00:00Z"
    assert answer.headers["muyun-publication"] == "v1"


def test_openapi_examples_fit_and_every_operation_is_described(openapi):
    examples = 0
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, item in openapi["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]
    for name, operation in operations:
        assert operation["summary"], name
        assert operation["description"], name
        assert "400" not in operation["responses"], name
        for status, answer in operation["responses"].items():
            if not status.startswith(("2", "3")):
                assert list(answer["content"]) == ["application/problem+json"], name
            for content in answer.get("content", {}).values():
                if "example" in content:
                    check(openapi, content["schema"], content["example"])
                    examples += 1
    assert examples >= 7


def test_recommendations_come_by_rank_and_lane(ask):
    answer = ask("/v1/recommendations", merchant_id="m1", consumer_id="c1", limit=2).json()
    assert answer["fallback"] is None
    assert [item["sku_id"] for item in answer["items"]] == ["m1-s1", "m1-s2"]
    assert answer["items"][0] == {
        "rank": 1,
        "sku_id": "m1-s1",
        "score": 1.0,
        "lane": "discovery",
        "reason_code": "v1",
        "propensity": 0.5,
    }
    repeat = ask("/v1/recommendations", merchant_id="m1", consumer_id="c1", lane="repeat").json()
    assert [item["rank"] for item in repeat["items"]] == [3]


@pytest.mark.parametrize("consumer_id", ["nobody", *INJECTIONS])
def test_an_unknown_consumer_gets_what_is_popular_here_and_is_told_so(ask, consumer_id):
    answer = ask("/v1/recommendations", merchant_id="m2", consumer_id=consumer_id).json()
    assert answer["fallback"] == "popular_in_assortment"
    assert answer["consumer_id"] == consumer_id
    assert [item["sku_id"] for item in answer["items"]] == [f"m2-p{rank}" for rank in range(1, 21)]
    assert {item["lane"] for item in answer["items"]} == {"popular"}


def test_a_consumer_of_another_merchant_is_unknown_here(ask):
    answer = ask("/v1/recommendations", merchant_id="m2", consumer_id="c2").json()
    assert answer["fallback"] == "popular_in_assortment"


@pytest.mark.parametrize("merchant_id", ["nowhere", *INJECTIONS])
def test_an_unknown_merchant_is_a_typed_404(ask, merchant_id):
    answers = [
        ask("/v1/recommendations", merchant_id=merchant_id, consumer_id="c1"),
        ask(f"/v1/prices/{quote(merchant_id, safe='')}"),
        ask(f"/v1/prices/{quote(merchant_id, safe='')}/s00"),
        ask("/v1/reorder-suggestions", merchant_id=merchant_id),
        ask("/v1/wakeup-list", merchant_id=merchant_id),
    ]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:muyun:problem:merchant-not-found"


@pytest.mark.parametrize("text", INJECTIONS)
def test_meta_characters_change_nothing(ask, scores_url, text):
    assert ask("/v1/reorder-suggestions", supplier_id=text).status_code == 404
    assert ask("/v1/clearance-warnings", supplier_id=text).status_code == 404
    assert ask(f"/v1/consumers/{quote(text, safe='')}/profile").status_code == 404
    assert ask(f"/v1/prices/m1/{quote(text, safe='')}").json()["type"].endswith("price-not-found")
    assert ask("/v1/prices/m1", cursor=text).status_code == 422
    with psycopg.connect(libpq_url(scores_url)) as connection:
        assert connection.execute("select count(*) from scores.prices").fetchone() == (26,)


def test_a_price_explains_itself(ask):
    price = ask("/v1/prices/m2/s00").json()["price"]
    assert (price["floor_cents"], price["price_cents"], price["ceiling_cents"]) == (54, 75, 90)
    assert price["printed_formula_cents"] == 77
    assert price["action"] == "await_approval"
    assert price["explanation"] == {"summary": "made by v1", "steps": ["cost", "anchor"]}
    assert ask("/v1/prices/m2/s99").json()["type"] == "urn:muyun:problem:price-not-found"


@pytest.mark.parametrize("limit", [1, 7, 24, 25, 26, 500])
def test_walking_the_pages_yields_every_price_once(ask, limit):
    found, cursor, pages = [], None, 0
    while True:
        page = ask("/v1/prices/m1", limit=limit, **({"cursor": cursor} if cursor else {})).json()
        found += [price["sku_id"] for price in page["prices"]]
        pages += 1
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [f"s{n:02}" for n in range(25)]
    assert pages == -(-25 // limit)


def test_reorder_suggestions_of_a_supplier(ask):
    answer = ask("/v1/reorder-suggestions", supplier_id="s-69", min_qty=1).json()
    assert [(row["sku_id"], row["reorder_qty"]) for row in answer["suggestions"]] == [
        ("s00", 80),
        ("s02", 20),
    ]
    assert answer["shares"] == []
    assert answer["suggestions"][0]["order_by_on"] == "2018-01-02"
    first = ask("/v1/reorder-suggestions", supplier_id="s-69", limit=2).json()
    rest = ask("/v1/reorder-suggestions", supplier_id="s-69", limit=2, cursor=first["next_cursor"]).json()
    assert [row["sku_id"] for row in rest["suggestions"]] == ["s02"]
    assert rest["next_cursor"] is None


def test_reorder_shares_of_a_merchant(ask):
    first = ask("/v1/reorder-suggestions", merchant_id="m1", limit=1).json()
    assert first["suggestions"] == []
    assert first["shares"] == [
        {
            "merchant_id": "m1",
            "supplier_id": "s-69",
            "sku_id": "s00",
            "expected_qty": 40.5,
            "reorder_qty": 50,
            "order_by_on": "2018-01-02",
            "reason_code": "below_target",
        }
    ]
    rest = ask("/v1/reorder-suggestions", merchant_id="m1", limit=1, cursor=first["next_cursor"]).json()
    assert [row["sku_id"] for row in rest["shares"]] == ["s02"]
    # A cursor belongs to its list.
    assert ask("/v1/reorder-suggestions", supplier_id="s-69", cursor=first["next_cursor"]).status_code == 422


def test_grades_by_supplier_and_their_channels(ask):
    first = ask("/v1/supplier-grades", limit=1).json()
    (grade,) = first["grades"]
    assert (grade["supplier_id"], grade["grade"], grade["gate"], grade["channels"]) == ("s-69", "B", None, 2)
    (other,) = ask("/v1/supplier-grades", limit=1, cursor=first["next_cursor"]).json()["grades"]
    assert (other["supplier_id"], other["grade"], other["gate"]) == ("s-70", "D", "licence_expired")
    assert [
        row["supplier_id"] for row in ask("/v1/supplier-grades", supplier_id="s-70").json()["grades"]
    ] == ["s-70"]
    assert ask("/v1/supplier-grades", supplier_id="nobody").status_code == 404
    own = ask("/v1/channel-scores", supplier_id="s-69", limit=1).json()
    assert [(row["category_id"], row["rank"], row["grade"]) for row in own["channels"]] == [
        ("l2-bread", 1, "A")
    ]
    rest = ask("/v1/channel-scores", supplier_id="s-69", cursor=own["next_cursor"]).json()
    assert [row["category_id"] for row in rest["channels"]] == ["l2-milk"]
    assert rest["next_cursor"] is None


def test_channels_of_a_category_by_rank(ask):
    first = ask("/v1/channel-scores", category_id="l2-milk", limit=1).json()
    assert [(row["supplier_id"], row["rank"]) for row in first["channels"]] == [("s-70", 1)]
    rest = ask("/v1/channel-scores", category_id="l2-milk", cursor=first["next_cursor"]).json()
    assert [(row["supplier_id"], row["rank"]) for row in rest["channels"]] == [("s-69", 2)]
    assert ask("/v1/channel-scores", category_id="l2-none").status_code == 404
    assert ask("/v1/channel-scores", category_id="a", supplier_id="b").status_code == 422
    assert ask("/v1/channel-scores").status_code == 422


def test_a_supplier_sees_its_own_grade_only(client, scores_url):
    key = issue_key(
        scores_url, name="s-69", scopes=[Scope.GRADES], role=Role.SUPPLIER, party_id="s-69"
    ).secret

    def asked(path):
        return client.get(path, headers={"X-API-Key": key})

    assert [row["supplier_id"] for row in asked("/v1/supplier-grades").json()["grades"]] == ["s-69"]
    assert asked("/v1/channel-scores?supplier_id=s-69").status_code == 200
    assert asked("/v1/supplier-grades?supplier_id=s-70").status_code == 403
    assert asked("/v1/channel-scores?supplier_id=s-70").status_code == 403
    assert asked("/v1/channel-scores?category_id=l2-milk").status_code == 422


def test_clearance_warnings_of_who_holds_the_stock(ask):
    first = ask("/v1/clearance-warnings", supplier_id="s-69", limit=1).json()
    (warning,) = first["warnings"]
    assert (warning["sku_id"], warning["turnover_rate"], warning["window_days"]) == ("s00", 0.0698, 30)
    assert [cut["cut_bps"] for cut in warning["cuts"]] == [500, 1000, 2000, 3000]
    assert [cut["is_below_floor"] for cut in warning["cuts"]] == [False, False, False, True]
    rest = ask("/v1/clearance-warnings", supplier_id="s-69", limit=1, cursor=first["next_cursor"]).json()
    (unlisted,) = rest["warnings"]
    assert (unlisted["sku_id"], unlisted["price_cents"], unlisted["cuts"][0]["price_cents"]) == (
        "s31", None, None,
    )  # fmt: skip
    assert rest["next_cursor"] is None


def test_clearance_warnings_of_what_a_merchant_sells(ask):
    first = ask("/v1/clearance-warnings", merchant_id="m1", limit=2).json()
    assert [(row["sku_id"], row["supplier_id"]) for row in first["warnings"]] == [
        ("s00", "s-69"),
        ("s00", "s-70"),
    ]
    rest = ask("/v1/clearance-warnings", merchant_id="m1", limit=2, cursor=first["next_cursor"]).json()
    # What m1 has no price for (s31) is not its business.
    assert [(row["sku_id"], row["supplier_id"]) for row in rest["warnings"]] == [("s02", "s-70")]
    assert rest["next_cursor"] is None
    assert [row["sku_id"] for row in ask("/v1/clearance-warnings", merchant_id="m2").json()["warnings"]] == [
        "s00", "s00",
    ]  # fmt: skip
    # A cursor belongs to its list.
    other = ask("/v1/clearance-warnings", supplier_id="s-69", cursor=first["next_cursor"])
    assert other.status_code == 422


def test_wakeup_list_by_rank_with_pages(ask):
    first = ask("/v1/wakeup-list", limit=2).json()
    assert [(entry["consumer_id"], entry["is_control"]) for entry in first["entries"]] == [
        ("c1", False),
        ("c2", True),
    ]
    rest = ask("/v1/wakeup-list", limit=2, cursor=first["next_cursor"]).json()
    assert [entry["consumer_id"] for entry in rest["entries"]] == ["c3"]
    assert [entry["consumer_id"] for entry in ask("/v1/wakeup-list", merchant_id="m2").json()["entries"]] == [
        "c3"
    ]


def test_profile_tags_have_a_status_by_age(ask):
    fresh = ask("/v1/consumers/c1/profile").json()
    assert fresh["schema_matches"] is True
    assert fresh["tags"] == {
        "order_count_28d": {"value": TAGS["order_count_28d"], "status": "present", "refresh": "1d"},
        "last_search": {"value": None, "status": "expired", "refresh": "15m"},  # two hours old
        "favourite_category": {"value": None, "status": "null", "refresh": "1d"},
    }
    assert fresh["classes"]["15m"] == {
        "as_of": "2017-12-31T02:00:00Z",
        "ttl_s": 3600,
        "expires_at": "2017-12-31T03:00:00Z",
    }
    assert ask("/v1/profiles/c1").json() == fresh
    old = ask("/v1/consumers/c2/profile").json()
    assert {tag["status"] for tag in old["tags"].values()} == {"expired"}


def test_a_profile_of_another_tag_schema_is_shown_as_such(ask):
    answer = ask("/v1/consumers/c3/profile").json()
    assert answer["schema_matches"] is False
    assert answer["tags"] == {
        "old_tag": {"value": 1, "status": "present", "refresh": None},
        "empty_tag": {"value": None, "status": "null", "refresh": None},
    }
    assert answer["classes"] == {}


def test_several_profiles_in_the_order_of_the_request(ask):
    answer = ask("/v1/profiles", consumer_id=["c2", "nobody", "c1", "c2"]).json()
    assert [profile["consumer_id"] for profile in answer["profiles"]] == ["c2", "c1"]
    assert answer["unknown"] == ["nobody"]
    alone = ask("/v1/profiles/c1").json()
    assert answer["profiles"][1].items() <= alone.items()
    assert (answer["publication_version"], answer["revision"]) == ("v1", 0)
    assert ask("/v1/profiles").status_code == 422
    assert ask("/v1/profiles", consumer_id=[f"c{n}" for n in range(101)]).status_code == 422
    assert ask("/v1/profiles", consumer_id=["c1", ""]).status_code == 422
    assert ask("/v1/profiles", consumer_id=["\x00"]).status_code == 422


def test_a_profile_that_does_not_fit_its_schema_is_a_typed_500(ask):
    answer = ask("/v1/consumers/c4/profile")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:muyun:problem:profile-unreadable"


def test_rebuy_reminders_by_rank(ask):
    answer = ask("/v1/consumers/c1/rebuy-reminders").json()
    assert [row["category_id"] for row in answer["reminders"]] == ["l3-a", "l3-b"]
    assert ask("/v1/consumers/c2/rebuy-reminders").json()["reminders"] == []
    assert ask("/v1/consumers/nobody/rebuy-reminders").status_code == 404


def test_publications(ask):
    answer = ask("/v1/publications/current").json()
    assert answer["version"] == "v1"
    assert answer["model_versions"] == {"demand_lstm": "3"}
    assert answer["row_counts"]["prices"] == 26
    assert ask("/v1/publications").json()["publications"] == [answer]


def test_documentation_page_needs_nothing_from_outside(client):
    answer = client.get("/v1/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "://" not in answer.text.replace("http://www.w3.org", "")
    assert client.get("/v1/docs/else").headers["content-type"] == "application/problem+json"


def test_metrics_count_by_route_and_hold_no_ids(ask, client):
    ask("/v1/consumers/c1/profile")
    client.get("/nobody/knows/c1-secret")
    text = client.get("/metrics").text
    assert (
        'muyun_http_requests_total{method="GET",route="/v1/consumers/{consumer_id}/profile",status="200"}'
        in text
    )
    assert 'route="unmatched",status="404"' in text
    assert 'muyun_publication_as_of_seconds{version="v1"} 1.5146928e+09' in text
    assert "muyun_database_up 1.0" in text
    assert "c1-secret" not in text
    assert json.dumps(text).count("/v1/consumers/c1") == 0


def test_resilience_of_supply_page_by_page(ask):
    first = ask("/v1/supply-resilience", limit=1).json()
    (category,) = first["categories"]
    assert (category["category_id"], category["main_share"], category["trial_skus"]) == (
        "l2-grocery/milk",
        0.9,
        ["s00"],
    )
    rest = ask("/v1/supply-resilience", limit=1, cursor=first["next_cursor"]).json()
    assert [one["category_id"] for one in rest["categories"]] == ["l2-pens"]
    assert rest["next_cursor"] is None
    of_one = ask("/v1/supply-proposals", category_id="l2-grocery/milk", limit=1).json()
    assert [one["supplier_id"] for one in of_one["proposals"]] == ["s-69"]
    more = ask("/v1/supply-proposals", limit=1, cursor=of_one["next_cursor"]).json()
    assert [(one["supplier_id"], one["proposed_per_day"]) for one in more["proposals"]] == [("s-70", 3.0)]
    assert ask("/v1/supply-proposals", category_id="l2-pens").json()["proposals"] == []
    assert ask("/v1/supply-failures", cursor=first["next_cursor"]).status_code == 422


def test_what_if_a_supplier_fails(ask):
    (failure,) = ask("/v1/supply-failures", supplier_id="s-69").json()["failures"]
    assert (failure["lost_units"], failure["days_until_short"], failure["lost_skus"]) == (42.0, 9, ["s00"])
    assert [one["supplier_id"] for one in ask("/v1/supply-failures").json()["failures"]] == ["s-69", "s-70"]
    assert ask("/v1/supply-failures", supplier_id="nobody").json()["type"].endswith("supplier-not-found")


def test_suggestions_of_assortment_page_by_page(ask):
    first = ask("/v1/assortment-suggestions", limit=1).json()
    (one,) = first["suggestions"]
    assert (one["merchant_id"], one["sku_id"], one["expected_margin_cents"]) == ("m1", "s40", 210)
    assert one["backups"] == [{"supplier_id": "s-70", "grade": "B", "supply_price_cents": 290}]
    assert one["explanation"] == [{"code": "popular_in_scene", "merchants": 83, "place": 18}]
    assert (one["decision"], one["propensity"]) == (None, 1.0)
    rest = ask("/v1/assortment-suggestions", cursor=first["next_cursor"]).json()
    assert [(row["merchant_id"], row["rank"]) for row in rest["suggestions"]] == [("m1", 2), ("m2", 1)]
    assert rest["suggestions"][0]["is_new_product"] is True
    assert rest["next_cursor"] is None
    of_one = ask("/v1/assortment-suggestions", merchant_id="m2").json()
    assert [row["merchant_id"] for row in of_one["suggestions"]] == ["m2"]
    unknown = ask("/v1/assortment-suggestions", merchant_id="nobody").json()
    assert unknown["type"].endswith("merchant-not-found")
