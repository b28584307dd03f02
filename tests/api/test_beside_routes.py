"""Fees, guarantees, debts, points, listings and reviews over HTTP: what is booked, by whom, and refusals."""

import datetime as dt
from urllib.parse import quote

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import Shop
from two_people import approved

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.posting import Line, Posting, post
from serving.orders.placing.points_payment import give_back_due
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.settlement.plans.profiles import shipped_text

pytestmark = pytest.mark.xdist_group("beside_routes")  # one world for all, in order

NOW = dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC)
SUPPLIER, MERCHANT = (
    {"party_type": "supplier", "party_id": "s1"},
    {"party_type": "merchant", "party_id": "m1"},
)
AGENT = {"party_type": "agent", "party_id": "a1"}


@pytest.fixture(scope="module")
def api(module_database_url, settings):
    """The application at a fixed business time over a small market with a plan and parties on file."""
    app = create_app(settings.model_copy(update={"as_of": NOW}), module_database_url, ProfileReader(SCHEMA))
    with (
        TestClient(app, raise_server_exceptions=False) as client,
        Operations(module_database_url) as operations,
    ):
        yield Api(client, Shop(module_database_url, operations))


class Api:
    def __init__(self, client, shop):
        self.client, self.shop, self.keys = client, shop, {}
        shop.plan()
        shop.supply("s1", "k1", 100, price=6_000)
        shop.agent("a1")
        for kind, name in (("supplier", "s1"), ("merchant", "m1"), ("merchant", "m2"), ("merchant", "m9")):
            shop.sql(
                "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract,"
                " is_natural_person) values ('default', %(kind)s, %(name)s, true, true, false)",
                kind=kind,
                name=name,
            )

    def approved(self, made):
        """What a second person's approval made."""
        self.ask("GET", "/debts", role="operator", person="second")
        done = approved(self.client, self.keys["operator", None, "second"], made)
        assert done.status_code == 200, done.text
        return done.json()["effect"]

    def ask(self, method, path, body=None, role="operator", party_id=None, person="first", **query):
        if (role, party_id, person) not in self.keys:
            self.keys[role, party_id, person] = issue_key(
                self.shop.url, name="t", role=role, party_id=party_id, scopes=sorted(ROLE_SCOPES[Role(role)])
            ).secret
        headers = {"X-API-Key": self.keys[role, party_id, person]}
        return self.client.request(method, f"/v1{path}", params=query, headers=headers, json=body)

    def credit(self, party, cents, key):
        def book(conn, tenant):
            kind = AccountKind(f"{party['party_type']}_available")
            lines = (Line(AccountKind.CHANNEL_AVAILABLE, -cents), Line(kind, cents, Party(**party)))
            post(conn, tenant, Posting(key, "release", NOW, lines))

        self.shop.act(book)

    def balances(self, party, **more):
        answer = self.ask("GET", f"/balances/{party['party_type']}/{party['party_id']}", **more)
        assert answer.status_code == 200, answer.text
        return {row["account"]: row["balance_cents"] for row in answer.json()["balances"]}


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("urn:muyun:problem:")


def test_a_penalty_is_charged_once_becomes_a_debt_and_is_repaid(api):
    body = {"fee_id": "p1", "payer": SUPPLIER, "cents": 7_000, "reason_code": "late_delivery"}
    assert problem(api.ask("POST", "/fees/penalties", {**body, "payer": {**SUPPLIER, "party_id": "none"}}))[
        1
    ] == ("party-not-found")
    made = api.ask("POST", "/fees/penalties", body)
    assert api.balances(SUPPLIER).get("clawback_receivable", 0) == 0
    assert api.ask("POST", "/fees/penalties", body).json() == made.json()
    assert api.approved(made) == {"fee_id": "p1", "amount_cents": 7_000}
    assert problem(api.ask("POST", "/fees/penalties", {**body, "cents": 7_001})) == (
        409,
        "idempotency-conflict",
    )
    assert api.balances(SUPPLIER)["clawback_receivable"] == -7_000

    debt = api.ask("GET", "/debts").json()["debts"]
    assert [(d["party_id"], d["owed_cents"], d["days_0_30_cents"], d["days_91_cents"]) for d in debt] == [
        ("s1", 7_000, 7_000, 0)
    ]
    pay = {"repayment_id": "r1", "party": SUPPLIER, "cents": 3_000}
    assert api.ask("POST", "/debts/repayments", pay).json()["is_new"] is True
    assert api.ask("POST", "/debts/repayments", pay).json()["is_new"] is False
    assert (
        problem(api.ask("POST", "/debts/repayments", {**pay, "repayment_id": "r2", "cents": 4_001}))[0] == 422
    )
    assert api.balances(SUPPLIER, role="supplier", party_id="s1")["clawback_receivable"] == -4_000
    assert problem(api.ask("GET", "/balances/supplier/s1", role="supplier", party_id="s2"))[0] == 403

    back = {"reversal_id": "x1", "cents": 7_000}
    assert api.ask("POST", "/fees/p1/reversals", back).json()["reversed_cents"] == 7_000
    assert problem(api.ask("POST", "/fees/none/reversals", back)) == (404, "fee-not-found")
    assert problem(api.ask("POST", "/fees/p1/reversals", {"reversal_id": "x2", "cents": 1}))[0] == 422
    assert api.balances(SUPPLIER) == {"clawback_receivable": 0, "supplier_available": 3_000}


def test_a_plan_is_chosen_by_two_people_and_never_in_the_past(api):
    past = {"merchant_id": "m7", "effective_at": (NOW - dt.timedelta(seconds=1)).isoformat()}
    assert problem(api.ask("POST", "/plans/in-force", past)) == (422, "plan-refused")
    assert problem(api.ask("POST", "/plans/none/assignments", {"merchant_id": "m7"}))[0] == 404
    asked = api.ask("POST", "/plans/in-force", {"merchant_id": "m7"})
    assert asked.status_code == 202, asked.text
    made = api.approved(asked)
    assert (made["plan_id"], made["effective_at"]) == ("cn_strict", NOW.isoformat())
    again = api.ask("POST", "/plans/cn_strict/assignments", {"merchant_id": "m8"})
    assert api.approved(again)["plan_id"] == "cn_strict"
    listed = api.ask("GET", "/plan-assignments", role="auditor").json()["assignments"]
    assert [(one["merchant_id"], one["plan_id"]) for one in listed] == [
        (None, "cn_strict"),
        ("m7", "cn_strict"),
        ("m8", "cn_strict"),
    ]


def test_a_service_fee_knows_its_month_and_pays_the_recruiter_for_a_year(api):
    api.credit(MERCHANT, 100_000, "credit-service")
    body = {"payer": MERCHANT, "recognised_cents": 10_000, "recruiter": {**MERCHANT, "party_id": "m2"}}
    first = api.ask("POST", "/fees/service", {"fee_id": "f1", **body}).json()
    assert (first["share_cents"], first["beneficiary_id"], first["state"]) == (3_000, "m2", "pending")
    # A year on, the books say that it is the thirteenth month: nothing is left for the recruiter.
    api.shop.sql(
        "insert into settlement.service_fee (tenant_id, fee_id, party_type, party_id, kind, amount_cents,"
        " recognised_at, transaction_id, share_cents, state, explanation)"
        " values ('default', 'f0', 'merchant', 'm1', 'service_fee', 1, %(at)s, 1, 0, 'released', '')",
        at=NOW - dt.timedelta(days=366),
    )
    later = api.ask("POST", "/fees/service", {"fee_id": "f2", **body}).json()
    assert (later["share_cents"], later["beneficiary_id"]) == (0, None)
    slot = {"fee_id": "f3", "merchant_id": "m1", "anchor": AGENT, "slot_fee_cents": 5_000}
    assert api.ask("POST", "/fees/slot", slot).json()["share_cents"] == 4_500
    assert api.balances(AGENT)["agent_pending"] == 4_500
    # A party's key sees what it pays or gets, page by page.
    page = api.ask("GET", "/fees", role="merchant", party_id="m1", limit=2).json()
    assert [fee["fee_id"] for fee in page["fees"]] == ["f0", "f1"]
    rest = api.ask("GET", "/fees", role="merchant", party_id="m1", cursor=page["next_cursor"]).json()
    assert [fee["fee_id"] for fee in rest["fees"]] == ["f2", "f3"]
    assert [fee["fee_id"] for fee in api.ask("GET", "/fees", role="agent", party_id="a1").json()["fees"]] == [
        "f3"
    ]


def test_claims_are_met_from_the_guarantee_then_the_fund(api):
    merchant = {"party_type": "merchant", "party_id": "m2"}
    api.credit(merchant, 1_000, "credit-guarantee")
    own = {"payment_id": "g1", "party": merchant, "cents": 600}
    assert api.ask("POST", "/guarantees/payments", own).json()["is_new"] is True
    assert problem(api.ask("POST", "/guarantees/payments", {**own, "payment_id": "g2"}))[0] == 422
    assert api.ask("POST", "/guarantees/payments", {"payment_id": "g3", "cents": 100}).status_code == 201
    claims = {"clearing_id": "c1", "party": merchant, "claims": [{"claim_id": "b1", "cents": 900}]}
    assert api.ask("POST", "/guarantees/clearings", claims).json()["claims"] == [
        {"claim_id": "b1", "own_cents": 600, "fund_cents": 100, "unpaid_cents": 200}
    ]
    assert problem(api.ask("POST", "/guarantees/clearings", claims))[0] == 422


def test_listings_are_put_by_the_shop_itself(api):
    products = {"products": [{"sku_id": "k1", "title": "a thing", "category_ids": ["leaf"]}]}
    assert api.ask("PUT", "/products", products).json() == {"rows": 1}
    listing = {"listings": [{"sku_id": "k1", "list_price_cents": 10_000}]}
    assert api.ask("PUT", "/merchants/m1/listings", listing, "merchant", "m1").json() == {"rows": 1}
    assert problem(api.ask("PUT", "/merchants/m1/listings", listing, "merchant", "m2"))[0] == 403
    assert problem(api.ask("PUT", "/products", {"products": products["products"] * 2}))[0] == 422
    api.shop.place("listed", ("k1", 1))
    assert api.shop.read("listed")[0].payable_cents == 10_000


def test_points_pay_part_of_a_line_and_come_back_when_it_is_cancelled(api):
    api.shop.list("k1", 10_000)
    api.shop.place("op", ("k1", 1), consumer="cp")

    def earn(conn, tenant):
        lines = (
            Line(AccountKind.CONSUMER_POINTS, 4_000, Party("consumer", "cp")),
            Line(AccountKind.POINTS_LIABILITY, -4_000),
        )
        details = {"merchant_id": "m2", "supplier_id": "s1", "points": 4_000}
        post(conn, tenant, Posting("points:seed:s1:0", "points", NOW, lines, None, details))

    api.shop.act(earn)
    api.credit({"party_type": "merchant", "party_id": "m2"}, 5_000, "credit-points")
    before = api.balances({"party_type": "merchant", "party_id": "m2"})["merchant_available"]
    path = f"/orders/{quote('op')}/lines/1/points"
    assert problem(api.ask("POST", path, {"points": 3_001})) == (409, "points-refused")
    assert problem(api.ask("POST", path, {"points": 10}, "merchant", "m2"))[0] == 404
    paid = api.ask("POST", path, {"points": 3_000}, "merchant", "m1")
    assert paid.status_code == 201, paid.text
    assert (paid.json()["net_paid_cents"], paid.json()["payable_cents"]) == (7_000, 7_000)
    assert api.ask("POST", path, {"points": 3_000}).json()["is_new"] is False
    assert problem(api.ask("POST", path, {"points": 2_999})) == (409, "idempotency-conflict")
    # Nobody paid: the points are taken, and no merchant's money moved for them.
    assert api.shop.balances()["consumer_points", "cp"] == 1_000
    assert api.balances({"party_type": "merchant", "party_id": "m2"})["merchant_available"] == before
    assert api.ask("POST", "/orders/op/cancel").status_code == 200

    def transactions():
        return api.shop.transaction()

    assert give_back_due(transactions, "default", NOW) == 3_000
    assert give_back_due(transactions, "default", NOW) == 0
    assert api.shop.balances()["consumer_points", "cp"] == 4_000
    assert api.balances({"party_type": "merchant", "party_id": "m2"})["merchant_available"] == before


def test_the_calendar_is_set_before_a_month_is_closed(api):
    assert api.ask("GET", "/calendar").json() == {"time_zone": "UTC"}
    assert problem(api.ask("PUT", "/calendar", {"time_zone": "Mars/Olympus"})) == (422, "invalid-parameter")
    assert problem(api.ask("PUT", "/calendar", {"time_zone": "Asia/Shanghai"}, "merchant", "m1"))[0] == 403
    for zone in ("Asia/Shanghai", "UTC"):
        assert api.ask("PUT", "/calendar", {"time_zone": zone}).json() == {"time_zone": zone}
        assert api.ask("GET", "/calendar").json() == {"time_zone": zone}
    api.shop.sql("select ledger.close_until('default', '2020-02-01T00:00:00Z')")
    assert problem(api.ask("PUT", "/calendar", {"time_zone": "Asia/Shanghai"})) == (409, "period-closed")
    assert api.ask("PUT", "/calendar", {"time_zone": "UTC"}).status_code == 200


def test_a_review_of_diversion_says_what_it_is_made_of(api):
    counts = {"scans": 10, "scans_elsewhere": 10, "listings": 1, "listings_below_floor": 1}
    answer = api.ask("POST", "/agents/a1/diversion-reviews", counts)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["score"], answer.json()["is_held"]) == (6_000, True)
    assert (
        problem(api.ask("POST", "/agents/a1/diversion-reviews", {"scans": 1, "scans_elsewhere": 2}))[0] == 422
    )
    assert api.ask("GET", "/agents/a1").json()["compositions"] == []


def test_a_legal_review_is_put_on_file_once(api):
    body = {
        "review_id": "lr1",
        "signed_by": "a lawyer",
        "signed_at": "2026-10-01T00:00:00Z",
        "reference": "7/26",
    }
    assert api.ask("POST", "/plans/two/legal-reviews", body).json()["is_new"] is True
    assert api.ask("POST", "/plans/two/legal-reviews", body).json()["is_new"] is False
    assert problem(api.ask("POST", "/plans/other/legal-reviews", body)) == (409, "plan-conflict")
    late = {**body, "review_id": "lr2", "signed_at": "2026-12-01T00:00:00Z"}
    assert problem(api.ask("POST", "/plans/two/legal-reviews", late))[0] == 422


def test_a_debt_is_given_up_by_two_people_and_the_platform_bears_it(api):
    payer = {"party_type": "merchant", "party_id": "m9"}
    penalty = {"fee_id": "p-off", "payer": payer, "cents": 2_000, "reason_code": "late_delivery"}
    api.approved(api.ask("POST", "/fees/penalties", penalty))
    body = {"write_off_id": "w1", "party": payer, "cents": 1_500, "reason_code": "insolvent"}
    assert problem(api.ask("POST", "/debts/write-offs", {**body, "cents": 2_001}))[0] == 422
    made = api.ask("POST", "/debts/write-offs", body)
    assert (made.status_code, api.balances(payer)["clawback_receivable"]) == (202, -2_000)
    assert api.approved(made)["amount_cents"] == 1_500
    assert api.balances(payer)["clawback_receivable"] == -500
    accounts = api.ask("GET", "/ledger/accounts", kind="bad_debt").json()["accounts"]
    assert [row["balance_cents"] for row in accounts] == [-1_500]
    # The id is an idempotency key: asking again shows what it made, and gives up nothing more.
    assert api.ask("POST", "/debts/write-offs", body).json()["state"] == "in_effect"
    assert api.balances(payer)["clawback_receivable"] == -500


def test_a_reviewed_plan_waits_without_the_name_of_whoever_signed(api):
    text = shipped_text("cn_two_level").replace("plan_id: cn_two_level", "plan_id: two_levels")
    text = text.replace("effective_at: 2016", "effective_at: 2026")
    review = {
        "review_id": "lr-7",
        "signed_by": "a lawyer with a name",
        "signed_at": "2026-10-01T00:00:00Z",
        "reference": "file 7 of 26",
    }
    body = {
        "merchant_id": "m8",
        "document": text.replace("legal_review: null", "legal_review: lr-7"),
        "legal_review": review,
    }
    made = api.ask("POST", "/plans/in-force", body)
    assert made.status_code == 202, made.text
    shown = api.ask("GET", f"/approvals/{made.json()['approval_id']}").json()["approval"]
    assert (shown["kind"], shown["suggestion"]["review_id"]) == ("plan_assignment", "lr-7")
    assert "lawyer" not in str(shown)
    assert api.approved(made)["plan_id"] == "two_levels"


def test_every_act_left_a_line_in_the_audit_log(api, module_database_url):
    with psycopg.connect(libpq_url(module_database_url)) as conn:
        actions = {action for (action,) in conn.execute("select distinct action from ops.audit_log")}
    assert actions >= {
        "approval.take_effect", "fee.reverse", "fee.recognise", "fee.charge_slot", "debt.repay",
        "guarantee.pay_in", "guarantee.clear", "products.put", "listings.put", "order.pay_with_points",
        "agent.review_diversion", "plan.review",
    }  # fmt: skip
