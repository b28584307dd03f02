"""P9: what one share of a seller pays to a protected region stays within the limit, however often asked."""

import pytest
from settlement_books import DUE, plan
from settlement_sales import sale

from serving.ledger.accounts import Party
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
