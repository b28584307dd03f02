"""The explanation of the worked example: every fen, for those who may see it."""

import datetime as dt
from dataclasses import replace

import pytest
from settlement_books import DUE, PAID, plan
from settlement_sales import worked_example

from serving.ledger.accounts import Party
from serving.orders.settling import refund_line
from serving.settlement.errors import UnknownOrderError
from serving.settlement.reports.explain import explain

PARTIES = (("supplier", "S1"), ("supplier", "S2"), ("agent", "a1"), ("agent", "a2"))


@pytest.fixture
def sold(books):
    for party in PARTIES:
        books.party(*party)
    books.sell(worked_example(), plan("worked_20_8_25"))
    return books


def test_every_fen_of_the_worked_example(sold):
    shown = sold.do(explain, "o1")
    assert (shown.captured_cents, shown.refunded_cents, shown.amount_cents) == (23_660, 0, 23_660)
    assert [proof.holds for proof in shown.proofs] == [True, True, True]
    assert shown.proofs[0].left_cents == shown.proofs[0].right_cents == 23_660
    sums = {}
    for leg in shown.legs:
        sums[leg.kind] = sums.get(leg.kind, 0) + leg.amount_cents
    assert sums == {
        "supplier": 14_770,
        "freight": 800,
        "channel_fee": 142,
        "direct": 4_571,
        "team": 1_827,
        "fund": 387,
        "platform": 1_163,
    }
    direct = next(leg for leg in shown.legs if leg.kind == "direct" and leg.line_no == 1)
    assert (direct.base_cents, direct.rate_bps, direct.wanted_cents) == (10_585, 2_000, 2_117)
    assert direct.formula == "floor(105.85 x 20.00%) = 21.17; pool left 31.75, not cut"
    assert (direct.rule_id, direct.plan_id, direct.plan_version) == ("P5", plan("worked_20_8_25").plan_id, 1)
    assert all(leg.formula for leg in shown.legs)
    assert len(shown.transactions) == 1
    assert sum(entry.amount_cents for entry in shown.transactions[0].entries) == 0


def test_release_and_refund_appear_at_their_legs(sold):
    sold.release()
    later = DUE + dt.timedelta(days=1)
    sold.do(
        refund_line, refund_id="r1", order_id="o1", line_no=1, supplier_id="S1", refund_cents=5_000, now=later
    )
    sold.do(
        refund_line, refund_id="r2", order_id="o1", line_no=1, supplier_id="S1", refund_cents=585, now=later
    )
    shown = sold.do(explain, "o1")
    assert shown.refunded_cents == 5_585
    assert [proof.holds for proof in shown.proofs] == [True, True, True]
    direct = next(leg for leg in shown.legs if leg.kind == "direct" and leg.line_no == 1)
    # 21.17 x 50.00 / 105.85 = 10.00, then 21.17 x 55.85 / 105.85 - 10.00 = 1.17.
    assert [(r.refund_id, r.reversed_cents) for r in direct.reversals] == [("r1", 1_000), ("r2", 117)]
    assert (direct.reversed_cents, direct.left_cents, direct.state) == (1_117, 1_000, "released")
    assert direct.released_at == DUE
    kinds = {shown.transaction_id: shown.kind for shown in shown.transactions}
    assert [kinds[number] for number in direct.transaction_ids] == ["accrual", "release", "refund", "refund"]
    other = next(leg for leg in shown.legs if leg.kind == "supplier" and leg.line_no == 2)
    assert [kinds[number] for number in other.transaction_ids] == ["accrual", "release"]


@pytest.mark.parametrize("party", PARTIES)
def test_a_party_sees_its_own_shares_and_nothing_of_the_others(sold, party):
    sold.release()
    shown = sold.do(explain, "o1", Party(*party))
    assert shown.legs
    assert {(leg.payee_type, leg.payee_id) for leg in shown.legs} == {party}
    assert (shown.captured_cents, shown.refunded_cents, shown.proofs) == (None, None, [])
    entries = [entry for transaction in shown.transactions for entry in transaction.entries]
    assert {(entry.party_type, entry.party_id) for entry in entries} == {party}
    whole = sold.do(explain, "o1")
    mine = [leg for leg in whole.legs if (leg.payee_type, leg.payee_id) == party]
    assert [replace(leg, formula="") for leg in shown.legs] == [replace(leg, formula="") for leg in mine]
    assert not any("pool left" in leg.formula and "not cut" in leg.formula for leg in shown.legs)
    assert shown.amount_cents == sum(leg.amount_cents for leg in mine)


def test_strangers_learn_nothing(sold):
    for viewer in (Party("agent", "a3"), Party("supplier", "S9"), Party("merchant", "m9")):
        with pytest.raises(UnknownOrderError, match="o1 is unknown"):
            sold.do(explain, "o1", viewer)
    with pytest.raises(UnknownOrderError):
        sold.do(explain, "o2")
    # The merchant placed it and has no share in it: no leg, yet no secret that it exists.
    assert sold.do(explain, "o1", Party("merchant", "m1")).legs == []


def test_an_unpaid_order_has_nothing_to_explain(books):
    books.place(worked_example("o7"), status="paid")
    shown = books.do(explain, "o7")
    assert (shown.legs, shown.transactions, shown.proofs) == ([], [], [])
    assert PAID < DUE
