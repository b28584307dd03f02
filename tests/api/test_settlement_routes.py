"""Settlement, statements, reconciliation, ledger and plans over HTTP: answers, forms, refusals."""

import csv
import datetime as dt
import io
from pathlib import Path

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from two_people import approved

import serving.settlement.plans.documents as shipped
from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, issue_key

NOW = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)
JANUARY = "2026-01-15T08:00:00Z"
S1 = {"account": "supplier_available", "party_type": "supplier", "party_id": "S1"}


@pytest.fixture(scope="module")
def api(module_database_url, settings):
    """The application at a fixed business time, asked by keys of every role."""
    app = create_app(settings.model_copy(update={"as_of": NOW}), module_database_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(client, module_database_url)


class Api:
    def __init__(self, client, url):
        self.client, self.url = client, url
        self.keys = {}

    def key(self, role, party_id=None, person="first"):
        if (role, party_id, person) not in self.keys:
            self.keys[role, party_id, person] = issue_key(
                self.url, name=person, role=role, party_id=party_id, scopes=sorted(ROLE_SCOPES[Role(role)])
            ).secret
        return self.keys[role, party_id, person]

    def approved(self, answer):
        """What the second person's approval made."""
        done = approved(self.client, self.key("operator", person="second"), answer)
        assert done.status_code == 200, done.text
        assert done.json()["state"] == "in_effect"
        return done.json()["effect"]

    def ask(self, method, path, body=None, *, role="operator", party_id=None, headers=None, **query):
        headers = {"X-API-Key": self.key(role, party_id), **(headers or {})}
        return self.client.request(method, f"/v1{path}", params=query, headers=headers, json=body)

    def post(self, key, cents, *, booked_at=JANUARY, **more):
        body = {
            "kind": "correction",
            "reason_code": "a_test",
            "booked_at": booked_at,
            "entries": [{**S1, "amount_cents": cents}, {"account": "platform_fee", "amount_cents": -cents}],
            **more,
        }
        return self.ask("POST", "/ledger/transactions", body, headers={"Idempotency-Key": key})

    def book(self, key, cents, **more):
        """Post by hand, and let the second person approve it."""
        return self.approved(self.post(key, cents, **more))["transaction_id"]


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("urn:muyun:problem:")


def test_a_posting_books_once_per_key(api):
    before = api.ask("GET", "/ledger/accounts").json()
    waits = api.post("once", 500)
    assert waits.status_code == 202
    assert api.ask("GET", "/ledger/accounts").json() == before
    assert api.post("once", 500).json() == waits.json()
    assert problem(api.post("once", 501)) == (409, "idempotency-conflict")
    booked = api.approved(waits)["transaction_id"]
    again = api.post("once", 500)
    assert again.status_code == 202
    assert (again.json()["state"], again.json()["effect"]) == ("in_effect", {"transaction_id": booked})
    assert problem(api.post("once", 501)) == (409, "idempotency-conflict")
    shown = api.ask("GET", f"/ledger/transactions/{booked}").json()
    assert [(e["account"], e["party_id"], e["amount_cents"]) for e in shown["entries"]] == [
        ("supplier_available", "S1", 500),
        ("platform_fee", "", -500),
    ]
    assert problem(api.ask("GET", "/ledger/transactions/999999")) == (404, "transaction-not-found")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([{**S1, "amount_cents": 5}, {"account": "platform_fee", "amount_cents": -4}], "posting-refused"),
        ([{**S1, "amount_cents": 0}, {"account": "platform_fee", "amount_cents": 0}], "posting-refused"),
        ([{**S1, "amount_cents": 5}], "invalid-parameter"),
        (
            [{**S1, "amount_cents": 5.5}, {"account": "platform_fee", "amount_cents": -5.5}],
            "invalid-parameter",
        ),
        (
            [
                {"account": "supplier_available", "amount_cents": 5},
                {"account": "platform_fee", "party_id": "x", "amount_cents": -5},
            ],
            "posting-refused",
        ),
        ([{"account": "no_such", "amount_cents": 5}, {"account": "tax_withheld", "amount_cents": -5}], None),
        (
            [
                {**S1, "account": "consumer_points", "amount_cents": 5},
                {"account": "platform_fee", "amount_cents": -5},
            ],
            "posting-refused",
        ),
    ],
)
def test_what_is_no_transaction_is_refused(api, entries, expected):
    status, kind = problem(api.post("refused", 1, entries=entries))
    assert (status, kind) == (422, expected or "invalid-parameter")


def test_a_guarded_account_does_not_pass_zero(api):
    assert problem(api.post("overdrawn", -(10**12))) == (409, "insufficient-balance")
    answer = api.ask("GET", "/ledger/accounts", kind="supplier_available").json()
    assert all(row["balance_cents"] >= 0 for row in answer["accounts"])
    everything = api.ask("GET", "/ledger/accounts").json()["accounts"]
    assert sum(row["balance_cents"] for row in everything if row["unit"] == "CNY") == 0


def test_accounts_are_read_page_by_page(api):
    api.book("paged", 100)
    whole = api.ask("GET", "/ledger/accounts").json()
    assert whole["next_cursor"] is None
    rows, cursor = [], None
    while True:
        asked = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = api.ask("GET", "/ledger/accounts", **asked).json()
        assert len(page["accounts"]) <= 1
        rows += page["accounts"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert rows == whole["accounts"]
    assert len(rows) > 1


def test_the_key_of_a_posting_is_needed_and_short(api):
    body = {"kind": "x", "booked_at": JANUARY, "reason_code": "r", "entries": []}
    assert problem(api.ask("POST", "/ledger/transactions", body))[0] == 422
    answer = api.ask("POST", "/ledger/transactions", body, headers={"Idempotency-Key": "k" * 200})
    assert problem(answer)[0] == 422


def test_the_chain_is_shown_and_verified(api):
    plain = api.ask("GET", "/ledger/chain").json()
    assert plain["is_verified"] is None
    verified = api.ask("GET", "/ledger/chain", role="auditor", verify="true").json()
    assert verified == {**plain, "is_verified": True}
    assert len(plain["hash"]) == 64


def test_a_statement_in_three_forms_and_the_close_of_its_month(api):
    api.book("statement", 1_234, booked_at="2026-02-10T00:00:00Z")
    as_json = api.ask("GET", "/statements/supplier/S1", period="2026-02").json()
    assert as_json["opening_cents"] + as_json["movements_cents"] == as_json["closing_cents"]
    assert as_json["movements_cents"] == 1_234
    assert as_json["accounts"][-1]["movements"] == [{"kind": "correction", "cents": 1_234, "entries": 1}]
    as_csv = api.ask("GET", "/statements/supplier/S1", period="2026-02", format="csv")
    assert as_csv.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert int(rows[-1]["balance_cents"]) == as_json["closing_cents"]
    page = api.ask("GET", "/statements/supplier/S1", period="2026-02", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "<svg" in page.text

    assert problem(api.ask("POST", "/periods/2026-03/close")) == (409, "statement-refused")
    closed = api.ask("POST", "/periods/2026-02/close")
    assert closed.json() == {"period": "2026-02", "statements": 1, "is_new": True}
    assert api.ask("POST", "/periods/2026-02/close").json()["is_new"] is False
    after = api.ask("GET", "/statements/supplier/S1", period="2026-02").json()
    assert after == {**as_json, "is_closed": True, "closed_at": "2026-03-05T12:00:00Z"}
    assert problem(api.post("late", 1, booked_at="2026-02-11T00:00:00Z")) == (409, "period-closed")
    march = api.ask("GET", "/statements/supplier/S1", period="2026-03").json()
    assert march["opening_cents"] == after["closing_cents"]
    assert api.ask("GET", "/periods").json()["periods"][0]["period"] == "2026-02"


@pytest.mark.parametrize("period", ["2026-13", "2026", "0000-01", "2026-1", "9999-12", "2026-01-01"])
def test_what_is_no_month_is_refused(api, period):
    assert problem(api.ask("GET", "/statements/supplier/S1", period=period))[0] == 422
    assert problem(api.ask("POST", f"/periods/{period}/close"))[0] == 422


def test_a_party_reads_its_own_statement_only(api):
    api.book("own", 10, booked_at="2026-03-01T00:00:00Z")
    own = api.ask("GET", "/statements/supplier/S1", role="supplier", party_id="S1", period="2026-03")
    assert own.status_code == 200
    other = api.ask("GET", "/statements/supplier/S1", role="supplier", party_id="S2", period="2026-03")
    assert problem(other) == (403, "supplier-out-of-scope")
    agent = api.ask("GET", "/statements/supplier/S1", role="agent", party_id="S1", period="2026-03")
    assert problem(agent) == (403, "agent-out-of-scope")
    unknown = api.ask("GET", "/statements/agent/nobody", period="2026-03")
    assert problem(unknown) == (404, "party-not-found")


def test_a_bill_is_loaded_once_and_compared(api):
    line = {"kind": "payment", "reference": "p1", "amount_cents": 100, "occurred_at": JANUARY}
    bill = {
        "bill_id": "b1",
        "adapter": "simulated",
        "bill_from": "2026-01-15T00:00:00Z",
        "bill_to": "2026-01-16T00:00:00Z",
        "lines": [line],
    }
    first = api.ask("POST", "/channel-bills", bill)
    assert first.status_code == 201
    assert first.json()["is_new"] is True
    assert api.ask("POST", "/channel-bills", bill).json() == {**first.json(), "is_new": False}
    changed = {**bill, "lines": [{**line, "amount_cents": 101}]}
    assert problem(api.ask("POST", "/channel-bills", changed)) == (409, "bill-conflict")
    empty = {**bill, "bill_id": "b2", "bill_to": bill["bill_from"]}
    assert problem(api.ask("POST", "/channel-bills", empty)) == (422, "bill-refused")

    run = api.ask("POST", "/reconciliations", {"run_id": "r1", "bill_id": "b1"})
    assert run.status_code == 201
    assert run.json()["breaks"] == {"missing_in_ledger": 1}
    assert run.json()["difference_cents"] == 100
    page = api.ask("GET", "/reconciliations/r1", role="auditor").json()
    assert page["run"] == run.json()
    assert [(row["break_type"], row["reference"]) for row in page["differences"]] == [
        ("missing_in_ledger", "p1")
    ]
    assert problem(api.ask("GET", "/reconciliations/r9")) == (404, "run-not-found")
    missing = api.ask("POST", "/reconciliations", {"run_id": "r2", "bill_id": "b9"})
    assert problem(missing) == (404, "bill-not-found")


def test_differences_come_page_by_page(api):
    lines = [
        {"kind": kind, "reference": f"x{number}", "amount_cents": 5, "occurred_at": JANUARY}
        for kind in ("payment", "refund")
        for number in range(5)
    ]
    bill = {
        "bill_id": "paged",
        "adapter": "simulated",
        "bill_from": "2026-01-20T00:00:00Z",
        "bill_to": "2026-01-21T00:00:00Z",
        "lines": lines,
    }
    api.ask("POST", "/channel-bills", bill)
    api.ask("POST", "/reconciliations", {"run_id": "paged", "bill_id": "paged"})
    seen, cursor = [], None
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = api.ask("GET", "/reconciliations/paged", **query).json()
        seen += [(row["kind"], row["reference"]) for row in page["differences"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted((line["kind"], line["reference"]) for line in lines)


def test_a_plan_is_published_or_refused_with_every_reason(api):
    text = sorted(Path(shipped.__path__[0]).glob("*strict*.yaml"))[0].read_text(encoding="utf-8")
    made = api.ask("POST", "/plans", {"document": text})
    assert made.status_code == 202, made.text
    assert api.ask("GET", "/plans").json() == {"plans": []}
    assert api.ask("POST", "/plans", {"document": text}).json() == made.json()
    shown = api.ask("GET", f"/approvals/{made.json()['approval_id']}/document").json()
    assert shown["body"] == text
    plan_id = api.approved(made)["plan_id"]
    again = api.ask("POST", "/plans", {"document": text})
    assert (again.status_code, again.json()["plan_id"]) == (201, plan_id)
    assert plan_id in {plan["plan_id"] for plan in api.ask("GET", "/plans").json()["plans"]}
    assert api.ask("GET", f"/plans/{plan_id}").json()["versions"][0]["plan_id"] == plan_id
    assert problem(api.ask("GET", "/plans/none")) == (404, "plan-not-found")
    refused = api.ask("POST", "/plans", {"document": text.replace("order_paid", "recruiting")})
    assert problem(refused) == (422, "plan-refused")
    assert len(refused.json()["errors"]) >= 1
    assert any("recruiting" in error["message"] for error in refused.json()["errors"])
    assert problem(api.ask("POST", "/plans", {"document": "a: [unclosed"})) == (422, "plan-refused")


def test_holds_and_payouts_are_typed(api):
    assert problem(api.ask("POST", "/holds/77/lift")) == (404, "hold-not-found")
    assert problem(api.ask("POST", "/holds/77/confirm")) == (404, "hold-not-found")
    hold = {"target_type": "party", "reason_code": "under_review"}
    assert problem(api.ask("POST", "/holds", hold)) == (422, "hold-target-incomplete")
    assert problem(api.ask("POST", "/payouts/none/confirm")) == (404, "payout-not-found")
    assert problem(api.ask("POST", "/payouts/none/fail", {"failure": "closed account"})) == (
        404,
        "payout-not-found",
    )


def test_a_party_is_held_paid_and_cannot_be_paid_twice(api):
    with psycopg.connect(libpq_url(api.url)) as conn:
        conn.execute(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified)"
            " values ('default', 'supplier', 'S1', true)"
        )
    api.book("payable", 800, booked_at="2026-03-02T00:00:00Z")
    hold = api.ask(
        "POST",
        "/holds",
        {"target_type": "party", "party_type": "supplier", "party_id": "S1", "reason_code": "under_review"},
    )
    assert hold.status_code == 201
    held = api.ask("POST", "/payout-batches", {"batch_id": "w1", "adapter": "simulated"})
    assert held.json()["payouts"] == []
    lifted = api.ask("POST", f"/holds/{hold.json()['hold_id']}/lift")
    assert lifted.json()["state"] == "lifted"
    confirmed = api.ask("POST", f"/holds/{hold.json()['hold_id']}/confirm")
    assert problem(confirmed) == (409, "hold-resolved")
    waits = api.ask("POST", "/payout-batches", {"batch_id": "w2", "adapter": "simulated"})
    assert api.approved(waits)["payouts"] == 1
    batch = api.ask("POST", "/payout-batches", {"batch_id": "w2", "adapter": "simulated"}).json()
    assert [payout["party_id"] for payout in batch["payouts"]] == ["S1"]
    payout = batch["payouts"][0]
    assert api.ask("POST", "/payout-batches", {"batch_id": "w2", "adapter": "simulated"}).json() == batch
    paid = api.ask("POST", f"/payouts/{payout['payout_id']}/confirm").json()
    assert paid == {**payout, "state": "paid"}
    failed = api.ask("POST", f"/payouts/{payout['payout_id']}/fail", {"failure": "too late"})
    assert problem(failed) == (409, "payout-resolved")


def test_an_unknown_order_is_explained_to_nobody(api):
    assert problem(api.ask("GET", "/settlements/none/explain")) == (404, "order-not-found")
    answer = api.ask("GET", "/settlements/none/explain", role="supplier", party_id="S1")
    assert problem(answer) == (404, "order-not-found")
