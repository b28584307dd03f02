"""Signatures, canonical texts, time windows and amounts: known vectors, properties, negatives."""

import base64
from datetime import timedelta

import pytest
from channel_keys import NOW, rsa_pair
from hypothesis import given
from hypothesis import strategies as st

from serving.channels.alipay.signing import notice_message, request_message, signed_node
from serving.channels.errors import ChannelKeyError, NoticeRefusedError
from serving.channels.fees import contract_fee
from serving.channels.signatures import check_time, is_signed, public_key, sign, three_lines
from serving.channels.simulated.messages import new_keys
from serving.channels.wechat import signing
from serving.channels.wechat.resource import Resource, decrypted
from serving.channels.yuan import fen, yuan

# From the tests of the official SDK wechatpay-go (utils/aes_test.go, core/auth/verifiers).
SDK_RESOURCE = Resource(
    algorithm="AEAD_AES_256_GCM",
    ciphertext="FsdXzxryWfKwvLJKf8LG/ToRPTRh8RN9wROC",
    nonce="wCq51qZv4Yfg",
    associated_data="Dl56FrqWQJF1t9LtC3vEUsniZKvbqdR8",
)
SDK_PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2VCTd91fnUn73Xy9DLvt
/V62TVxRTEEstVdeRaZ3B3leO0pldE806mXO4RwdHXagHQ4vGeZN0yqm++rDsGK+
U3AH7kejyD2pXshNP9Cq5YwbptiLGtjcquw4HNxJQUOmDeJf2vg6byms9RUipiq4
SzbJKqJFlUpbuIPDpSpWz10PYmyCNeDGUUK65E5h2B834uxl1zNLYQCrkdBzb8oU
xwYeP5a2DNxmjL5lsJML7DGr5znsevnoqGRwTm9fxCGfy8wus7hwKz6clt3Whmmd
a7UAdb1c08hEQFVRbF14AR73xbnd8N0obCWJPCbzMCtkaSef4FdEEgEXJiw0VAJT
8wIDAQAB
-----END PUBLIC KEY-----"""
SDK_SIGNATURE = (
    "BKyAfU4iMCuvXMXS0Wzam3V/cnxZ+JaqigPM5OhljS2iOT95OO6Fsuml2JkFANJU9"
    "K6q9bLlDhPXuoVz+pp4hAm6pHU4ld815U4jsKu1RkyaII+1CYBUYC8TK0XtJ8FwUXXz8vZHh58rrAVN1XwNyv"
    "D1vfpxrMT4SL536GLwvpUHlCqIMzoZUguLli/K8V29QiOhuH6IEqLNJn8e9b3nwNcQ7be3CzYGpDAKBfDGPCq"
    "Cv8Rw5zndhlffk2FEA70G4hvMwe51qMN/RAJbknXG23bSlObuTCN7Ndj1aJGH6/L+hdwfLpUtJm4QYVazzW7D"
    "FD27EpSQEqA8bX9+8m1rLg=="
)


def test_the_signature_of_the_official_sdk_verifies():
    assert is_signed(SDK_PUBLIC_KEY, b"source", SDK_SIGNATURE)
    assert not is_signed(SDK_PUBLIC_KEY, b"wrong source", SDK_SIGNATURE)
    assert not is_signed(SDK_PUBLIC_KEY, b"source", "invalid base64 signature")
    assert not is_signed(SDK_PUBLIC_KEY, b"source", "")


def test_the_resource_of_the_official_sdk_decrypts():
    assert decrypted("testAPIv3Key0000", SDK_RESOURCE) == b"Hello World"
    for key in ("testAPIv3Key1111", "not a aes key"):
        with pytest.raises(NoticeRefusedError):
            decrypted(key, SDK_RESOURCE)


def test_the_request_message_of_the_documentation():
    # pay.weixin.qq.com, APIv3, how to sign: GET /v3/certificates.
    made = signing.request_message(
        "GET", "/v3/certificates", "1554208460", "593BEC0C930BF1AFEB40B4A08C8FB242", b""
    )
    assert made == b"GET\n/v3/certificates\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n"


def test_our_authorization_is_signed_over_what_is_sent():
    private, public, _ = rsa_pair("shop")
    header = signing.authorization(
        private,
        merchant_number="1900009191",
        serial="S1",
        method="POST",
        target="/v3/refund/domestic/refunds",
        timestamp="1554208460",
        nonce="N",
        body=b'{"a":1}',
    )
    scheme, _, rest = header.partition(" ")
    named = dict(part.split("=", 1) for part in rest.split(","))
    assert scheme == "WECHATPAY2-SHA256-RSA2048"
    assert {name: value.strip('"') for name, value in named.items() if name != "signature"} == {
        "mchid": "1900009191",
        "nonce_str": "N",
        "timestamp": "1554208460",
        "serial_no": "S1",
    }
    message = b'POST\n/v3/refund/domestic/refunds\n1554208460\nN\n{"a":1}\n'
    assert is_signed(public, message, named["signature"].strip('"'))


def test_certificates_and_bare_keys_verify_alike():
    private, public, certificate = rsa_pair("platform")
    signature = sign(private, b"m")
    assert is_signed(public, b"m", signature)
    assert is_signed(certificate, b"m", signature)
    assert not is_signed(rsa_pair("shop")[1], b"m", signature)


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ChannelKeyError):
        public_key(text)


PAIR = new_keys()


@given(body=st.binary(max_size=200), cut=st.integers(min_value=0, max_value=10_000), bit=st.integers(0, 7))
def test_no_bit_of_a_message_or_a_signature_can_change(body, cut, bit):
    message = three_lines("1700000000", "nonce", body)
    signature = sign(PAIR.private, message)
    assert is_signed(PAIR.public, message, signature)
    changed = bytearray(message)
    changed[cut % len(message)] ^= 1 << bit
    assert not is_signed(PAIR.public, bytes(changed), signature)
    raw = bytearray(base64.b64decode(signature))
    raw[cut % len(raw)] ^= 1 << bit
    assert not is_signed(PAIR.public, message, base64.b64encode(bytes(raw)).decode())


def test_the_window_is_five_minutes_both_ways():
    stamp = str(int(NOW.timestamp()))
    for seconds in (-300, 0, 300):
        assert check_time(stamp, NOW + timedelta(seconds=seconds)) == NOW
    for seconds in (-301, 301):
        with pytest.raises(NoticeRefusedError):
            check_time(stamp, NOW + timedelta(seconds=seconds))
    for text in ("", "now", "-1", "1" * 12, "１２"):
        with pytest.raises(NoticeRefusedError):
            check_time(text, NOW)


names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
values = st.text(max_size=12)


@given(parameters=st.dictionaries(names, values, max_size=8), order=st.randoms())
def test_alipays_text_knows_no_order_and_no_empty_value(parameters, order):
    shuffled = list(parameters.items())
    order.shuffle(shuffled)
    made = notice_message(dict(shuffled))
    assert made == notice_message(parameters)
    kept = {n: v for n, v in parameters.items() if v and n not in ("sign", "sign_type")}
    # Written another way: insertion into a string, name by name.
    text = ""
    for name in sorted(kept):
        text += ("&" if text else "") + name + "=" + kept[name]
    assert made == text.encode()


def test_requests_sign_their_sign_type_and_notices_do_not():
    told = {"b": "2", "a": "1", "sign": "S", "sign_type": "RSA2", "empty": ""}
    assert request_message(told) == b"a=1&b=2&sign_type=RSA2"
    assert notice_message(told) == b"a=1&b=2"


@pytest.mark.parametrize(
    ("body", "node"),
    [
        (b'{"x_response":{"a":1},"sign":"s"}', b'{"a":1}'),
        (b'{ "x_response" : {"a":"}\\"{","b":{"c":2}} ,"sign":"s"}', b'{"a":"}\\"{","b":{"c":2}}'),
        ('{"sign":"s","x_response":{"m":"你好"}}'.encode(), '{"m":"你好"}'.encode()),
    ],
)
def test_the_node_that_an_answer_signs_is_taken_as_sent(body, node):
    assert signed_node(body, "x_response") == node


@given(cents=st.integers(min_value=0, max_value=10**15))
def test_fen_and_yuan_are_each_others_inverse(cents):
    assert fen(yuan(cents)) == cents


@pytest.mark.parametrize(
    ("text", "cents"), [("88.88", 8888), ("88.8", 8880), ("88", 8800), ("-0.05", -5), ("0.10000", 10)]
)
def test_amounts_in_yuan(text, cents):
    assert fen(text) == cents


@pytest.mark.parametrize("text", ["", "1.005", "1,000.00", "1e2", ".5", "1.", "¥1", "--1", "1.2.3"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="no amount"):
        fen(text)


@pytest.mark.parametrize(
    ("amount", "bps", "fee"),
    [(2200, 60, 13), (1000, 60, 6), (23_660, 60, 142), (75, 60, 0), (84, 60, 1), (0, 60, 0)],
)
def test_the_contracts_fee_by_hand(amount, bps, fee):
    # 0.60% of 22.00 is 0.132; of 236.60 it is 1.4196; of 0.84 it is 0.00504.
    assert contract_fee(amount, bps) == fee
