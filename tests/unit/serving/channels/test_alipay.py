"""Alipay RSA2: signed forms, requests to the gateway, signed answers, bills."""

import io
import json
import zipfile
from datetime import UTC, date, datetime
from urllib.parse import parse_qsl, urlencode

import pytest
from channel_keys import NOW, FakeWire, account, rsa_pair
from channel_notices import alipay_signed

from serving.channels.alipay.adapter import AlipayAdapter
from serving.channels.alipay.signing import request_message
from serving.channels.errors import (
    ChannelRefusedError,
    ChannelUnavailableError,
    Doubt,
    NoticeRefusedError,
)
from serving.channels.facts import (
    BillLine,
    PaymentFact,
    PayoutWanted,
    Progress,
    ReceiverWanted,
    RefundFact,
    RefundWanted,
    SplitReturnWanted,
    SplitWanted,
    UnfreezeWanted,
)
from serving.channels.signatures import is_signed, sign
from serving.channels.wire import Answer

REFUND = RefundWanted("r1", "2026110122001", 500, 2200, "broken")
PAYOUT = PayoutWanted("p1", "2088102", 300, "佣金")


def node(method, document, key="platform"):
    """An answer of the gateway whose signature is over the node as it is written."""
    raw = json.dumps(document, ensure_ascii=False, separators=(", ", " : "))
    text = f'{{"{method}_response":{raw},"sign":"{sign(rsa_pair(key)[0], raw.encode())}"}}'
    return Answer(200, {}, text.encode())


def adapter(*answers):
    wire = FakeWire(*answers)
    more = {"merchant_number": "2088", "app_id": "2021", "api_url": "https://gateway.test/gateway.do"}
    return AlipayAdapter(account("alipay", **more), wire, lambda: NOW), wire


def read(form):
    return adapter()[0].read_notice({}, urlencode(form).encode(), NOW)


def test_a_payment_notice():
    notice = read(alipay_signed())
    assert notice.fact == PaymentFact(
        "2026110122001", "order-1", 2200, "CNY", datetime(2026, 11, 1, 7, 59, 30, tzinfo=UTC)
    )
    assert (notice.notice_id, notice.nonce) == ("n-1", None)
    assert adapter()[0].acknowledgement().body == b"success"


def test_notices_that_state_no_payment():
    assert read(alipay_signed(trade_status="WAIT_BUYER_PAY")).fact is None
    assert read(alipay_signed(trade_status="TRADE_CLOSED")).fact is None
    assert read(alipay_signed(refund_fee="5.00", gmt_refund="2026-11-01 16:00:00")).fact is None


@pytest.mark.parametrize(
    ("form", "doubt"),
    [
        (alipay_signed() | {"total_amount": "22.01"}, Doubt.SIGNATURE),
        (alipay_signed() | {"sign": "AAAA"}, Doubt.SIGNATURE),
        (alipay_signed(key="shop"), Doubt.SIGNATURE),
        (alipay_signed(sign_type="RSA"), Doubt.SIGNATURE),
        ({}, Doubt.SIGNATURE),
        (alipay_signed(app_id="1"), Doubt.MERCHANT),
        (alipay_signed(seller_id="1"), Doubt.MERCHANT),
        (alipay_signed(total_amount="0.00"), Doubt.CONTENT),
        (alipay_signed(gmt_payment="yesterday"), Doubt.CONTENT),
    ],
)
def test_what_is_not_believed(form, doubt):
    with pytest.raises(NoticeRefusedError) as refused:
        read(form)
    assert refused.value.doubt is doubt


def test_a_parameter_that_comes_twice_is_refused():
    body = urlencode(alipay_signed()).encode() + b"&total_amount=1.00"
    with pytest.raises(NoticeRefusedError, match="twice"):
        adapter()[0].read_notice({}, body, NOW)


def test_a_refund_is_asked_for_and_its_standing_queried():
    asking, wire = adapter(
        node("alipay_trade_refund", {"code": "10000", "msg": "Success", "fund_change": "Y"}),
        node(
            "alipay_trade_fastpay_refund_query",
            {"code": "10000", "msg": "Success", "refund_status": "REFUND_SUCCESS", "refund_amount": "5.00"},
        ),
    )
    assert asking.request_refund(REFUND) == RefundFact("r1", 500, Progress.DONE, NOW)
    asked = dict(parse_qsl(wire.asked[0][3].decode()))
    signature = asked.pop("sign")
    assert is_signed(rsa_pair("shop")[1], request_message(asked), signature)
    assert (asked["method"], asked["timestamp"]) == ("alipay.trade.refund", "2026-11-01 16:00:00")
    assert json.loads(asked["biz_content"]) == {
        "trade_no": "2026110122001",
        "refund_amount": "5.00",
        "out_request_no": "r1",
        "refund_reason": "broken",
    }


def test_a_payment_is_queried():
    known = {
        "code": "10000",
        "trade_no": "2026110122001",
        "out_trade_no": "order-1",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "22.00",
        "send_pay_date": "2026-11-01 15:59:30",
    }
    unknown = {"code": "40004", "msg": "Business Failed", "sub_code": "ACQ.TRADE_NOT_EXIST"}
    asking, _ = adapter(node("alipay_trade_query", known), node("alipay_trade_query", unknown))
    assert asking.query_payment("2026110122001").amount_cents == 2200
    assert asking.query_payment("2026110122001") is None


@pytest.mark.parametrize(
    ("status", "progress"),
    [
        ("SUCCESS", Progress.DONE),
        ("DEALING", Progress.ACCEPTED),
        ("FAIL", Progress.FAILED),
        ("REFUND", Progress.RETURNED),
    ],
)
def test_transfers(status, progress):
    asking, _ = adapter(
        node("alipay_fund_trans_uni_transfer", {"code": "10000", "out_biz_no": "p1", "status": status}),
        node("alipay_fund_trans_common_query", {"code": "10000", "out_biz_no": "p1", "status": status}),
    )
    assert asking.request_payout(PAYOUT).progress is progress
    assert asking.query_payout(PAYOUT).progress is progress


def test_splits_returns_and_unfreezing():
    done = {"code": "10000"}
    asking, wire = adapter(
        node("alipay_trade_order_settle", done),
        node("alipay_trade_refund", done),
        node("alipay_trade_order_settle", done),
    )
    assert asking.split(SplitWanted("s1", "t", "2088102", 100, "share")) is Progress.DONE
    assert asking.return_split(SplitReturnWanted("b1", "s1", "t", "2088102", 100, "back")) is Progress.DONE
    assert asking.unfreeze(UnfreezeWanted("u1", "t", "done")) is Progress.DONE
    contents = [json.loads(dict(parse_qsl(body.decode()))["biz_content"]) for *_, body in wire.asked]
    assert contents[0]["royalty_mode"] == "sync"
    assert contents[0]["royalty_parameters"][0]["amount"] == "1.00"
    assert contents[1]["refund_amount"] == "0.00"
    assert contents[2]["extend_params"] == {"royalty_finish": "true"}


def test_a_receiver_is_bound_under_an_id_of_its_own():
    done = {"code": "10000"}
    asking, wire = adapter(*[node("alipay_trade_royalty_relation_bind", done)] * 2)
    for _ in range(2):
        asking.add_receiver(ReceiverWanted("2088102", "一号供应商有限公司", "supplier"))
    forms = [dict(parse_qsl(body.decode())) for *_, body in wire.asked]
    assert forms[0]["method"] == "alipay.trade.royalty.relation.bind"
    assert forms[0]["biz_content"] == forms[1]["biz_content"]
    content = json.loads(forms[0]["biz_content"])
    assert len(content["out_request_no"]) == 32
    assert content["receiver_list"] == [
        {"type": "userId", "account": "2088102", "name": "一号供应商有限公司", "memo": "supplier"}
    ]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (
            node("alipay_trade_refund", {"code": "20000", "sub_code": "isp.unknow-error"}),
            ChannelUnavailableError,
        ),
        (
            node("alipay_trade_refund", {"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"}),
            ChannelUnavailableError,
        ),
        (
            node("alipay_trade_refund", {"code": "40004", "sub_code": "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"}),
            ChannelRefusedError,
        ),
        (node("alipay_trade_refund", {"code": "10000"}, key="shop"), ChannelUnavailableError),
        (Answer(200, {}, b"not json"), ChannelUnavailableError),
        (Answer(502, {}, b""), ChannelUnavailableError),
    ],
)
def test_answers_that_settle_nothing(given, error):
    with pytest.raises(error):
        adapter(given)[0].request_refund(REFUND)


BILL = (
    "#支付宝业务明细查询\n#账号：[2088]\n"
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,订单金额（元）,商家实收（元）,退款批次号/请求号,"
    "服务费（元）,分润（元）,备注\n"
    "2026110122001\t,order-1\t,交易,衣服,2026-11-01 15:59:00,2026-11-01 15:59:30,22.00,22.00,,-0.13,0.00,\n"
    "2026110122001\t,order-1\t,退款,衣服,2026-11-01 16:00:00,2026-11-01 16:00:00,-5.00,-5.00,r1,0.03,0.00,\n"
    "#-----业务明细列表结束-----\n"
)


def test_a_bill_is_fetched_unzipped_and_read():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("2088_20261101_业务明细(汇总).csv", "#".encode("gbk"))
        archive.writestr("2088_20261101_业务明细.csv", BILL.encode("gbk"))
    where = {"code": "10000", "bill_download_url": "https://gateway.test/bill.zip"}
    asking, wire = adapter(
        node("alipay_data_dataservice_bill_downloadurl_query", where), Answer(200, {}, file.getvalue())
    )
    assert asking.bill(date(2026, 11, 1)) == [
        BillLine("payment", "2026110122001", 2200, 13, datetime(2026, 11, 1, 7, 59, 30, tzinfo=UTC)),
        BillLine("refund", "r1", 500, -3, NOW),
    ]
    assert wire.asked[1][:2] == ("GET", "https://gateway.test/bill.zip")


def test_a_day_without_a_bill_is_empty_only_when_the_channel_says_so():
    name = "alipay_data_dataservice_bill_downloadurl_query"
    asking, _ = adapter(node(name, {"code": "40004", "sub_code": "isp.bill_not_exist"}))
    assert asking.bill(date(2026, 11, 1)) == []
    asking, _ = adapter(node(name, {"code": "20000", "sub_code": "isp.unknow-error"}))
    with pytest.raises(ChannelUnavailableError):
        asking.bill(date(2026, 11, 1))
    asking, _ = adapter(node(name, {"code": "40002", "sub_code": "isv.invalid-arguments"}))
    with pytest.raises(ChannelRefusedError):
        asking.bill(date(2026, 11, 1))
