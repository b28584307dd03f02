"""Notices as WeChat Pay v3 and Alipay sign them, with keys made at test time."""

import base64
import json
import secrets

from channel_keys import API_V3_KEY, NOW, rsa_pair
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from serving.channels.alipay.signing import notice_message
from serving.channels.signatures import sign, three_lines

FORM = {
    "notify_time": "2026-11-01 16:00:01",
    "notify_type": "trade_status_sync",
    "notify_id": "n-1",
    "app_id": "2021",
    "charset": "utf-8",
    "version": "1.0",
    "sign_type": "RSA2",
    "trade_no": "2026110122001",
    "out_trade_no": "order-1",
    "seller_id": "2088",
    "subject": "衣服 & 鞋",
    "trade_status": "TRADE_SUCCESS",
    "total_amount": "22.00",
    "gmt_payment": "2026-11-01 15:59:30",
    "body": "",
}


def encrypted(document, key=API_V3_KEY, algorithm="AEAD_AES_256_GCM"):
    nonce, aad = secrets.token_hex(6), "transaction"
    sealed = AESGCM(key.encode()).encrypt(nonce.encode(), json.dumps(document).encode(), aad.encode())
    return {
        "algorithm": algorithm,
        "ciphertext": base64.b64encode(sealed).decode(),
        "nonce": nonce,
        "associated_data": aad,
        "original_type": "transaction",
    }


def wechat_envelope(event_type, document, **more):
    resource = encrypted(document, **more)
    return json.dumps(
        {
            "id": "n-1",
            "create_time": "2026-11-01T16:00:00+08:00",
            "event_type": event_type,
            "resource": resource,
        }
    ).encode()


def wechat_signed(body, at=NOW, key="platform", **changed):
    stamp, nonce = str(int(at.timestamp())), secrets.token_hex(8)
    return {
        "wechatpay-serial": "PLATFORM",
        "wechatpay-timestamp": stamp,
        "wechatpay-nonce": nonce,
        "wechatpay-signature": sign(rsa_pair(key)[0], three_lines(stamp, nonce, body)),
    } | changed


def alipay_signed(key="platform", **change):
    form = {name: value for name, value in (FORM | change).items() if value is not None}
    form["sign"] = sign(rsa_pair(key)[0], notice_message(form))
    return form
