"""Every cell of role x endpoint x owner against the running application, as its OpenAPI document has them."""

import secrets

import psycopg
import pytest
from litestar.routes import HTTPRoute
from litestar.testing import TestClient
from published_scores import SCHEMA
from role_matrix import PARTY_ROLES, ROLES, endpoints_of, parties_named, request_of

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.authority import AUTHORITIES
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, Scope, hash_key, issue_key

OWN = {role: f"own-{role}" for role in PARTY_ROLES}
WITHOUT_A_KEY = {
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    # The signature of the payment channel is the proof.
    "POST /v1/channels/{channel_id}/notices",
    # That of the supplier's system is.
    "POST /v1/stock-pushes/{source_id}",
    # Whoever has the link may follow it.
    "GET /l/{code}",
}


@pytest.fixture(scope="module")
def matrix(scores_url, settings):
    """The application with keys that are looked up once, its document and its endpoints."""
    app = create_app(settings.model_copy(update={"key_cache_s": 3600.0}), scores_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:
        document = client.get("/v1/openapi.json").json()
        yield Matrix(scores_url, client, document)


class Matrix:
    def __init__(self, url, client, document):
        self.url, self.client, self.document = url, client, document
        self.endpoints, self.open_to_all = endpoints_of(document)
        self._keys = {}

    def issued(self, role, scopes):
        """A key as the operator issues it, which refuses scopes beyond the role."""
        known = self._keys.get((role, scopes))
        if known is None:
            known = issue_key(
                self.url, name=f"{role} key", role=role, party_id=OWN.get(role), scopes=sorted(scopes)
            ).secret
            self._keys[role, scopes] = known
        return known

    def forced(self, role, scope):
        """A key with a scope whatever the role: not by `issue_key`, so that only the route can refuse it."""
        name = (role, scope, "forced")
        if name not in self._keys:
            key = f"muyun_forced_{secrets.token_urlsafe(16)}"
            with psycopg.connect(libpq_url(self.url)) as connection:
                connection.execute(
                    "insert into ops.api_key (key_id, key_hash, name, scopes, role, party_id)"
                    " values (%s, %s, 'forced', %s, %s, %s)",
                    (secrets.token_hex(6), hash_key(key), [scope], role, OWN.get(role)),
                )
            self._keys[name] = key
        return self._keys[name]

    def ask(self, endpoint, key, parties):
        path, query, headers = request_of(self.document, endpoint, parties)
        if key is not None:
            headers["X-API-Key"] = key
        return self.client.request(
            endpoint.method.upper(), path, params=query, headers=headers, json=endpoint.body
        )


def problem_type(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.json()["type"].removeprefix("urn:muyun:problem:")


def failures(cells):
    """The cells that are not as they should be, all at once."""
    return [f"{name}: {found}" for name, found, expected in cells if found != expected]


def test_only_the_machinery_of_the_service_and_payment_channels_need_no_key(matrix):
    assert matrix.open_to_all == WITHOUT_A_KEY
    assert len(matrix.endpoints) >= 10


def test_every_route_declares_roles_that_may_hold_its_scope(matrix):
    impossible = [
        f"{endpoint.name}: {role} may not hold {endpoint.scope}"
        for endpoint in matrix.endpoints
        for role in endpoint.roles
        if Scope(endpoint.scope) not in ROLE_SCOPES[Role(role)]
    ]
    assert impossible == []
    assert [endpoint.name for endpoint in matrix.endpoints if not endpoint.roles] == []
    assert {endpoint.owner for endpoint in matrix.endpoints} <= {None, *PARTY_ROLES}


def test_every_writing_route_states_a_fact_and_lets_in_whom_its_authority_names(matrix):
    writing = {one.name: one.roles for one in matrix.endpoints if one.method != "get"}
    # What needs no key proves itself by a signature: no role states it.
    writing |= {name: frozenset() for name in matrix.open_to_all if not name.startswith("GET ")}
    stated = {route: one.roles for one in AUTHORITIES for route in one.routes}
    assert sorted(writing.keys() ^ stated.keys()) == []
    assert [name for name, roles in writing.items() if roles != stated[name]] == []


def test_a_route_says_of_itself_what_the_table_says(matrix):
    declared = {
        f"{method} {route.path_format}": handler.opt["roles"]
        for route in matrix.client.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if "roles" in handler.opt
    }
    other = [
        (route, sorted(declared[route]), sorted(one.roles))
        for one in AUTHORITIES
        for route in one.routes
        if one.roles and declared[route] != one.roles
    ]
    assert other == []


def test_no_key_no_answer(matrix):
    cells = [
        (endpoint.name, matrix.ask(endpoint, None, parties_named("own")).status_code, 401)
        for endpoint in matrix.endpoints
    ]
    assert failures(cells) == []


def test_the_right_role_with_the_scope_is_let_in(matrix):
    cells = []
    for endpoint in matrix.endpoints:
        for role in sorted(endpoint.roles):
            # A key of a party on the route of another kind of party reaches no named party: see below.
            if role in PARTY_ROLES and endpoint.names_its_owner and not endpoint.is_for(role):
                continue
            key = matrix.issued(role, frozenset({endpoint.scope}))
            answer = matrix.ask(endpoint, key, parties_named("own", role))
            inside = answer.status_code not in (401, 403, 405, 429) and answer.status_code < 500
            found = "let in" if inside else f"{answer.status_code} {answer.text[:200]}"
            cells.append((f"{role} {endpoint.name}", found, "let in"))
    assert failures(cells) == []


def test_the_wrong_role_is_refused_even_with_the_scope(matrix):
    cells = []
    for endpoint in matrix.endpoints:
        for role in sorted(set(ROLES) - endpoint.roles):
            answer = matrix.ask(endpoint, matrix.forced(role, endpoint.scope), parties_named("own", role))
            cells.append(
                (
                    f"{role} {endpoint.name}",
                    (answer.status_code, problem_type(answer)),
                    (403, "role-not-allowed"),
                )
            )
    assert failures(cells) == []
    assert cells


def test_the_right_role_without_the_scope_is_refused(matrix):
    cells = []
    for endpoint in matrix.endpoints:
        for role in sorted(endpoint.roles):
            others = ROLE_SCOPES[Role(role)] - {endpoint.scope}
            answer = matrix.ask(endpoint, matrix.issued(role, frozenset(others)), parties_named("own", role))
            cells.append(
                (
                    f"{role} {endpoint.name}",
                    (answer.status_code, problem_type(answer)),
                    (403, "scope-missing"),
                )
            )
    assert failures(cells) == []


def test_a_party_that_the_request_names_is_the_keys_own_or_403(matrix):
    cells = []
    for endpoint in matrix.endpoints:
        if not endpoint.names_its_owner:
            continue
        for role in sorted(endpoint.roles & set(PARTY_ROLES)):
            key = matrix.issued(role, frozenset({endpoint.scope}))
            answer = matrix.ask(endpoint, key, parties_named("other", role))
            cells.append(
                (
                    f"{role} {endpoint.name}",
                    (answer.status_code, problem_type(answer)),
                    (403, f"{role}-out-of-scope"),
                )
            )
    assert failures(cells) == []
    assert cells


def test_the_role_of_no_party_reaches_every_party(matrix):
    cells = []
    for endpoint in matrix.endpoints:
        if not endpoint.names_its_owner:
            continue
        for role in sorted(endpoint.roles - set(PARTY_ROLES)):
            key = matrix.issued(role, frozenset({endpoint.scope}))
            answer = matrix.ask(endpoint, key, parties_named("other", role))
            cells.append((f"{role} {endpoint.name}", answer.status_code in (401, 403), False))
    assert failures(cells) == []


@pytest.mark.parametrize("resource", ["reorder-suggestions", "clearance-warnings"])
def test_the_supplier_and_the_merchant_of_a_reorder_list(matrix, resource):
    supplier = matrix.issued("supplier", frozenset({"reorder:read"}))
    merchant = matrix.issued("merchant", frozenset({"reorder:read"}))

    def status(key, **query):
        answer = matrix.client.get(f"/v1/{resource}", params=query, headers={"X-API-Key": key})
        return answer.status_code

    assert status(supplier, supplier_id="own-supplier") == 404
    assert status(merchant, merchant_id="own-merchant") == 404
    assert status(supplier, supplier_id="s-69") == 403
    assert status(supplier, merchant_id="own-supplier") == 403
    assert status(merchant, merchant_id="m1") == 403
    assert status(merchant, supplier_id="own-merchant") == 403


def test_a_key_for_options_is_enough(matrix):
    key = matrix.issued("agent", frozenset({"publications:read"}))
    answer = matrix.client.options("/v1/publications", headers={"X-API-Key": key})
    assert answer.status_code == 204
    assert "GET" in answer.headers["allow"]
    assert matrix.client.options("/v1/publications").status_code == 401
