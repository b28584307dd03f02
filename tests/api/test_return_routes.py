"""Cases between shop, supplier and operator over HTTP: each says only what is its to say."""

import pytest
from small_market import TENANT, Shop

from serving.db.operations import Operations
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("return_routes")  # one world for all, in order

ADDRESS = {"name": "李仓库", "phone": "13900001111", "address": "宁波市北仑区 8 号"}


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=4) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        yield made


@pytest.fixture(scope="module")
def call(client, scores_url):
    parties = {"S1": Role.SUPPLIER, "S2": Role.SUPPLIER, "m1": Role.MERCHANT, "m2": Role.MERCHANT}
    keys = {
        who: issue_key(
            scores_url, name=who, role=role, party_id=who if who in parties else None,
            scopes=sorted(ROLE_SCOPES[role]),
        ).secret
        for who, role in {**parties, "op": Role.OPERATOR}.items()
    }  # fmt: skip

    def send(who, method, path, body=None, expected=200, key=None):
        headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": key} if key else {})
        answer = client.request(method, f"/v1{path}", json=body, headers=headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    return send


@pytest.fixture
def now(client, shop):
    with shop.transaction() as conn:
        return client.app.state.clock.now(conn, TENANT)


def shipped(shop, call, name, now, qty=3):
    shop.list(name, 1000)
    shop.supply("S1", name, 10, price=600, freight=100)
    shop.place(name, (name, qty), at=now)
    shop.pay(name, at=now)
    call("S1", "POST", f"/orders/{name}/suborders/S1/accept", {})
    notice = {"shipment_id": f"sh-{name}", "promised_at": "2030-01-01T00:00:00Z"}
    notice |= {"shipped_at": now.isoformat()}
    call("S1", "POST", f"/orders/{name}/suborders/S1/shipments", notice)


def test_a_return_from_the_answer_to_the_money(shop, call, now):
    shipped(shop, call, "ret-1", now)
    wanted = {"line_no": 1, "kind": "return", "reason_code": "broken", "requested_cents": 3000}
    problem = call("m1", "POST", "/orders/ret-1/after-sales", wanted, 422, "r-0")
    assert problem["errors"][0]["parameter"] == "qty"
    case = call("m1", "POST", "/orders/ret-1/after-sales", {**wanted, "qty": 3}, 201, "r-1")
    path = f"/after-sales/{case['case_id']}"
    call("m1", "POST", f"{path}/answer", {"agrees": True}, 403)
    call("S2", "POST", f"{path}/answer", {"agrees": True}, 404)
    call("m1", "GET", f"{path}/return-address", None, 404)
    answered = call("S1", "POST", f"{path}/answer", {"agrees": True, "return_address": ADDRESS})
    assert answered["supplier_answer"] == "agreed"
    assert "phone" not in answered
    assert call("m1", "GET", f"{path}/return-address") == {**ADDRESS, "region_code": None}
    call("m2", "GET", f"{path}/return-address", None, 404)
    call("S2", "GET", f"{path}/return-address", None, 404)
    call("m1", "POST", f"{path}/parcel", {"carrier": "SF", "tracking_no": "1"})
    call("m1", "POST", f"{path}/return-receipt", {"received_qty": 3, "restocked_qty": 3}, 403)
    came = call("S1", "POST", f"{path}/return-receipt", {"received_qty": 2, "restocked_qty": 2}, key="once")
    again = call("S1", "POST", f"{path}/return-receipt", {"received_qty": 2, "restocked_qty": 2}, key="once")
    assert came == again
    assert shop.stock_of("S1", "ret-1") == (9, 0, 9)
    refused = call("m1", "POST", f"{path}/refund", {"refund_cents": 3000}, 409, "r-2")
    assert refused["type"] == "urn:muyun:problem:refund-refused"
    assert call("m1", "POST", f"{path}/refund", {"refund_cents": 2000}, 200, "r-3")["refund_cents"] == 2000
    log = call("op", "GET", f"/audit-log?object_id={case['case_id']}")["entries"]
    assert {entry["action"] for entry in log} >= {
        "after_sale.open",
        "after_sale.answer",
        "return_address.read",
        "after_sale.parcel",
        "after_sale.return_receipt",
        "after_sale.refund",
    }


def test_only_an_operator_decides_a_dispute(shop, call, now):
    shipped(shop, call, "ret-2", now)
    wanted = {"line_no": 1, "kind": "complaint", "reason_code": "broken", "requested_cents": 500}
    case = call("m1", "POST", "/orders/ret-2/after-sales", wanted, 201, "d-1")
    path = f"/after-sales/{case['case_id']}"
    call("S1", "POST", f"{path}/answer", {"agrees": False}, 422)
    call("S1", "POST", f"{path}/answer", {"agrees": False, "reason_code": "was_whole"})
    call("m1", "POST", f"{path}/refund", {"refund_cents": 500}, 409, "d-2")
    decision = {"decision": "refund", "reason_code": "photo"}
    call("m1", "POST", f"{path}/arbitration", decision, 403)
    call("S1", "POST", f"{path}/arbitration", decision, 403)
    assert call("op", "POST", f"{path}/arbitration", decision)["decision"] == "refund"
    call("m1", "POST", f"{path}/refund", {"refund_cents": 500}, 200, "d-3")


def test_units_of_a_paid_line_are_cancelled(shop, call, now):
    """3 x 10.00 and 3 x 1.00 freight; 2 units: 20.00 and 2.00 back, 1 unit goes on."""
    shop.list("ret-3", 1000)
    shop.supply("S1", "ret-3", 10, price=600, freight=100)
    shop.place("ret-3", ("ret-3", 3), at=now)
    shop.pay("ret-3", at=now)
    path = "/orders/ret-3/lines/1/cancel"
    call("m2", "POST", path, {"qty": 2}, 404, "c-1")
    call("m1", "POST", path, {"qty": 4}, 422, "c-2")
    done = call("m1", "POST", path, {"qty": 2}, 200, "c-3")
    assert (done["left_qty"], done["refund_cents"], done["freight_cents"]) == (1, 2000, 200)
    assert call("m1", "POST", path, {"qty": 2}, 200, "c-3") == done
    assert shop.stock_of("S1", "ret-3") == (10, 1, 9)
