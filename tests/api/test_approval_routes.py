"""Approvals over HTTP: who sees and decides what, lost races as problems, batches, limits of one person."""

import datetime as dt
import json
import threading

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, Scope, issue_key

pytestmark = pytest.mark.xdist_group("approval_routes")  # one world for all, in order

NOW = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)
LIMITS = {"alone_posting_cents": 99, "alone_payout_cents": 500, "alone_payout_batch_cents": 800}


class Office:
    """People of a tenant with keys of their own, over an application at a fixed business time."""

    def __init__(self, client, url, tenant="default"):
        self.client, self.url, self.tenant, self.keys = client, url, tenant, {}

    def key(self, name, role="operator", party_id=None, scopes=None):
        if name not in self.keys:
            self.keys[name] = issue_key(
                self.url,
                name=name,
                role=role,
                party_id=party_id,
                tenant_id=self.tenant,
                scopes=sorted(scopes or ROLE_SCOPES[Role(role)]),
            )
        return self.keys[name]

    def ask(self, who, method, path, body=None, headers=None, **query):
        headers = {"X-API-Key": self.key(who).secret, **(headers or {})}
        return self.client.request(method, f"/v1{path}", params=query, headers=headers, json=body)

    def post(self, who, key, cents, party="S1"):
        """Post by hand: from the fee to what a supplier has available."""
        supplier = {"account": "supplier_available", "party_type": "supplier", "party_id": party}
        body = {
            "kind": "correction",
            "reason_code": "a_test",
            "reference_id": "ticket 7",
            "booked_at": "2026-03-04T00:00:00Z",
            "entries": [
                {**supplier, "amount_cents": cents},
                {"account": "platform_fee", "amount_cents": -cents},
            ],
        }
        return self.ask(who, "POST", "/ledger/transactions", body, {"Idempotency-Key": key})

    def penalty(self, who, key, cents, party="S1"):
        payer = {"party_type": "supplier", "party_id": party}
        body = {"fee_id": key, "payer": payer, "cents": cents, "reason_code": "late_delivery"}
        return self.ask(who, "POST", "/fees/penalties", body)

    def act(self, who, name, shown, **more):
        body = {"version": shown["version"], "digest": shown["digest"], **more}
        return self.ask(who, "POST", f"/approvals/{shown['approval_id']}/{name}", body)


@pytest.fixture(scope="module")
def office(module_database_url, settings):
    limits = settings.model_copy(update={"as_of": NOW, **LIMITS})
    app = create_app(limits, module_database_url, ProfileReader(SCHEMA))
    with (
        psycopg.connect(libpq_url(module_database_url)) as conn,
        TestClient(app, raise_server_exceptions=False) as client,
    ):
        for party_id in ("S1", "S2", "S3", "P3", "P4"):
            conn.execute(
                "insert into parties.party (tenant_id, party_type, party_id, is_verified)"
                " values ('default', 'supplier', %s, true)",
                (party_id,),
            )
        conn.commit()
        yield Office(client, module_database_url)


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("urn:muyun:problem:")


def available(office, party_id):
    rows = office.ask("olga", "GET", f"/balances/supplier/{party_id}").json()["balances"]
    return {row["account"]: row["balance_cents"] for row in rows}.get("supplier_available", 0)


def test_a_posting_waits_for_a_second_person_and_the_log_says_who(office):
    waits = office.post("olga", "log", 700, "S9")
    assert waits.status_code == 202, waits.text
    waiting = waits.json()
    assert (waiting["kind"], waiting["state"], waiting["effect"]) == ("manual_posting", "pending", None)
    assert problem(office.act("olga", "approve", waiting)) == (403, "own-request")
    assert available(office, "S9") == 0
    done = office.act("piet", "approve", waiting)
    assert (done.status_code, done.json()["state"]) == (200, "in_effect")
    assert available(office, "S9") == 700
    shown = office.ask("olga", "GET", f"/approvals/{waiting['approval_id']}").json()
    assert shown["approval"] == done.json()
    olga, piet = office.key("olga").key_id, office.key("piet").key_id
    assert shown["approval"]["asked_by"] == olga
    assert shown["approval"]["suggestion"]["entries"][0] == {
        "account": "supplier_available",
        "amount_cents": 700,
        "party_type": "supplier",
        "party_id": "S9",
    }
    assert [(one["action"], one["decided_by"]) for one in shown["decisions"]] == [
        ("ask", olga),
        ("approve", piet),
        ("take_effect", piet),
    ]
    logged = office.ask("olga", "GET", "/audit-log", object_id=str(waiting["approval_id"])).json()["entries"]
    assert [(row["action"], row["key_id"]) for row in logged if row["action"] != "audit_log.read"] == [
        ("approval.approve", piet),
        ("approval.ask", olga),
    ]
    effect = office.ask("olga", "GET", "/audit-log", object_id="log").json()["entries"]
    assert effect[-1]["action"] == "approval.take_effect"
    assert effect[-1]["details"] == {"approval_id": waiting["approval_id"], **done.json()["effect"]}


def test_whoever_comes_second_learns_who_when_and_what(office):
    waiting = office.post("olga", "race", 300, "S8").json()
    answers = {}
    begin = threading.Barrier(2)

    def decide(who, name, **more):
        begin.wait()
        answers[who] = office.act(who, name, waiting, **more)

    office.key("piet"), office.key("rosa")
    threads = [
        threading.Thread(target=decide, args=("piet", "approve")),
        threading.Thread(target=decide, args=("rosa", "reject"), kwargs={"reason_code": "wrong_amount"}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [who for who, answer in answers.items() if answer.status_code == 200]
    (loser,) = set(answers) - {winner}
    assert problem(answers[loser]) == (409, "decided-before")
    decided = answers[loser].json()["decided"]
    assert (decided["by"], decided["at"]) == (office.key(winner).key_id, "2026-03-05T12:00:00Z")
    assert decided["what"] == {"piet": "take_effect", "rosa": "reject"}[winner]
    assert available(office, "S8") == (300 if winner == "piet" else 0)


def test_refusals_are_typed(office):
    waiting = office.post("olga", "typed", 400).json()
    other = {**waiting, "digest": "0" * 64}
    assert problem(office.act("piet", "approve", other)) == (409, "decided-before")
    assert problem(office.act("piet", "adjust", waiting, adjusted={"x": 1})) == (422, "adjustment-refused")
    assert problem(office.act("piet", "reject", waiting, reason_code="mood")) == (422, "adjustment-refused")
    assert problem(office.act("piet", "approve", {**waiting, "approval_id": 10**12})) == (
        404,
        "approval-not-found",
    )
    office.key("weak", scopes=[Scope.APPROVALS_DECIDE, Scope.APPROVALS_READ])
    assert problem(office.act("weak", "approve", waiting)) == (403, "decision-not-allowed")
    snoozed = office.act("piet", "snooze", waiting, until="2026-03-06T00:00:00Z").json()
    assert snoozed["state"] == "snoozed"
    answer = office.act("piet", "approve", snoozed)
    assert problem(answer) == (409, "impossible-move")
    assert answer.json()["remedy"] == "Possible from here: expire, supersede, wake, withdraw."
    assert office.act("olga", "withdraw", snoozed).json()["state"] == "withdrawn"


def test_a_refused_posting_is_refused_before_anybody_is_asked(office):
    before = office.ask("olga", "GET", "/approvals").json()
    assert problem(office.post("olga", "overdrawn", -(10**9))) == (409, "insufficient-balance")
    assert office.ask("olga", "GET", "/approvals").json() == before


def test_what_fails_at_the_approval_stays_pending_and_books_nothing(office):
    office.act("piet", "approve", office.post("olga", "fill", 1_000, "S7").json())
    first = office.post("olga", "empty-1", -800, "S7").json()
    second = office.post("olga", "empty-2", -800, "S7").json()
    assert office.act("piet", "approve", first).status_code == 200
    assert problem(office.act("piet", "approve", second)) == (409, "insufficient-balance")
    assert available(office, "S7") == 200
    shown = office.ask("olga", "GET", f"/approvals/{second['approval_id']}").json()
    assert (shown["approval"]["state"], [one["action"] for one in shown["decisions"]]) == ("pending", ["ask"])


def test_below_the_limit_one_person_posts_and_the_answer_says_so(office):
    alone = office.post("olga", "small", 99, "S6")
    assert (alone.status_code, alone.json()["is_alone"], available(office, "S6")) == (201, True, 99)
    assert office.post("olga", "large", 100, "S6").status_code == 202
    assert available(office, "S6") == 99


def test_a_penalty_may_be_lowered_and_its_party_sees_it(office):
    waiting = office.penalty("olga", "fee-1", 6_000).json()
    lowered = office.act("piet", "adjust", waiting, adjusted={"amount_cents": 2_500}).json()
    assert (lowered["adjusted"]["amount_cents"], lowered["suggestion"]["amount_cents"]) == (2_500, 6_000)
    assert problem(office.act("piet", "approve", waiting)) == (409, "decided-before")
    office.key("supplier-1", "supplier", "S1")
    office.key("supplier-2", "supplier", "S2")
    mine = office.ask("supplier-1", "GET", "/approvals").json()["approvals"]
    assert [row["approval_id"] for row in mine] == [waiting["approval_id"]]
    assert (mine[0]["asked_by"], mine[0]["first_approver"]) == (None, None)
    path = f"/approvals/{waiting['approval_id']}"
    log = office.ask("supplier-1", "GET", path).json()["decisions"]
    assert [(one["action"], one["decided_by"]) for one in log] == [("ask", None), ("adjust", None)]
    assert office.ask("supplier-2", "GET", "/approvals").json()["approvals"] == []
    assert problem(office.ask("supplier-2", "GET", path)) == (404, "approval-not-found")
    assert office.act("rosa", "approve", lowered).json()["effect"] == {
        "fee_id": "fee-1",
        "amount_cents": 2_500,
    }


def test_pages_and_filters_walk_every_request_once(office):
    asked = [
        office.penalty("olga", f"page-{number}", 1_000 + number, "S2").json()["approval_id"]
        for number in range(7)
    ]
    seen, cursor = [], None
    while True:
        query = {
            "kind": "penalty",
            "state": "pending",
            "party_type": "supplier",
            "party_id": "S2",
            "limit": 3,
        }
        page = office.ask(
            "olga", "GET", "/approvals", **query, **({"cursor": cursor} if cursor else {})
        ).json()
        seen.append([row["approval_id"] for row in page["approvals"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [len(rows) for rows in seen] == [3, 3, 1]
    assert [number for rows in seen for number in rows] == asked[::-1]
    assert office.ask("olga", "GET", "/approvals", bucket="none").json()["approvals"] == []
    assert problem(office.ask("olga", "GET", "/approvals", cursor="x")) == (422, "invalid-parameter")


def test_a_batch_is_frozen_shown_and_decided_once(office):
    rows = [office.penalty("olga", f"batch-{number}", 100 * number, "S3").json() for number in (1, 2, 3)]
    frozen = office.ask(
        "piet",
        "POST",
        "/approval-batches",
        {"kind": "penalty", "bucket": "all", "party_type": "supplier", "party_id": "S3"},
    )
    assert frozen.status_code == 201, frozen.text
    shown = frozen.json()
    assert (shown["count"], shown["sum_cents"], shown["beyond"]) == (3, 600, 0)
    assert shown["highest"] == {"approval_id": rows[2]["approval_id"], "value_cents": 300}
    assert shown["lowest"] == {"approval_id": rows[0]["approval_id"], "value_cents": 100}
    office.act("rosa", "reject", rows[1], reason_code="no_evidence")
    path, body = (
        f"/approval-batches/{shown['batch_id']}/decide",
        {"digest": shown["digest"], "action": "approve"},
    )
    done = office.ask("piet", "POST", path, body).json()
    assert (done["decided"], done["sum_cents"]) == (2, 400)
    assert done["left_out"] == [{"approval_id": rows[1]["approval_id"], "reason": "changed"}]
    late = office.ask("rosa", "POST", path, body)
    assert problem(late) == (409, "decided-before")
    assert late.json()["decided"]["by"] == office.key("piet").key_id
    empty = office.ask("piet", "POST", "/approval-batches", {"kind": "penalty", "bucket": "nothing"})
    assert problem(empty) == (422, "batch-refused")


def test_a_pay_out_is_approved_as_it_was_shown(office):
    def pay(batch_id, **more):
        body = {"batch_id": batch_id, "adapter": "simulated", "party_types": ["supplier"], **more}
        return office.ask("olga", "POST", "/payout-batches", body)

    def fill(key, cents, party):
        office.act("piet", "approve", office.post("olga", key, cents, party).json())

    before = pay("p0", threshold_cents=10**9)
    assert (before.status_code, before.json()["payouts"]) == (201, [])  # nothing is nobody's risk
    fill("pay-3", 900, "P3")
    waits = pay("p1", threshold_cents=600)
    assert waits.status_code == 202, waits.text
    shown = office.ask("piet", "GET", f"/approvals/{waits.json()['approval_id']}").json()["approval"]
    assert shown["suggestion"]["sum_cents"] == shown["value_cents"]
    path = f"/approvals/{shown['approval_id']}/document"
    rows = [json.loads(line) for line in office.ask("piet", "GET", path).json()["body"].splitlines()]
    assert ["supplier", "P3", available(office, "P3")] in rows
    frozen = {party: cents for _, party, cents in rows}
    # More for P3 and something for P4 after the list was shown: neither is part of it.
    fill("pay-3-more", 5_000, "P3")
    fill("pay-4", 5_000, "P4")
    assert pay("p1", threshold_cents=600).json() == waits.json()
    assert problem(pay("p1", threshold_cents=601)) == (409, "idempotency-conflict")
    done = office.act("piet", "approve", waits.json()).json()
    assert done["effect"] == {"payouts": len(frozen), "sum_cents": sum(frozen.values())}
    sent = pay("p1", threshold_cents=600)
    assert sent.status_code == 201
    assert {row["party_id"]: row["amount_cents"] for row in sent.json()["payouts"]} == frozen
    assert (available(office, "P3"), available(office, "P4")) == (5_000, 5_000)


def test_small_pay_outs_are_sent_alone_and_large_ones_are_not(module_database_url, office):
    def pay(batch_id, party_type):
        body = {"batch_id": batch_id, "adapter": "simulated", "party_types": [party_type]}
        return office.ask("olga", "POST", "/payout-batches", body)

    def give(party_type, party_id, cents):
        payee = {"account": f"{party_type}_available", "party_type": party_type, "party_id": party_id}
        body = {
            "kind": "correction",
            "reason_code": "a_test",
            "booked_at": "2026-03-04T00:00:00Z",
            "entries": [
                {**payee, "amount_cents": cents},
                {"account": "platform_fee", "amount_cents": -cents},
            ],
        }
        key = {"Idempotency-Key": f"{party_id}-{cents}"}
        office.act("piet", "approve", office.ask("olga", "POST", "/ledger/transactions", body, key).json())

    with psycopg.connect(libpq_url(module_database_url)) as conn:
        for party_type, party_id in (
            ("agent", "A1"),
            ("agent", "A2"),
            ("merchant", "M1"),
            ("merchant", "M2"),
        ):
            conn.execute(
                "insert into parties.party (tenant_id, party_type, party_id, is_verified)"
                " values ('default', %s, %s, true)",
                (party_type, party_id),
            )
    give("agent", "A1", 400)
    give("agent", "A2", 400)
    both = pay("small", "agent")  # 400 each and 800 together: just within the limits
    assert (both.status_code, len(both.json()["payouts"])) == (201, 2)
    give("agent", "A1", 501)
    assert pay("one-large", "agent").status_code == 202
    give("merchant", "M1", 450)
    give("merchant", "M2", 351)
    assert pay("large-together", "merchant").status_code == 202


def test_another_tenants_operator_sees_and_decides_nothing(office):
    waiting = office.post("olga", "foreign", 500).json()
    stranger = Office(office.client, office.url, "elsewhere")
    assert stranger.ask("eve", "GET", "/approvals").json()["approvals"] == []
    assert problem(stranger.ask("eve", "GET", f"/approvals/{waiting['approval_id']}")) == (
        404,
        "approval-not-found",
    )
    assert problem(stranger.act("eve", "approve", waiting)) == (404, "approval-not-found")
