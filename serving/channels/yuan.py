"""Amounts in yuan, as Alipay and the bills of both channels write them, as fen. No float."""

from __future__ import annotations

import re

_YUAN = re.compile(r"(-?)([0-9]{1,14})(?:\.([0-9]{1,2})0*)?")


def fen(text: str) -> int:
    """Fen of an amount like `88.88`, `88.8`, `88` or `-0.05`.

    Raises:
        ValueError: It is no such amount; more than two digits behind the point must be 0.
    """
    found = _YUAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no amount in yuan")
    sign, whole, part = found.groups()
    cents = int(whole) * 100 + int((part or "").ljust(2, "0") or 0)
    return -cents if sign else cents


def yuan(cents: int) -> str:
    """An amount in yuan with two digits behind the point: 8888 is `88.88`.

    Args:
        cents: Fen, 0 or more.

    Raises:
        ValueError: It is below 0.
    """
    if cents < 0:
        raise ValueError(f"{cents} fen are below 0")
    return f"{cents // 100}.{cents % 100:02d}"
