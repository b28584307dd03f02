"""Numbers of purchase invoices and of issuers: which can be one."""

from datetime import date

import pytest

from models.supply.supervision.invoices import InvoiceError, invoice_id, require_issuer

DAY = date(2026, 5, 1)
ISSUER = "91350100M000100Y43"


@pytest.mark.parametrize(
    ("code", "number", "issued_on", "name"),
    [
        (None, "26442000000123456789", DAY, "26442000000123456789"),
        ("4403191130", "00012345", date(2019, 12, 31), "4403191130-00012345"),
        ("4403191130", "00012345", date(2022, 1, 1), "4403191130-00012345"),  # printed before, used later
        ("044001900111", "12345678", date(2020, 5, 1), "044001900111-12345678"),
    ],
)
def test_what_can_be_an_invoice_has_one_name(code, number, issued_on, name):
    assert invoice_id(code, number, issued_on) == name


@pytest.mark.parametrize(
    ("code", "number", "issued_on", "why"),
    [
        (None, "2644200000012345678", DAY, "20 digits"),
        (None, "264420000001234567890", DAY, "20 digits"),
        (None, "26442000000123456789\n", DAY, "20 digits"),
        (None, "２６４４２０００００0123456789", DAY, "20 digits"),
        (None, "25442000000123456789", DAY, "does not begin with 25"),
        (None, "26992000000123456789", DAY, "99 is no region"),
        ("440319113", "00012345", date(2019, 5, 1), "10 digits, or 12"),
        ("144001900111", "12345678", date(2020, 5, 1), "10 digits, or 12"),
        ("4403191130", "0012345", date(2019, 5, 1), "8 digits"),
        ("4403191130", "00012345", date(2018, 5, 1), "year 19 is not on an invoice of 2018"),
        ("4403191130", "00012345", date(2023, 5, 1), "year 19 is not on an invoice of 2023"),
        ("9903191130", "00012345", date(2019, 5, 1), "99 is no region"),
    ],
)
def test_what_cannot_be_one_is_refused_with_the_reason(code, number, issued_on, why):
    with pytest.raises(InvoiceError, match=why):
        invoice_id(code, number, issued_on)


def test_one_wrong_character_of_an_issuer_is_found():
    """Every other character at every place: the modulus is a prime above the number of letters."""
    require_issuer(ISSUER)
    for place in range(18):
        for letter in "0123456789ABCDEFGHJKLMNPQRTUWXY":
            if letter != ISSUER[place]:
                with pytest.raises(InvoiceError):
                    require_issuer(ISSUER[:place] + letter + ISSUER[place + 1 :])
    for wrong in ("", ISSUER[:-1], ISSUER.lower(), "I" + ISSUER[1:]):
        with pytest.raises(InvoiceError, match="18 digits and letters"):
            require_issuer(wrong)
