"""The trade bill of Alipay: a zip with CSV in GBK, lines that begin with `#` around the details."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from serving.channels.errors import ChannelUnavailableError
from serving.channels.facts import BillLine
from serving.channels.yuan import fen

_CHINA = timezone(timedelta(hours=8))
_DETAILS = "业务明细"
_LONGEST_FILE = 512 * 2**20


def unzipped(data: bytes) -> str:
    """The details of a bill as they lie in its zip.

    Raises:
        ChannelUnavailableError: It is no zip, or holds no such file in GBK.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                # Old zips carry names in GBK, which Python reads as cp437.
                name = info.filename
                if not info.flag_bits & 0x800:
                    name = name.encode("cp437").decode("gbk", "replace")
                if _DETAILS in name and "汇总" not in name and info.file_size <= _LONGEST_FILE:
                    return archive.read(info).decode("gbk")
    except (zipfile.BadZipFile, UnicodeError) as error:
        raise ChannelUnavailableError("the bill is no zip with CSV in GBK") from error
    raise ChannelUnavailableError(f"the zip of the bill holds no {_DETAILS}")


def bill_lines(text: str) -> list[BillLine]:
    """Payments and refunds of a bill; a refund's returned fee is below 0.

    Args:
        text: The details.

    Raises:
        ChannelUnavailableError: A column is missing or a value is none.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return list(_lines(csv.DictReader(lines)))


def _lines(rows: csv.DictReader[str]) -> Iterator[BillLine]:
    for number, row in enumerate(rows, 2):
        told = {name.strip(): (value or "").strip() for name, value in row.items() if isinstance(name, str)}
        try:
            at = datetime.strptime(told["完成时间"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=_CHINA)
            fee = abs(fen(told["服务费（元）"]))
            if told["业务类型"] == "交易":
                amount = fen(told["订单金额（元）"])
                yield BillLine("payment", told["支付宝交易号"], amount, fee, at.astimezone(UTC))
            elif told["业务类型"] == "退款":
                amount = abs(fen(told["商家实收（元）"]))
                reference = told["退款批次号/请求号"]
                yield BillLine("refund", reference, amount, -fee, at.astimezone(UTC))
        except (KeyError, ValueError) as error:
            raise ChannelUnavailableError(f"line {number} of the bill cannot be read: {error}") from error
