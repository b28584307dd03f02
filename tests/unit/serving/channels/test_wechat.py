"""WeChat Pay v3: signed and encrypted notices, signed requests and answers, bills."""

import base64
import hashlib
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from channel_keys import NOW, FakeWire, account, rsa_pair
from channel_notices import wechat_envelope, wechat_signed
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from serving.channels.errors import (
    ChannelRefusedError,
    ChannelUnavailableError,
    Doubt,
    NoticeRefusedError,
)
from serving.channels.facts import (
    BillLine,
    PaymentFact,
    PayoutFact,
    PayoutWanted,
    Progress,
    ReceiverWanted,
    RefundFact,
    RefundWanted,
    SplitReturnWanted,
    SplitWanted,
    UnfreezeWanted,
)
from serving.channels.signatures import is_signed, private_key
from serving.channels.wechat.adapter import WeChatAdapter
from serving.channels.wire import Answer

TRANSACTION = {
    "appid": "wx1",
    "mchid": "1900009191",
    "out_trade_no": "order-1",
    "transaction_id": "4200000001",
    "trade_type": "JSAPI",
    "trade_state": "SUCCESS",
    "success_time": "2026-11-01T15:59:30+08:00",
    "amount": {"total": 2200, "payer_total": 2100, "currency": "CNY", "payer_currency": "CNY"},
}
REFUND = RefundWanted("r1", "4200000001", 500, 2200, "broken")
PAYOUT = PayoutWanted("p1", "openid-1", 300, "佣金")


def answer(document, status=200, key="platform"):
    body = json.dumps(document).encode()
    return Answer(status, wechat_signed(body, key=key), body)


def adapter(*answers, **more):
    wire = FakeWire(*answers)
    return WeChatAdapter(account("wechat", **more), wire, lambda: NOW), wire


def read(event_type, document, **more):
    body = wechat_envelope(event_type, document, **more)
    return adapter()[0].read_notice(wechat_signed(body), body, NOW)


def test_a_payment_notice():
    notice = read("TRANSACTION.SUCCESS", TRANSACTION)
    # The order's amount counts: a coupon that the channel pays for is money all the same.
    assert notice.fact == PaymentFact(
        "4200000001", "order-1", 2200, "CNY", datetime(2026, 11, 1, 7, 59, 30, tzinfo=UTC)
    )
    assert (notice.notice_id, len(notice.nonce)) == ("n-1", 16)
    assert adapter()[0].acknowledgement().body.startswith(b'{"code":"SUCCESS"')


@pytest.mark.parametrize(
    ("event", "document", "fact"),
    [
        (
            "REFUND.SUCCESS",
            {
                "mchid": "1900009191",
                "out_refund_no": "r1",
                "refund_status": "SUCCESS",
                "success_time": "2026-11-01T16:00:00+08:00",
                "amount": {"total": 2200, "refund": 500, "payer_total": 2200, "payer_refund": 500},
            },
            RefundFact("r1", 500, Progress.DONE, NOW),
        ),
        (
            "REFUND.ABNORMAL",
            {
                "mchid": "1900009191",
                "out_refund_no": "r1",
                "refund_status": "ABNORMAL",
                "amount": {"refund": 500},
            },
            RefundFact("r1", 500, Progress.FAILED, NOW, "ABNORMAL"),
        ),
        (
            "MCHTRANSFER.BILL.FINISHED",
            {
                "out_bill_no": "p1",
                "mch_id": "1900009191",
                "state": "FAIL",
                "transfer_amount": 300,
                "fail_reason": "ACCOUNT_NOT_EXIST",
                "update_time": "2026-11-01T16:00:00+08:00",
            },
            PayoutFact("p1", 300, Progress.FAILED, NOW, "ACCOUNT_NOT_EXIST"),
        ),
        ("COMPLAINT.CREATE", {"complaint_id": "1"}, None),
        ("TRANSACTION.SUCCESS", TRANSACTION | {"trade_state": "CLOSED"}, None),
    ],
)
def test_other_notices(event, document, fact):
    assert read(event, document).fact == fact


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"wechatpay-serial": "OLD"}, Doubt.SERIAL),
        ({"wechatpay-serial": ""}, Doubt.SERIAL),
        ({"wechatpay-timestamp": str(int(NOW.timestamp()) + 1)}, Doubt.SIGNATURE),
        ({"wechatpay-nonce": "other"}, Doubt.SIGNATURE),
        ({"wechatpay-nonce": ""}, Doubt.NONCE),
        ({"wechatpay-signature": "WECHATPAY/SIGNTEST/abc"}, Doubt.SIGNATURE),
        ({"wechatpay-signature": ""}, Doubt.SIGNATURE),
        ({"wechatpay-timestamp": "soon"}, Doubt.TIMESTAMP),
    ],
)
def test_headers_that_prove_nothing(change, doubt):
    body = wechat_envelope("TRANSACTION.SUCCESS", TRANSACTION)
    with pytest.raises(NoticeRefusedError) as refused:
        adapter()[0].read_notice(wechat_signed(body, **change), body, NOW)
    assert refused.value.doubt is doubt


def test_old_foreign_and_changed_notices_are_refused():
    body = wechat_envelope("TRANSACTION.SUCCESS", TRANSACTION)
    reader = adapter()[0]
    for headers, told, doubt in (
        (wechat_signed(body, at=NOW - timedelta(minutes=6)), body, Doubt.TIMESTAMP),
        (wechat_signed(body, key="shop"), body, Doubt.SIGNATURE),
        (wechat_signed(body), body.replace(b"n-1", b"n-2"), Doubt.SIGNATURE),
    ):
        with pytest.raises(NoticeRefusedError) as refused:
            reader.read_notice(headers, told, NOW)
        assert refused.value.doubt is doubt
    for document, more, doubt in (
        (TRANSACTION | {"mchid": "1"}, {}, Doubt.MERCHANT),
        (TRANSACTION, {"key": "f" * 32}, Doubt.CONTENT),
        (TRANSACTION, {"algorithm": "AES"}, Doubt.CONTENT),
        (TRANSACTION | {"amount": {"total": 0}}, {}, Doubt.CONTENT),
        (TRANSACTION | {"success_time": "2026-11-01T15:59:30"}, {}, Doubt.CONTENT),
    ):
        with pytest.raises(NoticeRefusedError) as refused:
            read("TRANSACTION.SUCCESS", document, **more)
        assert refused.value.doubt is doubt


def test_a_refund_is_asked_for_under_our_signature():
    given = {"out_refund_no": "r1", "status": "PROCESSING", "amount": {"refund": 500, "total": 2200}}
    asking, wire = adapter(answer(given))
    assert asking.request_refund(REFUND) == RefundFact("r1", 500, Progress.ACCEPTED, NOW)
    method, url, headers, body = wire.asked[0]
    assert (method, url) == ("POST", "https://channel.test/v3/refund/domestic/refunds")
    assert json.loads(body) == {
        "transaction_id": "4200000001",
        "out_refund_no": "r1",
        "reason": "broken",
        "amount": {"refund": 500, "total": 2200, "currency": "CNY"},
        "notify_url": "https://shop.test/n",
    }
    named = dict(part.split("=", 1) for part in headers["authorization"].partition(" ")[2].split(","))
    stamp, nonce = named["timestamp"].strip('"'), named["nonce_str"].strip('"')
    message = f"POST\n/v3/refund/domestic/refunds\n{stamp}\n{nonce}\n".encode() + body + b"\n"
    assert is_signed(rsa_pair("shop")[1], message, named["signature"].strip('"'))


def test_queries_sign_their_query_string_and_know_what_is_unknown():
    asking, wire = adapter(answer(TRANSACTION), Answer(404, {}, b'{"code":"ORDER_NOT_EXIST"}'))
    assert asking.query_payment("4200000001").amount_cents == 2200
    assert wire.asked[0][1] == "https://channel.test/v3/pay/transactions/id/4200000001?mchid=1900009191"
    assert asking.query_refund(REFUND) is None


@pytest.mark.parametrize(
    ("state", "progress"),
    [("SUCCESS", Progress.DONE), ("WAIT_USER_CONFIRM", Progress.ACCEPTED), ("CANCELLED", Progress.FAILED)],
)
def test_transfers(state, progress):
    given = {"out_bill_no": "p1", "transfer_bill_no": "1", "state": state}
    asking, wire = adapter(answer(given), answer(given | {"transfer_amount": 300}))
    assert asking.request_payout(PAYOUT).progress is progress
    document = json.loads(wire.asked[0][3])
    assert (document["openid"], document["transfer_amount"], document["out_bill_no"]) == (
        "openid-1",
        300,
        "p1",
    )
    assert asking.query_payout(PAYOUT).amount_cents == 300
    assert wire.asked[1][1].endswith("/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/p1")


def test_splits_returns_and_unfreezing():
    asking, wire = adapter(
        answer({"state": "PROCESSING"}), answer({"result": "SUCCESS"}), answer({"state": "FINISHED"})
    )
    assert asking.split(SplitWanted("s1", "42", "1900000002", 100, "share")) is Progress.ACCEPTED
    back = SplitReturnWanted("b1", "s1", "42", "1900000002", 100, "back")
    assert asking.return_split(back) is Progress.DONE
    assert asking.unfreeze(UnfreezeWanted("u1", "42", "done")) is Progress.DONE
    assert [url.partition(".test")[2] for _, url, _, _ in wire.asked] == [
        "/v3/profitsharing/orders",
        "/v3/profitsharing/return-orders",
        "/v3/profitsharing/orders/unfreeze",
    ]


@pytest.mark.parametrize(
    ("result", "progress"),
    [("SUCCESS", Progress.DONE), ("PENDING", Progress.ACCEPTED), ("CLOSED", Progress.FAILED)],
)
def test_a_finished_split_is_as_far_as_its_receivers_part(result, progress):
    """A receiver that may not take it gets nothing, and the order is finished all the same."""
    asking, _ = adapter(answer({"state": "FINISHED", "receivers": [{"result": result, "amount": 100}]}))
    assert asking.split(SplitWanted("s1", "42", "1900000002", 100, "share")) is progress


def test_a_payment_that_is_used_up_refuses_a_part_and_a_receiver_without_money_keeps_us_waiting():
    short = Answer(403, {}, b'{"code":"NOT_ENOUGH","message":"x"}')
    asking, _ = adapter(short, short)
    with pytest.raises(ChannelRefusedError, match="NOT_ENOUGH"):
        asking.split(SplitWanted("s1", "42", "1900000002", 100, "share"))
    with pytest.raises(ChannelUnavailableError):
        asking.return_split(SplitReturnWanted("b1", "s1", "42", "1900000002", 100, "back"))


def test_a_receiver_is_told_with_its_name_for_the_channel_alone():
    asking, wire = adapter(answer({"type": "MERCHANT_ID", "account": "1900000002"}))
    asking.add_receiver(ReceiverWanted("1900000002", "一号供应商有限公司", "supplier"))
    method, url, headers, body = wire.asked[0]
    assert (method, url.partition(".test")[2]) == ("POST", "/v3/profitsharing/receivers/add")
    document = json.loads(body)
    name = base64.b64decode(document.pop("name"))
    assert document == {
        "appid": "wx1",
        "type": "MERCHANT_ID",
        "account": "1900000002",
        "relation_type": "SUPPLIER",
    }
    key = private_key(rsa_pair("platform")[0])
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    assert key.decrypt(name, oaep).decode() == "一号供应商有限公司"
    assert headers["wechatpay-serial"] in account("wechat").public_keys


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (answer({"code": "SYSTEM_ERROR", "message": "m"}, 500), ChannelUnavailableError),
        (answer({"code": "FREQUENCY_LIMITED"}, 429), ChannelUnavailableError),
        (answer({"code": "NOT_ENOUGH"}, 403), ChannelUnavailableError),
        (answer({"code": "SIGN_ERROR"}, 401), ChannelUnavailableError),
        (answer({"code": "PARAM_ERROR", "message": "m"}, 400), ChannelRefusedError),
        (Answer(502, {}, b"<html>"), ChannelUnavailableError),
        (
            answer({"out_refund_no": "r1", "status": "SUCCESS", "amount": {"refund": 500}}, key="shop"),
            ChannelUnavailableError,
        ),
        (
            answer({"out_refund_no": "r1", "status": "LOST", "amount": {"refund": 500}}),
            ChannelUnavailableError,
        ),
    ],
)
def test_answers_that_settle_nothing(given, error):
    with pytest.raises(error):
        adapter(given)[0].request_refund(REFUND)


BILL = (
    "\ufeff交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易状态,货币种类,应结订单金额,商户退款单号,退款金额,"
    "退款状态,手续费,费率,订单金额,申请退款金额\n"
    "`2026-11-01 15:59:30,`wx1,`1900009191,`4200000001,`order-1,`SUCCESS,`CNY,`22.00,`0,`0.00,`,`0.13000,"
    "`0.60%,`22.00,`0.00\n"
    "`2026-11-01 16:00:00,`wx1,`1900009191,`4200000001,`order-1,`REFUND,`CNY,`0.00,`r1,`5.00,`SUCCESS,"
    "`-0.03000,`0.60%,`0.00,`5.00\n"
    "总交易单数,应结订单总金额,退款总金额\n`2,`22.00,`5.00\n"
)


def test_a_bill_is_fetched_checked_and_read():
    text = BILL.encode()
    where = {
        "hash_type": "SHA1",
        "hash_value": hashlib.sha1(text).hexdigest(),
        "download_url": "https://channel.test/v3/billdownload/file?token=x",
    }
    asking, wire = adapter(answer(where), Answer(200, {}, text))
    assert asking.bill(date(2026, 11, 1)) == [
        BillLine("payment", "4200000001", 2200, 13, datetime(2026, 11, 1, 7, 59, 30, tzinfo=UTC)),
        BillLine("refund", "r1", 500, -3, NOW),
    ]
    assert wire.asked[0][1].endswith("/v3/bill/tradebill?bill_date=2026-11-01&bill_type=ALL")
    asking, _ = adapter(answer(where), Answer(200, {}, text + b" "))
    with pytest.raises(ChannelUnavailableError, match="announced"):
        asking.bill(date(2026, 11, 1))


def test_a_day_without_a_bill_is_empty_only_when_the_channel_says_so():
    def refusing(code):
        return Answer(400, {}, json.dumps({"code": code, "message": "x"}).encode())

    asking, _ = adapter(refusing("NO_STATEMENT_EXIST"))
    assert asking.bill(date(2026, 11, 1)) == []
    for other in (refusing("STATEMENT_CREATING"), Answer(404, {}, b"")):
        asking, _ = adapter(other)
        with pytest.raises(ChannelUnavailableError):
            asking.bill(date(2026, 11, 1))
    asking, _ = adapter(refusing("PARAM_ERROR"))
    with pytest.raises(ChannelRefusedError):
        asking.bill(date(2026, 11, 1))
