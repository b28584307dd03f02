"""Numbers of Chinese purchase invoices and of who issued them: what cannot be one is no evidence. Pure.

A fully digital invoice has one number of 20 digits: year, region, channel, sequence. An older one has a code
of 10 digits (paper: region, year, ...) or 12 (0, region, year, ...) and a number of 8. There is no public
check digit in them: what a code says of region and year is checked, and the check character of the issuer's
number.

Sources: State Taxation Administration, Announcement 2024 No. 11 (digital invoices); GB 32100-2015 (numbers of
legal entities, check character modulo 31); GB/T 2260 (regions).
"""

from __future__ import annotations

import re
from datetime import date

_REGIONS = frozenset(
    str(region)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65))
    for region in range(first, last + 1)
)
_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""Of numbers of legal entities: without I, O, S, V, Z."""


class InvoiceError(ValueError):
    """It cannot be the number of an invoice or of who issued it; the message says why."""


def invoice_id(code: str | None, number: str, issued_on: date) -> str:
    """The one name of an invoice: its number, or code and number of an older one.

    Args:
        code: Of an older invoice; None for a digital one.
        number: 20 digits, or 8 with a code.
        issued_on: The day on it.

    Raises:
        InvoiceError: There is no such invoice.

    >>> invoice_id(None, "26442000000123456789", date(2026, 5, 1))
    '26442000000123456789'
    >>> invoice_id("044001900111", "12345678", date(2020, 5, 1))
    '044001900111-12345678'
    """
    if code is None:
        if not re.fullmatch(r"[0-9]{20}", number, re.ASCII):
            raise InvoiceError("a digital invoice has a number of 20 digits; an older one has a code as well")
        year, region = number[:2], number[2:4]
        if int(year) != issued_on.year % 100:
            raise InvoiceError(f"a digital invoice of {issued_on.year} does not begin with {year}")
    else:
        if not re.fullmatch(r"[0-9]{10}|0[0-9]{11}", code, re.ASCII):
            raise InvoiceError("a code has 10 digits, or 12 of which the first is 0")
        if not re.fullmatch(r"[0-9]{8}", number, re.ASCII):
            raise InvoiceError("beside a code a number has 8 digits")
        said = code[-11:] if len(code) == 12 else code
        region, year = said[:2], said[4:6]
        if not 0 <= issued_on.year % 100 - int(year) <= 3:
            raise InvoiceError(f"a code of the year {year} is not on an invoice of {issued_on.year}")
    if region not in _REGIONS:
        raise InvoiceError(f"{region} is no region of the tax administration")
    return number if code is None else f"{code}-{number}"


def require_issuer(tax_number: str) -> None:
    """Refuse what is no number of a legal entity.

    Args:
        tax_number: 18 characters, the last of which checks the others.

    Raises:
        InvoiceError: It is none.

    >>> require_issuer("91350100M000100Y43")
    """
    if len(tax_number) != 18 or not set(tax_number) <= set(_LETTERS):
        raise InvoiceError("whoever issued it has a number of 18 digits and letters, without I, O, S, V, Z")
    total = sum(_LETTERS.index(letter) * pow(3, place, 31) for place, letter in enumerate(tax_number[:17]))
    if _LETTERS[-total % 31] != tax_number[17]:
        raise InvoiceError(f"the check character of {tax_number} does not fit")
