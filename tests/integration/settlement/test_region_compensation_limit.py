"""P9: what one share of a seller pays to a protected region stays within the limit, however often asked."""

import pytest
from settlement_books import DUE, plan
from settlement_sales import sale

from serving.ledger.accounts import Party
from serving.orders.settling import refund_line
from serving.settlement.beside.fees import compensate_region
from serving.settlement.errors import FeeError

REGION = Party("agent", "r1")


def test_two_cases_on_one_share_do_not_pass_half_of_it_together(books):
    books.party("agent", "r1")
    books.sell(sale("o1"))
    leg_id, cents = books.rows("select leg_id, amount_cents from settlement.leg where kind = 'direct'")[0]
    fee = books.do(compensate_region, "f1", plan(), leg_id, REGION, 5_000, DUE)
    assert fee.amount_cents == cents // 2
    with pytest.raises(FeeError):
        books.do(compensate_region, "f2", plan(), leg_id, REGION, 5_000, DUE)
    assert books.violations() == []


def test_a_compensation_ends_with_what_it_was_based_on(books):
    """The seller's leg is 20.00 of 100.00; the region gets 10.00 of it."""
    books.party("agent", "r1")
    books.party("merchant", "m1")
    books.sell(sale("o2"))
    leg_id, cents, payee = books.rows(
        "select leg_id, amount_cents, payee_id from settlement.leg where kind = 'direct' and order_id = 'o2'"
    )[0]
    assert cents == 2_000
    seller = Party("merchant", payee)
    before = {kind: books.balance(kind, seller) for kind in ("merchant_available", "clawback_receivable")}
    region = books.balance("agent_pending", REGION)
    books.do(compensate_region, "f-end", plan(), leg_id, REGION, 5_000, DUE)
    assert books.balance("agent_pending", REGION) - region == 1_000
    books.do(refund_line, "end-1", "o2", 1, "S1", 3_333, DUE)
    # The share keeps 2000 - floor(2000 x 0.3333) = 1334, the compensation floor(1000 x 1334 / 2000) = 667.
    assert books.balance("agent_pending", REGION) - region == 667
    books.do(refund_line, "end-2", "o2", 1, "S1", 6_667, DUE)
    assert books.balance("agent_pending", REGION) == region
    assert {kind: books.balance(kind, seller) for kind in before} == before
    assert books.rows("select state from settlement.service_fee where fee_id = 'f-end'") == [("voided",)]
    assert books.violations() == []


def test_a_second_case_after_a_refund_ends_pro_rata_of_what_it_was_based_on(books):
    books.party("agent", "r1")
    books.sell(sale("o3"))
    leg_id = books.rows("select leg_id from settlement.leg where kind = 'direct' and order_id = 'o3'")[0][0]
    books.do(refund_line, "late-1", "o3", 1, "S1", 5_000, DUE)
    region = books.balance("agent_pending", REGION)
    books.do(compensate_region, "f-late", plan(), leg_id, REGION, 5_000, DUE)  # 500 of the 1000 left
    books.do(refund_line, "late-2", "o3", 1, "S1", 2_500, DUE)
    assert books.balance("agent_pending", REGION) - region == 250
    books.do(refund_line, "late-3", "o3", 1, "S1", 2_500, DUE)
    assert books.balance("agent_pending", REGION) == region
    assert books.violations() == []
