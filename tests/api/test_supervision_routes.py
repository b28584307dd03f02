"""Supervision through its routes: who sees what, papers and appeals, decisions, two people for a deposit."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables
from small_market import TENANT, Shop
from two_people import approved

from feature_store.online import ProfileReader
from models.supply.supervision.ladder import Rules, Sign
from serving.app import create_app
from serving.db.operations import Operations
from serving.ledger import invariants
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.posting import Line, Posting, post
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.settlement.beside.guarantees import pay_into_guarantee
from serving.supervision import deposits
from serving.supervision.judging import judge
from serving.supervision.records import Subject, open_cases

pytestmark = pytest.mark.xdist_group("supervision_routes")  # one database and application for all

SIGNS = (
    Sign("authorisation", 1.0, {"brand_id": "B", "holders": 3}),
    Sign("price", 1.0, {"share": 0.4}),
    Sign("complaints", 1.0, {"complaints": 5, "orders": 20, "words": ["假货"]}),
)


class Desk:
    """The application, with keys by role, and nights that ask for a level."""

    def __init__(self, client, url, shop):
        self.client, self.shop = client, shop

        def key(role, party=None):
            scopes = sorted(ROLE_SCOPES[Role(role)])
            return issue_key(url, name="k", role=role, party_id=party, scopes=scopes).secret

        self.keys = {
            "m1": key("merchant", "m1"),
            "m2": key("merchant", "m2"),
            "S1": key("supplier", "S1"),
            "auditor": key("auditor"),
            "op1": key("operator"),
            "op2": key("operator"),
        }

    def put(self, sku, level, party=("merchant", "m1"), day=0):
        """The number of a case at a level."""
        subject, now = Subject(*party, sku), AS_OF + timedelta(days=day)
        with self.shop.transaction() as conn:
            judge(conn, TENANT, {subject: SIGNS[:level]}, Rules(), now)
            return open_cases(conn, TENANT)[subject].case_id

    def ask(self, who, method, path, body=None, status=200, **query):
        headers = {"X-API-Key": self.keys[who], "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    def case(self, who, case_id):
        return self.ask(who, "GET", f"/supervision/cases/{case_id}").json()

    def order(self, sku, status):
        line = {"merchant_id": "m1", "consumer_id": "c9", "lines": [{"sku_id": sku, "qty": 1}]}
        return self.ask("m1", "POST", "/orders", line, status=status).json()

    def credit(self, merchant, cents):
        """Let a merchant have something available."""
        party = Party("merchant", merchant)
        lines = [
            Line(AccountKind.CHANNEL_AVAILABLE, -cents),
            Line(AccountKind.MERCHANT_AVAILABLE, cents, party),
        ]
        with self.shop.transaction() as conn:
            post(conn, TENANT, Posting(f"credit-{uuid.uuid4().hex}", "test", AS_OF, lines))

    def balance(self, kind, party):
        return self.shop.balances().get((kind, party), 0)


@pytest.fixture(scope="module")
def desk(module_database_url, settings):
    tables = small_tables()
    publish(module_database_url, manifest_of("v1", tables), tables)
    with Operations(module_database_url, size=2) as operations:
        shop = Shop(module_database_url, operations)
        shop.plan()
        shop.may_lose(10**12)
        app = create_app(settings, module_database_url, ProfileReader(SCHEMA))
        with TestClient(app) as client:
            yield Desk(client, module_database_url, shop)


def numbers(answer):
    return [case["case_id"] for case in answer.json()["cases"]]


def test_parties_see_their_own_cases_with_the_evidence(desk):
    mine, theirs = desk.put("seen", 2), desk.put("seen", 1, ("merchant", "m2"))
    offered = desk.put("seen", 1, ("supplier", "S1"))
    assert set(numbers(desk.ask("auditor", "GET", "/supervision/cases"))) >= {mine, theirs, offered}
    assert mine in numbers(desk.ask("m1", "GET", "/supervision/cases"))
    assert theirs not in numbers(desk.ask("m1", "GET", "/supervision/cases"))
    assert numbers(desk.ask("S1", "GET", "/supervision/cases")) == [offered]
    (shown,) = desk.ask("m2", "GET", "/supervision/cases").json()["cases"]
    assert (shown["level"], shown["score"], shown["evidence"]) == (
        1,
        0.5,
        {"authorisation": {"weight": 0.5, "strength": 1.0, "brand_id": "B", "holders": 3}},
    )
    for stranger, number in (("m1", theirs), ("m2", mine), ("S1", mine)):
        problem = desk.ask(stranger, "GET", f"/supervision/cases/{number}", status=404).json()
        assert problem["type"] == "urn:muyun:problem:listing-case-not-found"
    assert desk.case("op1", mine)["changes"] == [
        {"changed_at": AS_OF.isoformat().replace("+00:00", "Z"), "from_level": 0, "to_level": 2,
         "cause": "signs", "score": 0.7}
    ]  # fmt: skip


def test_cases_are_read_page_by_page(desk):
    made = [desk.put(f"page-{number}", 1) for number in range(5)]
    found, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = desk.ask("op1", "GET", "/supervision/cases", **query)
        found += numbers(page)
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert found == sorted(set(found))
    assert set(made) <= set(found)


def test_from_a_hold_over_an_appeal_to_a_sale(desk):
    desk.shop.list("appealed", 2000)
    desk.shop.supply("S1", "appealed", 5)
    number = desk.put("appealed", 2)
    problem = desk.order("appealed", 409)
    assert problem["type"] == "urn:muyun:problem:listing-held"
    assert "/v1/supervision/cases" in problem["remedy"]
    path = f"/supervision/cases/{number}"
    appeal = {"kind": "appeal", "body": "bought from the brand", "papers": ["https://example.org/invoice-1"]}
    desk.ask("m2", "POST", f"{path}/statements", appeal, status=404)
    desk.ask("auditor", "POST", f"{path}/statements", appeal, status=403)
    said = desk.ask("m1", "POST", f"{path}/statements", appeal, status=201).json()
    assert (said["case"]["has_statement"], said["case"]["due_at"]) == (True, None)
    waits = desk.ask("m1", "POST", f"{path}/statements", appeal, status=409).json()
    assert waits["type"] == "urn:muyun:problem:statement-waits"
    assert number not in numbers(desk.ask("op1", "GET", "/supervision/cases", late_only=True))
    decision = {"outcome": "cleared", "finding": "the invoice is in order"}
    desk.ask("m1", "POST", f"{path}/decisions", decision, status=403)
    decided = desk.ask("op1", "POST", f"{path}/decisions", decision, status=201).json()
    assert (decided["case"]["level"], decided["case"]["ended_by"]) == (0, "cleared")
    assert decided["decisions"][0]["decided_by"] is not None
    seen = desk.case("m1", number)
    assert [(one["outcome"], one["finding"], one["decided_by"]) for one in seen["decisions"]] == [
        ("cleared", "the invoice is in order", None)
    ]
    assert seen["statements"][0]["papers"] == ["https://example.org/invoice-1"]
    desk.order("appealed", 201)
    ended = desk.ask("op1", "POST", f"{path}/decisions", decision, status=409).json()
    assert ended["type"] == "urn:muyun:problem:listing-case-ended"
    assert number not in numbers(desk.ask("m1", "GET", "/supervision/cases"))
    assert number in numbers(desk.ask("m1", "GET", "/supervision/cases", open_only=False))
    noted = desk.ask("op1", "GET", "/audit-log", object_type="supervision_case").json()["entries"]
    assert {one["authority"] for one in noted} == {"supervision_statement", "supervision_decision"}


def test_upholding_answers_a_word_once(desk):
    number = desk.put("upheld", 1)
    path = f"/supervision/cases/{number}"
    upheld = {"outcome": "upheld", "finding": "not the brand's paper"}
    nothing = desk.ask("op1", "POST", f"{path}/decisions", upheld, status=409).json()
    assert nothing["type"] == "urn:muyun:problem:nothing-to-uphold"
    desk.ask("m1", "POST", f"{path}/statements", {"kind": "papers", "body": "here"}, status=201)
    decided = desk.ask("op1", "POST", f"{path}/decisions", upheld, status=201).json()
    assert decided["case"]["level"] == 1
    assert decided["case"]["due_at"] is not None
    desk.ask("op1", "POST", f"{path}/decisions", upheld, status=409)


def test_a_deposit_needs_two_people_and_goes_back_by_two(desk):
    desk.credit("m1", 9_000)
    number, held = desk.put("deposited", 3), desk.put("only-held", 2)
    path = f"/supervision/cases/{number}"
    too_soon = desk.ask("op1", "POST", f"/supervision/cases/{held}/deposits", {"cents": 1}, status=409)
    assert too_soon.json()["type"] == "urn:muyun:problem:deposit-refused"
    desk.ask("m1", "POST", f"{path}/deposits", {"cents": 5_000}, status=403)
    too_much = desk.ask("op1", "POST", f"{path}/deposits", {"cents": 9_001}, status=202)
    assert approved(desk.client, desk.keys["op2"], too_much).status_code == 422
    waiting = desk.ask("op1", "POST", f"{path}/deposits", {"cents": 5_000}, status=202)
    assert approved(desk.client, desk.keys["op1"], waiting).status_code == 403
    assert desk.balance("guarantee", "m1") == 0
    assert approved(desk.client, desk.keys["op2"], waiting).json()["effect"]["amount_cents"] == 5_000
    assert (desk.balance("guarantee", "m1"), desk.balance("merchant_available", "m1")) == (5_000, 4_000)
    assert desk.case("m1", number)["deposit"]["amount_cents"] == 5_000
    desk.ask("op1", "POST", f"{path}/deposits", {"cents": 1}, status=409)
    # Before the case is cleared nothing goes back, whoever agrees.
    early = desk.ask("op1", "POST", f"{path}/deposit-returns", status=202)
    refused = approved(desk.client, desk.keys["op2"], early)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:muyun:problem:deposit-refused")
    decision = {"outcome": "cleared", "finding": "authorised after all"}
    desk.ask("op1", "POST", f"{path}/decisions", decision, status=201)
    assert desk.balance("guarantee", "m1") == 5_000
    again = desk.ask("op1", "POST", f"{path}/deposit-returns", status=202)
    assert again.json()["approval_id"] == early.json()["approval_id"], "clearing asked for it by itself"
    assert approved(desk.client, desk.keys["op2"], again).json()["effect"]["amount_cents"] == 5_000
    assert (desk.balance("guarantee", "m1"), desk.balance("merchant_available", "m1")) == (0, 9_000)
    assert desk.case("m1", number)["deposit"]["returned_at"] is not None
    desk.ask("op1", "POST", f"{path}/deposit-returns", status=409)
    noted = desk.ask("op1", "GET", "/audit-log", object_type="approval").json()["entries"]
    assert "supervision_deposit" in {one["authority"] for one in noted}


def test_a_payment_that_somebody_named_alike_is_no_deposit(desk):
    desk.credit("m2", 9_000)
    number = desk.put("named", 3, ("merchant", "m2"))
    with desk.shop.transaction() as conn:
        pay_into_guarantee(conn, TENANT, f"supervision-{number}", Party("merchant", "m2"), 4_000, AS_OF)
    waiting = desk.ask("op1", "POST", f"/supervision/cases/{number}/deposits", {"cents": 4_000}, status=202)
    refused = approved(desk.client, desk.keys["op2"], waiting)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:muyun:problem:deposit-refused")
    assert desk.case("op1", number)["deposit"] is None
    assert desk.balance("guarantee", "m2") == 4_000


def test_a_deposit_that_is_taken_while_a_case_is_cleared_is_not_forgotten(desk, monkeypatch):
    desk.credit("m1", 9_000)
    number = desk.put("while-cleared", 3)
    path = f"/supervision/cases/{number}"
    waiting = desk.ask("op1", "POST", f"{path}/deposits", {"cents": 5_000}, status=202)
    read, taken = deposits.deposit_of, []

    def read_and_take(*arguments):
        seen = read(*arguments)
        if not taken:
            taken.append(None)
            with ThreadPoolExecutor(1) as pool:
                taken.append(pool.submit(approved, desk.client, desk.keys["op2"], waiting).result())
        return seen

    monkeypatch.setattr(deposits, "deposit_of", read_and_take)
    decision = {"outcome": "cleared", "finding": "authorised after all"}
    problem = desk.ask("op1", "POST", f"{path}/decisions", decision, status=409).json()
    assert problem["type"] == "urn:muyun:problem:deposit-refused"
    assert taken[1].status_code == 200
    monkeypatch.undo()
    desk.ask("op1", "POST", f"{path}/decisions", decision, status=201)
    again = desk.ask("op1", "POST", f"{path}/deposit-returns", status=202)
    assert approved(desk.client, desk.keys["op2"], again).json()["effect"]["amount_cents"] == 5_000
    with desk.shop.transaction() as conn:
        assert invariants.check(conn, TENANT) == []


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "gossip", "body": "x"},
        {"kind": "papers", "body": ""},
        {"kind": "papers", "body": "x" * 4001},
        {"kind": "papers", "body": "x", "papers": [""]},
        {"kind": "papers", "body": "x", "papers": ["p"] * 21},
        {"kind": "papers", "body": "x", "surprise": 1},
    ],
)
def test_statements_of_another_shape_are_refused(desk, body):
    number = desk.put("shape", 1)
    desk.ask("m1", "POST", f"/supervision/cases/{number}/statements", body, status=422)


def invoice(sku, **changes):
    return {
        "sku_id": sku, "number": "17442000000123456789", "issuer_tax_no": "91350100M000100Y43",
        "issued_on": "2017-06-01", "amount_cents": 900_000, "units": 100,
    } | changes  # fmt: skip


def test_an_invoice_stands_in_the_case_with_who_else_stated_it(desk):
    case_id = desk.put("backed", 1)
    made = desk.ask("m1", "POST", "/supervision/invoices", invoice("backed"), 201).json()
    assert (made["invoice_id"], made["units"], made["others"], made["is_first"]) == (
        "17442000000123456789", 100, 0, True,
    )  # fmt: skip
    assert desk.ask("m1", "POST", "/supervision/invoices", invoice("backed"), 201).json() == made
    # The same invoice has another sku on it; another party states it as well.
    desk.ask("m1", "POST", "/supervision/invoices", invoice("backed-too", units=20), 201)
    later = desk.ask("S1", "POST", "/supervision/invoices", invoice("backed"), 201).json()
    assert (later["others"], later["is_first"]) == (1, False)
    (shown,) = desk.case("op1", case_id)["invoices"]
    assert (shown["invoice_id"], shown["others"], shown["is_first"]) == (made["invoice_id"], 1, True)
    assert desk.case("m1", case_id)["invoices"] == [shown]
    log = desk.ask("op1", "GET", "/audit-log", action="invoice.state").json()["entries"]
    assert {(one["object_id"], one["authority"]) for one in log} == {(made["invoice_id"], "purchase_invoice")}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"number": "1744200000012345678"}, "20 digits"),
        ({"number": "16442000000123456789"}, "does not begin with 16"),
        ({"number": "17992000000123456789"}, "no region"),
        ({"code": "0417171130", "number": "12345678"}, "04 is no region"),
        ({"code": "4403171130", "number": "123456789"}, "8 digits"),
        ({"issuer_tax_no": "91350100M000100Y44"}, "check character"),
        ({"issued_on": "2099-06-01", "number": "99442000000123456789"}, "not issued yet"),
    ],
)
def test_what_cannot_be_an_invoice_is_refused(desk, changes, why):
    problem = desk.ask("m1", "POST", "/supervision/invoices", invoice("refused", **changes), 422).json()
    assert problem["type"].endswith("invoice-refused")
    assert why in problem["detail"]


def test_an_invoice_stays_as_it_was_stated(desk):
    body = invoice("stays", code="4403171130", number="00012345")
    assert desk.ask("S1", "POST", "/supervision/invoices", body, 201).json()["invoice_id"] == (
        "4403171130-00012345"
    )
    for changes in ({"units": 99}, {"amount_cents": 1}, {"issuer_tax_no": "91110108551385082Q"}):
        problem = desk.ask("S1", "POST", "/supervision/invoices", body | changes, 409).json()
        assert problem["type"].endswith("invoice-conflict")
    assert desk.ask("op1", "POST", "/supervision/invoices", body, 403)


def test_of_many_that_state_one_invoice_at_once_one_is_first(desk):
    body = invoice("crowd", number="17110000000000000001")
    with ThreadPoolExecutor(3) as pool:
        told = list(
            pool.map(
                lambda who: desk.ask(who, "POST", "/supervision/invoices", body, 201).json(),
                ("m1", "m2", "S1"),
            )
        )
    assert sorted(one["others"] for one in told) == [0, 1, 2]
    again = [desk.ask(who, "POST", "/supervision/invoices", body, 201).json() for who in ("m1", "m2", "S1")]
    assert {one["others"] for one in again} == {2}
    assert [one["is_first"] for one in again].count(True) == 1
