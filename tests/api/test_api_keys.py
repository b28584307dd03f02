import json

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA

from feature_store.online import ProfileReader
from serving import keys
from serving.app import create_app
from serving.db.urls import libpq_url
from serving.errors import ApiKeyError
from serving.security import ROLE_SCOPES, Authenticator, Role, Scope, issue_key, revoke_key

NEEDS = {
    "/v1/recommendations?merchant_id=m1&consumer_id=c1": Scope.RECOMMENDATIONS,
    "/v1/prices/m1": Scope.PRICES,
    "/v1/prices/m1/s00": Scope.PRICES,
    "/v1/reorder-suggestions?merchant_id=m1": Scope.REORDER,
    "/v1/reorder-suggestions?supplier_id=s-69": Scope.REORDER,
    "/v1/clearance-warnings?merchant_id=m1": Scope.REORDER,
    "/v1/clearance-warnings?supplier_id=s-69": Scope.REORDER,
    "/v1/supplier-grades": Scope.GRADES,
    "/v1/supply-resilience": Scope.REORDER,
    "/v1/supply-proposals": Scope.REORDER,
    "/v1/supply-failures": Scope.REORDER,
    "/v1/wakeup-list": Scope.WAKEUP,
    "/v1/consumers/c1/profile": Scope.PROFILES,
    "/v1/consumers/c1/rebuy-reminders": Scope.PROFILES,
    "/v1/publications": Scope.PUBLICATIONS,
    "/v1/publications/current": Scope.PUBLICATIONS,
}


@pytest.fixture(scope="module")
def secrets(scores_url):
    """A key for every scope alone, and one of the merchant m1 with all scopes but the control share."""
    found = {scope: issue_key(scores_url, name=scope, scopes=[scope]).secret for scope in Scope}
    own = sorted(ROLE_SCOPES[Role.MERCHANT] - {Scope.WAKEUP_CONTROL})
    found["m1"] = issue_key(scores_url, name="m1", scopes=own, merchant_id="m1").secret
    return found


@pytest.fixture(scope="module")
def stranger(scores_url, settings):
    """An application of its own: who tries wrong keys there slows nobody down here."""
    with TestClient(create_app(settings, scores_url, ProfileReader(SCHEMA))) as made:
        yield made


def problem(answer, status, slug):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:muyun:problem:{slug}"
    assert document["status"] == status
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


@pytest.mark.parametrize("path", NEEDS)
@pytest.mark.parametrize("scope", list(Scope))
def test_every_resource_needs_exactly_its_scope(client, secrets, path, scope):
    answer = client.get(path, headers={"X-API-Key": secrets[scope]})
    if scope == NEEDS[path]:
        assert answer.status_code == 200
    else:
        document = problem(answer, 403, "scope-missing")
        assert NEEDS[path] in document["detail"]


@pytest.mark.parametrize("path", NEEDS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "muyun_x_wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic bXV5dW46eA=="},
        {"X-API-Key": "' or 1=1 --"},
    ],
)
def test_without_a_valid_key_nothing_is_told(stranger, path, headers):
    answer = stranger.get(path, headers=headers)
    assert answer.status_code in (401, 429)  # who tries many wrong keys is slowed down
    assert "muyun-publication" not in answer.headers
    if answer.status_code == 401:
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_both_ways_to_send_a_key(client, secrets):
    key = secrets[Scope.PRICES]
    assert client.get("/v1/prices/m1", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert client.get("/v1/prices/m1", headers={"authorization": f"bearer {key}"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/recommendations?merchant_id=m2&consumer_id=c1",
        "/v1/recommendations?merchant_id=nowhere&consumer_id=c1",
        "/v1/prices/m2",
        "/v1/prices/m2/s00",
        "/v1/reorder-suggestions?merchant_id=m2",
        "/v1/reorder-suggestions?supplier_id=s-69",
        "/v1/clearance-warnings?merchant_id=m2",
        "/v1/clearance-warnings?supplier_id=s-69",
        "/v1/wakeup-list?merchant_id=m2",
    ],
)
def test_a_merchants_key_sees_no_other_merchant(client, secrets, path):
    problem(client.get(path, headers={"X-API-Key": secrets["m1"]}), 403, "merchant-out-of-scope")


def test_a_merchants_key_sees_its_own(client, secrets):
    def ask(path):
        return client.get(path, headers={"X-API-Key": secrets["m1"]})

    assert ask("/v1/prices/m1/s00").status_code == 200
    assert ask("/v1/consumers/c2/profile").status_code == 200
    assert ask("/v1/consumers/c1/rebuy-reminders").json()["reminders"]
    # c3 is on the wake-up list of m2 only, c4 belongs to nobody: as if they did not exist.
    for consumer in ("c3", "c4", "nobody"):
        problem(ask(f"/v1/consumers/{consumer}/profile"), 404, "consumer-not-found")
        problem(ask(f"/v1/consumers/{consumer}/rebuy-reminders"), 404, "consumer-not-found")


def test_the_control_share_is_hidden_from_keys_without_its_scope(client, secrets, scores_url):
    own = client.get("/v1/wakeup-list", headers={"X-API-Key": secrets["m1"]}).json()["entries"]
    assert [entry["consumer_id"] for entry in own] == ["c1"]
    assert "is_control" not in own[0]
    operator = client.get("/v1/wakeup-list", headers={"X-API-Key": secrets[Scope.WAKEUP]}).json()["entries"]
    assert [entry["consumer_id"] for entry in operator] == ["c1", "c3"]
    both = issue_key(
        scores_url, name="m1 with control", scopes=[Scope.WAKEUP, Scope.WAKEUP_CONTROL], merchant_id="m1"
    )
    seen = client.get("/v1/wakeup-list", headers={"X-API-Key": both.secret}).json()["entries"]
    assert [(entry["consumer_id"], entry["is_control"]) for entry in seen] == [("c1", False), ("c2", True)]


def test_a_key_over_its_rate_waits_and_others_do_not(client, scores_url, secrets):
    slow = issue_key(scores_url, name="slow", scopes=[Scope.PRICES], rate_per_s=0.5, burst=3).secret
    answers = [client.get("/v1/prices/m1/s00", headers={"X-API-Key": slow}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    problem(answers[3], 429, "too-many-requests")
    assert 1 <= int(answers[3].headers["retry-after"]) <= 2
    assert client.get("/v1/prices/m1", headers={"X-API-Key": secrets[Scope.PRICES]}).status_code == 200


def test_trying_many_wrong_keys_is_slowed_down(scores_url, settings):
    with TestClient(create_app(settings, scores_url, ProfileReader(SCHEMA))) as fresh:
        statuses = [
            fresh.get("/v1/publications", headers={"X-API-Key": f"muyun_guess_{n}"}).status_code
            for n in range(70)
        ]
    assert statuses[:40] == [401] * 40
    assert 429 in statuses


def test_wrong_keys_are_refused_before_the_database_in_all_processes_together(
    scores_url, settings, tmp_path, monkeypatch
):
    """Two applications share the file that a server gives its processes; 50 look-ups are all there is."""
    asked = []

    async def look_up(self, digest):
        asked.append(digest)
        return await known(self, digest)

    known = Authenticator._look_up
    monkeypatch.setattr(Authenticator, "_look_up", look_up)
    shared = settings.model_copy(update={"limits_file": tmp_path / "limits", "key_cache_s": 60.0})
    key = issue_key(scores_url, name="operator", scopes=[Scope.PUBLICATIONS]).secret
    apps = [create_app(shared, scores_url, ProfileReader(SCHEMA)) for _ in range(2)]

    def send(client, key):
        return client.get("/v1/publications", headers={"X-API-Key": key}).status_code

    with TestClient(apps[0]) as one, TestClient(apps[1]) as other:
        assert send(one, key) == 200
        answers = [send((one, other)[number % 2], f"wrong-{number}") for number in range(120)]
        assert answers[:50] == [401] * 50
        assert set(answers[50:]) <= {401, 429}
        assert answers[-1] == 429
        assert answers.count(401) == len(asked) - 1 <= 80, "a refused key does not reach the database"
        assert send(one, key) == 200, "a known key from the same address still works"


def test_a_revoked_key_ends(client, scores_url):
    key = issue_key(scores_url, name="short", scopes=[Scope.PRICES])
    assert client.get("/v1/prices/m1", headers={"X-API-Key": key.secret}).status_code == 200
    revoke_key(scores_url, key.key_id)
    problem(client.get("/v1/prices/m1", headers={"X-API-Key": key.secret}), 401, "unauthorized")
    with pytest.raises(ApiKeyError, match="no working key"):
        revoke_key(scores_url, key.key_id)


def test_a_looked_up_key_is_trusted_for_the_cache_time(scores_url, settings):
    cached = settings.model_copy(update={"key_cache_s": 600.0})
    key = issue_key(scores_url, name="cached", scopes=[Scope.PRICES])
    with TestClient(create_app(cached, scores_url, ProfileReader(SCHEMA))) as fresh:
        assert fresh.get("/v1/prices/m1", headers={"X-API-Key": key.secret}).status_code == 200
        revoke_key(scores_url, key.key_id)
        assert fresh.get("/v1/prices/m1", headers={"X-API-Key": key.secret}).status_code == 200


def test_only_hashes_are_stored(scores_url, secrets):
    with psycopg.connect(libpq_url(scores_url)) as connection:
        stored = connection.execute("select row_to_json(k)::text from ops.api_key k").fetchall()
    text = json.dumps(stored)
    assert not [secret for secret in secrets.values() if secret in text or secret.split("_", 2)[-1] in text]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scopes": []}, "unknown scopes"),
        ({"scopes": ["prices:write"]}, "prices:write"),
        ({"name": " "}, "needs a name"),
        ({"rate_per_s": 0.0}, "above 0"),
        ({"burst": 0}, "above 0"),
    ],
)
def test_wrong_keys_are_not_made(scores_url, arguments, message):
    wanted = {"name": "x", "scopes": [Scope.PRICES], **arguments}
    with pytest.raises(ApiKeyError, match=message):
        issue_key(scores_url, **wanted)


def test_command_line(scores_url, monkeypatch, capsys, client):
    monkeypatch.setenv("MUYUN_DATABASE_URL", scores_url)
    create = ["create", "--name", "shop front", "--scopes", "prices:read", "wakeup:read", "--merchant", "m1"]
    assert keys.main(create) == 0
    output = capsys.readouterr()
    secret = output.out.strip()
    key_id = secret.split("_")[1]
    assert key_id in output.err
    assert client.get("/v1/prices/m1", headers={"X-API-Key": secret}).status_code == 200
    assert keys.main(["list"]) == 0
    listed = capsys.readouterr().out
    assert f"{key_id}  works    shop front  merchant m1  prices:read wakeup:read" in listed
    assert secret not in listed
    assert keys.main(["revoke", key_id]) == 0
    assert keys.main(["revoke", key_id]) == 1
    assert keys.main(["create", "--name", "x", "--scopes", "everything"]) == 1
    assert "choose from" in capsys.readouterr().err


@pytest.mark.parametrize(("said", "tenant"), [([], "east"), (["--tenant", "west"], "west")])
def test_a_key_is_of_the_installations_tenant_unless_another_is_named(scores_url, monkeypatch, said, tenant):
    monkeypatch.setenv("MUYUN_DATABASE_URL", scores_url)
    monkeypatch.setenv("MUYUN_TENANT", "east")
    name = f"key of {tenant}"
    assert keys.main(["create", "--name", name, "--scopes", "prices:read", *said]) == 0
    with psycopg.connect(libpq_url(scores_url)) as conn:
        found = conn.execute("select tenant_id from ops.api_key where name = %s", (name,)).fetchall()
    assert found == [(tenant,)]
