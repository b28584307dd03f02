import pytest
from litestar import Litestar, get
from litestar.datastructures import State
from litestar.testing import TestClient

from serving.problems import ApiError, exception_handlers
from serving.security import Principal, Role, Scope, declared_access, require_scope
from serving.security.openapi import describe_access

AUDIT, OWN, PARTY = Scope.AUDIT_READ, Scope.SETTLEMENT_READ, Scope.ORDERS_READ
EVERYBODY = frozenset(Role)
ALL_SCOPES = frozenset(Scope)
PRINCIPALS = {
    "operator": Principal("k1", "t", Role.OPERATOR, None, ALL_SCOPES),
    "auditor": Principal("k2", "t", Role.AUDITOR, None, ALL_SCOPES),
    "s1": Principal("k3", "t", Role.SUPPLIER, "s1", ALL_SCOPES),
    "m1": Principal("k4", "t", Role.MERCHANT, "m1", ALL_SCOPES),
    "a1": Principal("k5", "t", Role.AGENT, "a1", ALL_SCOPES),
    "poor": Principal("k6", "t", Role.OPERATOR, None, frozenset({Scope.PRICES})),
    # A party's role without a party, which the database refuses: it must own nothing at all.
    "torn": Principal("k7", "t", Role.SUPPLIER, None, ALL_SCOPES),
}


class Known:
    """Keys of a table instead of the database."""

    async def principal(self, key, client):
        if key not in PRINCIPALS:
            raise ApiError(401, "unauthorized", "unknown", "unknown")
        return PRINCIPALS[key]

    def limit(self, principal):
        assert principal in PRINCIPALS.values()


@get("/staff", opt={"scope": AUDIT, "roles": frozenset({Role.OPERATOR, Role.AUDITOR}), "owner": None})
async def staff() -> str:
    return "in"


@get("/suppliers/{supplier_id:str}", opt={"scope": OWN, "roles": EVERYBODY, "owner": "supplier"})
async def of_supplier(supplier_id: str) -> str:
    return supplier_id


@get("/filtered", opt={"scope": OWN, "roles": EVERYBODY, "owner": "merchant"})
async def filtered(merchant_id: str | None = None) -> str:
    return merchant_id or "all"


@get("/statements/{party_type:str}/{party_id:str}", opt={"scope": PARTY, "roles": EVERYBODY, "owner": None})
async def statements(party_type: str, party_id: str) -> str:
    return party_id


@get("/undeclared", opt={"scope": OWN})
async def undeclared() -> str:
    return "in"


@get("/open")
async def open_to_all() -> str:
    return "in"


def application(*handlers):
    return Litestar(
        list(handlers),
        guards=[require_scope],
        exception_handlers=exception_handlers(),
        state=State({"authenticator": Known()}),
        openapi_config=None,
    )


@pytest.fixture(scope="module")
def client():
    app = application(staff, of_supplier, filtered, statements, undeclared)
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


def outcome(client, key, path):
    answer = client.get(path, headers={"X-API-Key": key})
    if answer.status_code == 200:
        return 200
    return answer.status_code, answer.json()["type"].removeprefix("urn:muyun:problem:")


@pytest.mark.parametrize(
    ("key", "path", "expected"),
    [
        ("operator", "/staff", 200),
        ("auditor", "/staff", 200),
        ("s1", "/staff", (403, "role-not-allowed")),
        ("m1", "/staff", (403, "role-not-allowed")),
        ("a1", "/staff", (403, "role-not-allowed")),
        ("poor", "/staff", (403, "scope-missing")),
        ("nobody", "/staff", (401, "unauthorized")),
        ("s1", "/suppliers/s1", 200),
        ("s1", "/suppliers/s2", (403, "supplier-out-of-scope")),
        ("s1", "/suppliers/S1", (403, "supplier-out-of-scope")),
        ("torn", "/suppliers/None", (403, "supplier-out-of-scope")),
        ("torn", "/suppliers/s1", (403, "supplier-out-of-scope")),
        ("m1", "/suppliers/m1", (403, "merchant-out-of-scope")),
        ("a1", "/suppliers/s1", (403, "agent-out-of-scope")),
        ("operator", "/suppliers/s2", 200),
        ("auditor", "/suppliers/s2", 200),
        ("m1", "/filtered", 200),
        ("m1", "/filtered?merchant_id=m1", 200),
        ("m1", "/filtered?merchant_id=m2", (403, "merchant-out-of-scope")),
        ("m1", "/filtered?merchant_id=m1&merchant_id=m2", (403, "merchant-out-of-scope")),
        ("m1", "/filtered?merchant_id=m2&merchant_id=m1", (403, "merchant-out-of-scope")),
        ("s1", "/filtered?merchant_id=s1", (403, "supplier-out-of-scope")),
        ("s1", "/statements/supplier/s1", 200),
        ("s1", "/statements/merchant/s1", (403, "supplier-out-of-scope")),
        ("s1", "/statements/supplier/s2", (403, "supplier-out-of-scope")),
        ("a1", "/statements/agent/a1", 200),
        ("torn", "/statements/supplier/None", (403, "supplier-out-of-scope")),
        ("auditor", "/statements/agent/a1", 200),
        ("operator", "/undeclared", (500, "internal-error")),
        ("s1", "/undeclared", (500, "internal-error")),
    ],
)
def test_whom_the_guard_lets_in(client, key, path, expected):
    assert outcome(client, key, path) == expected


def test_a_route_without_roles_is_found_when_the_document_is_made():
    document = {"paths": {"/undeclared": {"get": {}}}}
    with pytest.raises(KeyError, match="roles"):
        describe_access(application(undeclared), document)


def test_the_document_says_what_the_guard_enforces():
    app = application(staff, of_supplier)
    document = {"paths": {"/staff": {"get": {}}, "/suppliers/{supplier_id}": {"get": {"summary": "kept"}}}}
    describe_access(app, document)
    assert document["paths"] == {
        "/staff": {
            "get": {"x-scope": "audit:read", "x-roles": ["auditor", "operator"], "x-owner": None},
        },
        "/suppliers/{supplier_id}": {
            "get": {
                "summary": "kept",
                "x-scope": "settlement:read",
                "x-roles": ["agent", "auditor", "merchant", "operator", "supplier"],
                "x-owner": "supplier",
            },
        },
    }


def test_operations_without_a_key_get_nothing():
    app = Litestar([open_to_all], openapi_config=None)
    document = {"paths": {"/open": {"get": {}}}}
    describe_access(app, document)
    assert document == {"paths": {"/open": {"get": {}}}}


def test_what_is_declared_is_what_is_read():
    access = declared_access(staff)
    assert access.scope is Scope.AUDIT_READ
    assert access.roles == {Role.OPERATOR, Role.AUDITOR}
    assert access.owner is None


@pytest.mark.parametrize(
    ("key", "party_type", "party_id", "owned"),
    [
        ("operator", "supplier", "s9", True),
        ("auditor", "agent", "a9", True),
        ("s1", "supplier", "s1", True),
        ("s1", "merchant", "s1", False),
        ("s1", "supplier", "", False),
        ("torn", "supplier", "", False),
        ("torn", "supplier", "None", False),
    ],
)
def test_what_a_principal_owns(key, party_type, party_id, owned):
    assert PRINCIPALS[key].owns(party_type, party_id) is owned


def test_only_a_merchants_key_has_a_merchant():
    assert {key: principal.merchant_id for key, principal in PRINCIPALS.items() if principal.merchant_id} == {
        "m1": "m1"
    }
