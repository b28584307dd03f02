import io
import json
import time

import pytest
import structlog
from litestar.testing import TestClient
from published_scores import SCHEMA, manifest_of, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db import migrate
from serving.db.embedded import EmbeddedPostgres
from serving.scores.loader import publish, rollback
from serving.security import Scope, issue_key

FIELDS = {"type", "title", "status", "detail", "instance", "request_id"}


def problem(answer, status, slug):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document.keys() >= FIELDS
    assert document["type"] == f"urn:muyun:problem:{slug}"
    assert document["status"] == status
    assert document["instance"] == answer.request.url.path
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/nothing", "/v2/prices/m1", "/v1/prices", "/v1/consumers/c1"]
)
def test_unknown_paths(client, path):
    assert "/v1/docs" in problem(client.get(path), 404, "route-not-found")["remedy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_wrong_methods(client, method):
    answer = client.request(method, "/v1/publications")
    problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "parameters", "named"),
    [
        ("/v1/recommendations", {"merchant_id": "m1"}, "consumer_id"),
        ("/v1/recommendations", {"merchant_id": "", "consumer_id": "c1"}, "merchant_id"),
        ("/v1/recommendations", {"merchant_id": "m1", "consumer_id": "c" * 129}, "consumer_id"),
        ("/v1/recommendations", {"merchant_id": "m1", "consumer_id": "c\x001"}, "consumer_id"),
        ("/v1/recommendations", {"merchant_id": "m1", "consumer_id": "c1", "limit": 0}, "limit"),
        ("/v1/recommendations", {"merchant_id": "m1", "consumer_id": "c1", "limit": 101}, "limit"),
        ("/v1/recommendations", {"merchant_id": "m1", "consumer_id": "c1", "limit": "ten"}, "limit"),
        ("/v1/recommendations", {"merchant_id": "m1", "consumer_id": "c1", "lane": "fast"}, "lane"),
        ("/v1/prices/m1", {"limit": 501}, "limit"),
        ("/v1/prices/m1", {"cursor": "WyJwcmljZXMiLCJ2MSIsWzFdXQ"}, "cursor"),
        ("/v1/prices/m1", {"cursor": "x" * 601}, "cursor"),
        ("/v1/prices/m%00", {}, "merchant_id"),
        ("/v1/reorder-suggestions", {}, "supplier_id"),
        ("/v1/reorder-suggestions", {"supplier_id": "s", "merchant_id": "m1"}, "supplier_id"),
        ("/v1/reorder-suggestions", {"supplier_id": "s", "min_qty": -1}, "min_qty"),
        ("/v1/reorder-suggestions", {"supplier_id": "s", "min_qty": 10**30}, "min_qty"),
        ("/v1/clearance-warnings", {}, "supplier_id"),
        ("/v1/channel-scores", {}, "supplier_id"),
        ("/v1/clearance-warnings", {"supplier_id": "s", "merchant_id": "m1"}, "supplier_id"),
        ("/v1/wakeup-list", {"limit": ""}, "limit"),
    ],
)
def test_faulty_parameters_are_named(ask, path, parameters, named):
    document = problem(ask(path, **parameters), 422, "invalid-parameter")
    assert named in document["detail"]


def test_bytes_that_are_no_text_break_nothing(client, scores_url):
    key = issue_key(scores_url, name="bytes", scopes=list(Scope)).secret
    for path in ("/v1/recommendations?merchant_id=m1&consumer_id=%ff%fe", "/v1/consumers/%ff%fe/profile"):
        answer = client.get(path, headers={"X-API-Key": key})
        assert answer.status_code in (200, 404, 422)


def test_request_ids_are_kept_or_made(client):
    assert (
        client.get("/health/live", headers={"X-Request-Id": "shop-42.a_B"}).headers["x-request-id"]
        == "shop-42.a_B"
    )
    made = client.get("/health/live").headers["x-request-id"]
    assert len(made) == 16
    assert client.get("/health/live").headers["x-request-id"] != made
    for bad in ("with space", "x" * 65, "a;b", ""):
        assert client.get("/health/live", headers={"X-Request-Id": bad}).headers["x-request-id"] != bad


def test_nothing_published_is_a_typed_503(database_url, settings):
    key = issue_key(database_url, name="early", scopes=list(Scope)).secret
    with TestClient(create_app(settings, database_url, ProfileReader(SCHEMA))) as client:
        for path in (
            "/v1/recommendations?merchant_id=m1&consumer_id=c1",
            "/v1/prices/m1",
            "/v1/prices/m1/s00",
            "/v1/reorder-suggestions?supplier_id=s",
            "/v1/reorder-suggestions?merchant_id=m1",
            "/v1/clearance-warnings?supplier_id=s",
            "/v1/clearance-warnings?merchant_id=m1",
            "/v1/supplier-grades",
            "/v1/channel-scores?supplier_id=s",
            "/v1/channel-scores?category_id=c",
            "/v1/supply-resilience",
            "/v1/assortment-suggestions",
            "/v1/supply-proposals",
            "/v1/supply-failures?supplier_id=s-69",
            "/v1/wakeup-list",
            "/v1/consumers/c1/profile",
            "/v1/consumers/c1/rebuy-reminders",
            "/v1/publications/current",
        ):
            problem(client.get(path, headers={"X-API-Key": key}), 503, "no-publication")
        problem(client.get("/health/ready"), 503, "no-publication")
        assert client.get("/v1/publications", headers={"X-API-Key": key}).json()["publications"] == []
        assert client.get("/health/live").status_code == 200


def test_pages_stay_in_their_version_until_it_is_gone(database_url, settings):
    key = issue_key(database_url, name="walker", scopes=list(Scope)).secret
    headers = {"X-API-Key": key}
    first, second, third = (small_tables(version) for version in ("v1", "v2", "v3"))
    publish(database_url, manifest_of("v1", first), first)
    with TestClient(create_app(settings, database_url, ProfileReader(SCHEMA))) as client:

        def walk(cursor=None):
            parameters = {"limit": 10, **({"cursor": cursor} if cursor else {})}
            return client.get("/v1/prices/m1", params=parameters, headers=headers)

        page = walk().json()
        publish(database_url, manifest_of("v2", second, sha="b"), second)
        following = walk(page["next_cursor"])
        assert following.json()["publication_version"] == "v1"
        assert following.headers["muyun-publication"] == "v1"
        assert {price["explanation"]["summary"] for price in following.json()["prices"]} == {"made by v1"}
        assert walk().json()["publication_version"] == "v2"
        publish(database_url, manifest_of("v3", third, sha="c"), third, keep_versions=1)
        problem(walk(page["next_cursor"]), 410, "cursor-expired")
        assert walk().json()["publication_version"] == "v3"


def test_versions_are_listed_page_by_page(database_url, settings):
    key = issue_key(database_url, name="lister", scopes=list(Scope)).secret
    for number in range(4):
        tables = small_tables()
        publish(database_url, manifest_of(f"v{number}", tables), tables)
    rollback(database_url)
    with TestClient(create_app(settings, database_url, ProfileReader(SCHEMA))) as client:
        found, cursor = [], None
        while True:
            parameters = {"limit": 3, **({"cursor": cursor} if cursor else {})}
            page = client.get("/v1/publications", params=parameters, headers={"X-API-Key": key}).json()
            fields = ("version", "status", "is_current", "is_pinned")
            found += [tuple(row[name] for name in fields) for row in page["publications"]]
            if (cursor := page["next_cursor"]) is None:
                break
    assert found == [
        ("v3", "withdrawn", False, False),
        ("v2", "loaded", True, True),
        ("v1", "loaded", False, False),
        ("v0", "loaded", False, False),
    ]


def test_missing_tables_are_a_503_with_a_remedy(database_url, settings):
    migrate.downgrade(database_url)
    with TestClient(create_app(settings, database_url, ProfileReader(SCHEMA))) as client:
        problem(client.get("/health/ready"), 503, "database-unavailable")


def test_an_unexpected_failure_is_a_500_without_its_text(scores_url, settings):
    app = create_app(settings, scores_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:
        app.state.score_pool = None
        document = problem(client.get("/health/ready"), 500, "internal-error")
        assert "NoneType" not in json.dumps(document)


def test_postgres_down_is_a_503_and_recovers_by_itself(private_folder, settings):
    cluster = EmbeddedPostgres(private_folder / "postgres", configuration={"shared_buffers": "16MB"})
    try:
        url = cluster.start().url()
        migrate.upgrade(url)
        tables = small_tables()
        publish(url, manifest_of("v1", tables), tables)
        key = issue_key(url, name="k", scopes=list(Scope)).secret
        with TestClient(create_app(settings, url, ProfileReader(SCHEMA))) as client:

            def ask():
                return client.get("/v1/prices/m1/s00", headers={"X-API-Key": key})

            assert ask().status_code == 200
            cluster.stop()
            started = time.perf_counter()
            for _ in range(3):
                document = problem(ask(), 503, "database-unavailable")
            assert time.perf_counter() - started < 20
            assert "serving.db.embedded start" in document["remedy"]
            problem(client.get("/health/ready"), 503, "database-unavailable")
            assert client.get("/health/live").status_code == 200
            assert "muyun_database_up 0.0" in client.get("/metrics").text
            cluster.start()
            assert ask().status_code == 200
            assert "muyun_database_up 1.0" in client.get("/metrics").text
    finally:
        cluster.stop()


def test_the_log_has_one_line_a_request_and_no_personal_values(scores_url, settings, capfdbinary):
    structlog.reset_defaults()
    loud = settings.model_copy(update={"log_level": "INFO"})
    key = issue_key(scores_url, name="logged", scopes=list(Scope))
    with TestClient(create_app(loud, scores_url, ProfileReader(SCHEMA))) as client:
        client.get(
            "/v1/recommendations",
            params={"merchant_id": "m1", "consumer_id": "very-personal"},
            headers={"X-API-Key": key.secret, "X-Request-Id": "r-1"},
        )
        client.get("/v1/consumers/very-personal/profile", headers={"X-API-Key": key.secret})
    lines = [json.loads(line) for line in io.BytesIO(capfdbinary.readouterr().err) if line.startswith(b"{")]
    structlog.reset_defaults()
    first, second = [line for line in lines if line["event"] == "request"]
    assert first["request_id"] == "r-1"
    assert (first["route"], first["status"]) == ("/v1/recommendations", 200)
    assert (first["key_id"], first["publication"]) == (key.key_id, "v1")
    assert (second["route"], second["status"]) == ("/v1/consumers/{consumer_id}/profile", 404)
    assert first["ms"] > 0
    assert "very-personal" not in json.dumps(lines)
    assert key.secret not in json.dumps(lines)
