"""Service fees, slot fees, points, and clearing between merchants."""

import pytest
from settlement_worlds import head, share_rule

from serving.settlement.errors import SnapshotError
from serving.settlement.plans.loader import load_plan
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.sharing.clearing import (
    GuaranteeClaim,
    GuaranteeClearing,
    PointsClearing,
    clear_guarantee,
    clear_points,
)
from serving.settlement.sharing.fees import (
    points_burn_limit,
    points_earned,
    service_fee_legs,
    slot_fee_legs,
)
from serving.settlement.sharing.leg import formula
from serving.settlement.sharing.snapshot import Party

PLAN = load_shipped()
BARE = load_plan(head() | {"rules": [share_rule("P5", "direct", "seller")]})
COMPANY = Party("merchant", "m9", has_contract=True)
PERSON = Party("agent", "a9", has_contract=True, is_natural_person=True)


def summary(legs):
    return [(leg.kind, leg.payee_id, leg.amount_cents, leg.cut_reason) for leg in legs]


def test_a_contracted_company_gets_its_share_of_the_recognised_fee_for_twelve_months():
    legs = service_fee_legs(PLAN, 9_999, 12, COMPANY)
    assert summary(legs) == [("service_fee", "m9", 2_999, None), ("platform", "platform", 7_000, None)]
    assert [formula(leg) for leg in legs] == ["floor(99.99 x 30.00%) = 29.99", "fee 99.99 - 29.99 = 70.00"]
    assert {leg.scenario for leg in legs} == {6}
    assert summary(service_fee_legs(PLAN, 9_999, 13, COMPANY)) == [("platform", "platform", 9_999, None)]


def test_natural_persons_and_nobody_get_no_service_fee():
    legs = service_fee_legs(PLAN, 10_000, 1, PERSON)
    assert summary(legs) == [
        ("service_fee", "a9", 0, "natural_person"),
        ("platform", "platform", 10_000, None),
    ]
    assert formula(legs[0]) == "floor(100.00 x 30.00%) = 30.00; not paid: the rule pays companies only"
    for plan, recruiter in ((PLAN, None), (BARE, COMPANY)):
        assert summary(service_fee_legs(plan, 10_000, 1, recruiter)) == [
            ("platform", "platform", 10_000, None)
        ]
    assert service_fee_legs(PLAN, 0, 1, COMPANY) == ()


@pytest.mark.parametrize(("cents", "month"), [(-1, 1), (1, 0)])
def test_impossible_service_fees_are_refused(cents, month):
    with pytest.raises(SnapshotError, match="recognised fee"):
        service_fee_legs(PLAN, cents, month, COMPANY)


def test_the_anchor_gets_the_slot_fee_less_the_platforms_share():
    legs = slot_fee_legs(PLAN, 50_005, PERSON)
    assert summary(legs) == [("platform", "platform", 5_000, None), ("slot_fee", "a9", 45_005, None)]
    assert [formula(leg) for leg in legs] == ["floor(500.05 x 10.00%) = 50.00", "fee 500.05 - 50.00 = 450.05"]
    assert summary(slot_fee_legs(BARE, 500, PERSON)) == [("slot_fee", "a9", 500, None)]


def test_an_anchor_without_contract_leaves_the_fee_with_the_platform():
    legs = slot_fee_legs(PLAN, 1_000, Party("agent", "a8"))
    assert summary(legs)[1:] == [("slot_fee", "a8", 0, "no_contract"), ("platform", "platform", 900, None)]
    assert sum(leg.amount_cents for leg in legs) == 1_000
    assert formula(legs[1]) == "fee 9.00; not paid: no contract is on file"
    with pytest.raises(SnapshotError, match="negative"):
        slot_fee_legs(PLAN, -1, PERSON)


def test_points_are_earned_and_burnt_by_the_plan():
    assert (points_earned(PLAN, 10_585), points_burn_limit(PLAN, 10_585)) == (105, 3_175)
    assert (points_earned(BARE, 10_585), points_burn_limit(BARE, 10_585)) == (0, 0)


def test_issuers_pay_for_points_burnt_elsewhere():
    assert clear_points("m1", 100, {"m1": 100, "m2": 50, "m3": 50}) == (
        PointsClearing("m2", "m1", 25),
        PointsClearing("m3", "m1", 25),
    )
    assert clear_points("m1", 1, {"m3": 1, "m2": 1}) == (PointsClearing("m2", "m1", 1),)
    assert clear_points("m1", 0, {}) == ()
    for points, issued in ((3, {"m2": 2}), (-1, {"m2": 2}), (1, {"m2": 2, "m3": -1})):
        with pytest.raises(SnapshotError, match="cannot be burnt"):
            clear_points("m1", points, issued)


def test_claims_are_met_from_the_own_guarantee_first():
    claims = [GuaranteeClaim("k1", 100), GuaranteeClaim("k2", 50)]
    assert clear_guarantee(claims, 90, 31) == (
        GuaranteeClearing("k1", 60, 21, 19),
        GuaranteeClearing("k2", 30, 10, 10),
    )
    assert [found.unpaid_cents for found in clear_guarantee(claims, 200, 0)] == [0, 0]
    assert clear_guarantee([], 5, 5) == ()
    with pytest.raises(SnapshotError, match="negative"):
        clear_guarantee(claims, -1, 0)
