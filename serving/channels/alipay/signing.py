"""What Alipay signs under RSA2 (SHA256 with RSA, base64): sorted parameters, the raw node of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from serving.channels.errors import Doubt, NoticeRefusedError
from serving.channels.signatures import LONGEST_MESSAGE, is_signed

SIGN_TYPE = "RSA2"
_MOST_FIELDS = 200


def canonical(parameters: Mapping[str, str], *, without: frozenset[str]) -> bytes:
    """The text that is signed: `name=value` of every parameter that is not empty, by name, joined by `&`.

    Args:
        parameters: Decoded, as text.
        without: Left out: `sign` and, in notices, `sign_type`.
    """
    named = sorted((name, value) for name, value in parameters.items() if name not in without and value)
    return "&".join(f"{name}={value}" for name, value in named).encode()


def request_message(parameters: Mapping[str, str]) -> bytes:
    """What a request of ours signs: all but `sign`."""
    return canonical(parameters, without=frozenset({"sign"}))


def notice_message(parameters: Mapping[str, str]) -> bytes:
    """What a notice signs: all but `sign` and `sign_type`."""
    return canonical(parameters, without=frozenset({"sign", "sign_type"}))


def verified_form(public_keys: Mapping[str, str], body: bytes) -> dict[str, str]:
    """The parameters of a notice that the channel signed.

    Args:
        public_keys: By serial; the platform names none in a notice, so each is tried.
        body: `application/x-www-form-urlencoded`, as it was sent.

    Raises:
        NoticeRefusedError: It is no such form, repeats a parameter, or no key verifies the signature.
    """
    if len(body) > LONGEST_MESSAGE:
        raise NoticeRefusedError(Doubt.CONTENT, f"the message is longer than {LONGEST_MESSAGE} bytes")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise NoticeRefusedError(Doubt.CONTENT, "the notice is no form in UTF-8") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise NoticeRefusedError(Doubt.CONTENT, "the notice names a parameter twice")
    if form.get("sign_type") != SIGN_TYPE:
        raise NoticeRefusedError(Doubt.SIGNATURE, f"the notice is not signed by {SIGN_TYPE}")
    message, signature = notice_message(form), form.get("sign", "")
    if not any(is_signed(key, message, signature) for key in public_keys.values()):
        raise NoticeRefusedError(Doubt.SIGNATURE, "the signature is not of this notice")
    return form


def signed_node(body: bytes, name: str) -> bytes:
    """The bytes of an answer that its signature is of: the value behind `"name":`, to its closing brace.

    Args:
        body: A JSON object as sent: parsing and writing it again would change what was signed.
        name: As `alipay_trade_refund_response`.

    Raises:
        ValueError: There is no such node.
    """
    start = body.index(b'"' + name.encode() + b'"')
    start = body.index(b"{", start)
    depth, in_text, escaped = 0, False, False
    for position in range(start, len(body)):
        byte = body[position]
        if in_text:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_text = False
        elif byte == 0x22:
            in_text = True
        elif byte == 0x7B:
            depth += 1
        elif byte == 0x7D:
            depth -= 1
            if depth == 0:
                return body[start : position + 1]
    raise ValueError("the node has no end")
