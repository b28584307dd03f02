"""Which role sees which field: every field of every answer about one order, its parties and its money."""

import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from role_matrix import PARTY_ROLES, endpoints_of, request_of
from small_market import NOW, Shop
from visible_fields import HIDDEN

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("visible_fields")  # one world for all, in order

NAMED = {"merchant_id": "m1", "supplier_id": "S1", "agent_id": "ag", "order_id": "o1", "consumer_id": "c1"}
OWN = {"merchant": "m1", "supplier": "S1", "agent": "ag"}
LIVED = (
    ("supplier", "/v1/orders/o1/suborders/S1/accept", {}),
    (
        "supplier",
        "/v1/orders/o1/suborders/S1/shipments",
        {"shipment_id": "p1", "promised_at": "2026-11-09T00:00:00Z"},
    ),
    ("merchant", "/v1/orders/o1/receipt", {}),
    (
        "merchant",
        "/v1/orders/o1/after-sales",
        {"line_no": 1, "kind": "complaint", "reason_code": "torn", "requested_cents": 300},
    ),
)
"""What happens to the order before anybody looks."""


def seen_in(document, prefix=""):
    """Names of the fields of an answer that hold something; of a list those of any row."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from seen_in(value, f"{prefix}.{name}" if prefix else name)
    elif isinstance(document, list):
        for value in document:
            yield from seen_in(value, f"{prefix}[]")
    elif document is not None:
        yield prefix


@pytest.fixture(scope="module")
def market(scores_url, settings):
    """A client, a key a role and the OpenAPI document, over one order that was received and is disputed."""
    with Operations(scores_url, size=2) as operations:
        shop = Shop(scores_url, operations)
        shop.plan()
        shop.list("tea", 1000)
        shop.supply("S1", "tea", 50, price=600, freight=100)
        shop.supply("S2", "tea", 50, price=900, freight=100)
        shop.agent("ag")
        shop.place("o1", ("tea", 2), agent_id="ag")
        shop.pay("o1", fee=12)
    keys = {
        role: issue_key(
            scores_url, name=role, role=role, party_id=OWN.get(role), scopes=sorted(ROLE_SCOPES[Role(role)])
        ).secret
        for role in ("operator", "auditor", *PARTY_ROLES)
    }
    now = settings.model_copy(update={"key_cache_s": 60.0, "as_of": NOW})
    app = create_app(now, scores_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:
        for role, path, body in LIVED:
            headers = {"X-API-Key": keys[role], "Idempotency-Key": path.rpartition("/")[2]}
            done = client.post(path, json=body, headers=headers)
            assert done.status_code in (200, 201), done.text
        yield client, keys, client.get("/v1/openapi.json").json()


@pytest.fixture(scope="module")
def seen(market):
    """Route to role to the fields that it sees."""
    client, keys, document = market
    found = {}
    for endpoint in endpoints_of(document)[0]:
        for role in sorted(endpoint.roles) if endpoint.method == "get" else ():
            party = {"party_type": role if role in OWN else "supplier", "party_id": OWN.get(role, "S1")}
            path, query, headers = request_of(document, endpoint, {**NAMED, **party})
            # A party does not ask for another kind of party's rows.
            strange = {f"{kind}_id" for kind in OWN if role in OWN and kind != role}
            query = {name: value for name, value in query.items() if name not in strange}
            answer = client.get(path, params=query, headers={"X-API-Key": keys[role], **headers})
            if answer.status_code == 200 and "json" in answer.headers["content-type"]:
                found.setdefault(endpoint.path, {})[role] = set(seen_in(answer.json()))
    return found


def is_hidden(route, field, role):
    return any(
        role in roles and (field == name or field.startswith((f"{name}[", f"{name}.")))
        for name, roles in HIDDEN.get(route, {}).items()
    )


def test_every_role_sees_the_fields_of_the_table_and_no_others(seen):
    assert {"/v1/orders/{order_id}", "/v1/settlements/{order_id}/explain", "/v1/orders"} <= seen.keys()
    assert len(seen) > 20
    wrong, compared = [], 0
    for route, by_role in seen.items():
        for field in set().union(*by_role.values()):
            rows = field.rpartition("[]")[0]
            for role, fields in by_role.items():
                # A list that is empty for a role says nothing of the fields of its rows.
                is_empty = rows and not any(other.startswith(f"{rows}[]") for other in fields)
                if is_empty and not is_hidden(route, field, role):
                    continue
                compared += 1
                if (field in fields) == is_hidden(route, field, role):
                    wrong.append(f"{route} {field}: {role} {'sees it' if field in fields else 'does not'}")
    assert wrong == []
    assert compared > 500


def test_the_table_names_fields_that_somebody_sees(seen):
    unknown = [
        f"{route} {name}"
        for route, fields in HIDDEN.items()
        for name in fields
        if not any(
            field == name or field.startswith((f"{name}[", f"{name}."))
            for fields_of in seen[route].values()
            for field in fields_of
        )
    ]
    assert unknown == []


def test_nothing_that_is_computed_from_a_hidden_value_is_told(market):
    """Net paid 20.00, supply 12.00, fee 0.12: the pool and the margin stay with those who see both sides."""
    client, keys, _ = market

    def formulas(role):
        answer = client.get("/v1/settlements/o1/explain", headers={"X-API-Key": keys[role]})
        return {leg["kind"]: leg["formula"] for leg in answer.json()["legs"]}

    assert "pool left" in formulas("operator")["direct"]
    assert formulas("agent") == {"direct": "floor(20.00 x 20.00%) = 4.00; not cut"}
    assert set(formulas("supplier").values()) == {"freight passed on 2.00", "supply price 12.00"}
    case = client.get("/v1/orders/o1", headers={"X-API-Key": keys["supplier"]}).json()["after_sales"][0]
    assert (case["line_no"], case["requested_cents"], case["refund_cents"]) == (1, None, None)
