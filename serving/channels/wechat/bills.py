"""The trade bill of WeChat Pay (`bill_type=ALL`): CSV, a backtick before each value, a summary at its end."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from serving.channels.errors import ChannelUnavailableError
from serving.channels.facts import BillLine
from serving.channels.yuan import fen

_CHINA = timezone(timedelta(hours=8))
_SUMMARY = "总交易单数"


def bill_lines(text: str) -> list[BillLine]:
    """Payments and refunds of a bill; a refund's returned fee is below 0.

    Args:
        text: The bill, decoded from UTF-8, with or without its byte order mark.

    Raises:
        ChannelUnavailableError: A column is missing or a value is none.
    """
    return list(_lines(csv.DictReader(io.StringIO(text.lstrip("\ufeff")))))


def _lines(rows: csv.DictReader[str]) -> Iterator[BillLine]:
    for number, row in enumerate(rows, 2):
        if (row.get("交易时间") or "").strip().startswith(_SUMMARY):
            return
        try:
            told = {name.strip(): (value or "").strip().lstrip("`") for name, value in row.items() if name}
            at = datetime.strptime(told["交易时间"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=_CHINA)
            fee = fen(told["手续费"])
            if told["交易状态"] == "SUCCESS":
                amount = fen(told.get("订单金额") or told["应结订单金额"])
                yield BillLine("payment", told["微信订单号"], amount, fee, at.astimezone(UTC))
            elif told["交易状态"] == "REFUND" and told.get("退款状态") in ("SUCCESS", None):
                amount = fen(told.get("申请退款金额") or told["退款金额"])
                yield BillLine("refund", told["商户退款单号"], amount, -abs(fee), at.astimezone(UTC))
        except (KeyError, ValueError) as error:
            raise ChannelUnavailableError(f"line {number} of the bill cannot be read: {error}") from error
