import psycopg
import pytest

from serving.audit import record
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.errors import AuditError
from serving.security import Principal, Role, Scope, issue_key

SUPPLIER = Principal("k-s1", "acts", Role.SUPPLIER, "s1", frozenset())
OTHER = Principal("k-x", "elsewhere", Role.OPERATOR, None, frozenset())


@pytest.fixture(scope="module")
def operations(scores_url):
    with Operations(scores_url, size=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def acts(operations):
    """Seven acts of one tenant and one of another."""
    with operations.transaction("acts") as conn:
        for number in range(7):
            record(
                conn,
                SUPPLIER,
                "sub_order.accept" if number % 2 else "stock.report",
                "order" if number % 2 else "stock",
                f"o{number}",
                request_id=f"r{number}",
                outcome="repeated" if number == 3 else "done",
                details={"qty": number, "sku_id": "s-1", "whole": True, "note": None},
            )
    with operations.transaction("elsewhere") as conn:
        record(conn, OTHER, "plan.publish", "plan", "p1", request_id="r")


@pytest.fixture(scope="module")
def auditor(client, scores_url, acts):
    key = issue_key(
        scores_url, name="auditor", role="auditor", tenant_id="acts", scopes=[Scope.AUDIT_READ]
    ).secret
    return lambda **query: client.get("/v1/audit-log", params=query, headers={"X-API-Key": key})


def of_the_supplier(answer):
    assert answer.status_code == 200, answer.text
    return [entry for entry in answer.json()["entries"] if entry["key_id"] == "k-s1"]


def test_an_entry_says_who_did_what_to_which_thing(auditor):
    (entry,) = of_the_supplier(auditor(object_type="order", object_id="o3"))
    assert isinstance(entry.pop("audit_id"), int)
    assert entry.pop("at").endswith("Z")
    assert entry == {
        "key_id": "k-s1",
        "role": "supplier",
        "party_id": "s1",
        "action": "sub_order.accept",
        "object_type": "order",
        "object_id": "o3",
        "request_id": "r3",
        "outcome": "repeated",
        "details": {"qty": 3, "sku_id": "s-1", "whole": True, "note": None},
        "authority": None,
    }


def test_pages_walk_the_whole_log_newest_first(auditor):
    seen, cursor = [], None
    while True:
        query = {"key_id": "k-s1", "limit": 3} | ({"cursor": cursor} if cursor else {})
        page = auditor(**query).json()
        seen.append([entry["object_id"] for entry in page["entries"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [["o6", "o5", "o4"], ["o3", "o2", "o1"], ["o0"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"action": "sub_order.accept"}, ["o5", "o3", "o1"]),
        ({"object_type": "stock"}, ["o6", "o4", "o2", "o0"]),
        ({"object_type": "order", "object_id": "o0"}, []),
        ({"key_id": "k-x"}, []),
        ({"action": "' or true --"}, []),
    ],
)
def test_filters(auditor, query, found):
    assert [entry["object_id"] for entry in of_the_supplier(auditor(**query))] == found


def test_another_tenants_acts_are_not_seen(auditor):
    actions = {entry["action"] for entry in auditor(limit=500).json()["entries"]}
    assert "plan.publish" not in actions
    assert "stock.report" in actions


def test_reading_the_log_is_recorded_with_its_request(auditor):
    before = auditor(object_id="o1")
    (read, *_) = auditor(action="audit_log.read").json()["entries"]
    assert read["role"] == "auditor"
    assert read["object_id"] == "o1"
    assert read["request_id"] == before.headers["x-request-id"]


@pytest.mark.parametrize("cursor", ["x", "WyJwcmljZXMiLCJ2MSIsWyJhIl1d", "WyJhdWRpdF9sb2ciLCIiLFsiYSJdXQ"])
def test_a_strange_cursor_is_refused(auditor, cursor):
    answer = auditor(cursor=cursor)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:muyun:problem:invalid-parameter"


@pytest.mark.parametrize(
    "statement",
    [
        "update ops.audit_log set outcome = 'done'",
        "delete from ops.audit_log",
        "truncate ops.audit_log",
    ],
)
def test_nobody_changes_the_log(operations, scores_url, acts, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), operations.transaction("acts") as conn:
        conn.execute(statement)
    # The owner of the table has the privilege; the trigger refuses nevertheless.
    with psycopg.connect(libpq_url(scores_url)) as conn, pytest.raises(psycopg.Error) as refusal:
        conn.execute(statement)
    assert refusal.value.sqlstate == "MY403"
    assert "ops.audit_log is append-only" in str(refusal.value)


def test_nobody_writes_into_another_tenants_log(operations):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), operations.transaction("acts") as conn:
        record(conn, OTHER, "plan.publish", "plan", "p2", request_id="r")


def test_an_act_that_is_rolled_back_leaves_no_entry(operations, auditor):
    def fail():
        with operations.transaction("acts") as conn:
            record(conn, SUPPLIER, "stock.report", "stock", "gone", request_id="r")
            raise ValueError("the act failed")

    with pytest.raises(ValueError, match="the act failed"):
        fail()
    assert of_the_supplier(auditor(object_id="gone")) == []


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"recipient_name": "王小明"}, "recipient_name"),
        ({"Phone": "13800001234"}, "Phone"),
        ({"ship_to_address": "x"}, "ship_to_address"),
        ({"reason": "x" * 201}, "longer than 200"),
    ],
)
def test_personal_details_are_refused_without_being_shown(operations, details, message):
    with pytest.raises(AuditError, match=message) as failure, operations.transaction("acts") as conn:
        record(conn, SUPPLIER, "order.read", "order", "o1", request_id="r", details=details)
    assert not any(value in str(failure.value) for value in details.values())
