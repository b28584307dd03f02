"""Hand-computed waterfalls: cuts, refusals to pay, regions, co-funding, subsidies, levels."""

from dataclasses import replace

import pytest
from settlement_worlds import PAID_AT, head, region_rule, share_rule, three_for_one_rule

from serving.settlement.errors import SnapshotError
from serving.settlement.plans.loader import load_plan
from serving.settlement.sharing.freeze import CartLine, freeze
from serving.settlement.sharing.leg import formula
from serving.settlement.sharing.snapshot import Discount, FreightSnapshot, Parties, Party
from serving.settlement.sharing.waterfall import accrue

SELLER = Party("agent", "a1")
FRIEND = Party("agent", "a2")
BOSS = Party("agent", "a3", has_contract=True, has_service_evidence=True)
DIRECT = share_rule("P5", "direct", "seller", rate_bps=2_000)
L1 = share_rule("P1-l1", "referral", "upline_1", rate_bps=1_000)
L2 = share_rule("P1-l2", "referral", "upline_2", rate_bps=300)
STORE = share_rule(
    "P3", "agent_store", "seller", base="pool", rate_bps=None, tier_rates_bps={"silver": 4_000}
)
PROOFS = {"requires_contract": True, "requires_service_evidence": True}
TEAM = share_rule("P6", "team", "manager", rate_bps=800, **PROOFS)


def order(parties=None, net=10_000, supply=5_000, discounts=(), tax=0, **more):
    price = net + sum(d.cents for d in discounts)
    cart = [CartLine(1, "A", (), "S1", 1, price, supply, tuple(discounts), tax)]
    given = {
        "order_id": "o1",
        "merchant_id": "m1",
        "consumer_id": "c1",
        "paid_at": PAID_AT,
        "fee_rate_bps": 60,
    }
    return freeze(cart=cart, parties=parties or Parties(SELLER), **(given | more))


def settle(found, *rules, profile="whitepaper_demo", **changes):
    """{kind or kind+level: leg} of a single line."""
    legs = accrue(found, load_plan(head("p", profile, **changes) | {"rules": list(rules)}))
    assert sum(leg.amount_cents for leg in legs) == found.captured_cents
    named = {leg.kind + (str(leg.level) if leg.level else ""): leg for leg in legs}
    assert len(named) == len(legs)
    return named


def paid(legs):
    return {name: leg.amount_cents for name, leg in legs.items()}


def test_order_of_payment_and_cut_to_the_pool():
    parties = Parties(SELLER, upline=(FRIEND, Party("agent", "a4")), manager=BOSS)
    legs = settle(order(parties), DIRECT, L1, L2, TEAM)
    # Net 100.00, supply 50.00, fee 0.60: margin 49.40, pool 30.00 = 20.00 + 10.00; the others get nothing.
    assert paid(legs) == {
        "supplier": 5_000,
        "channel_fee": 60,
        "direct": 2_000,
        "upline1": 1_000,
        "upline2": 0,
        "team": 0,
        "platform": 1_940,
    }
    assert (legs["upline2"].wanted_cents, legs["upline2"].cut_reason) == (300, "pool")
    assert formula(legs["team"]) == "floor(100.00 x 8.00%) = 8.00; pool left 0.00, cut to 0.00"


def test_legs_of_nothing_are_left_out():
    assert set(settle(order(supply=0, fee_rate_bps=0), DIRECT | {"rate_bps": 0})) == {"platform"}
    assert set(settle(order(net=3, supply=0), DIRECT)) == {"platform"}


def test_a_loss_is_a_subsidy_and_commissions_are_cut_to_nothing():
    legs = settle(order(supply=10_500, tax=100), DIRECT)
    assert paid(legs) == {"supplier": 10_500, "channel_fee": 60, "tax": 100, "direct": 0, "subsidy": -660}
    assert legs["direct"].cut_reason == "pool"
    assert formula(legs["subsidy"]) == "net paid 100.00 - 106.60 supplier, fee and tax = -6.60"
    assert formula(legs["tax"]) == "tax borne 1.00"


def test_every_base():
    parties = Parties(SELLER, roles={"store_guide": FRIEND})
    for base, cents in (("net_paid", 10_000), ("margin", 4_940), ("pool", 3_000), ("retained", 3_940)):
        guide = share_rule("P5-g", "scene_role", "store_guide", base=base, rate_bps=1_000)
        leg = settle(order(parties), DIRECT | {"rate_bps": 1_000}, guide)["role"]
        assert (leg.base_cents, leg.amount_cents, leg.scenario) == (cents, cents // 10, 7)


def test_tax_lowers_the_margin():
    assert settle(order(tax=3_000), DIRECT)["direct"].left_cents == 1_940


def test_a_buyer_earns_nothing_from_his_own_purchase():
    own = replace(SELLER, own_consumer_id="c1")
    for buyer in (Parties(own, upline=(FRIEND,)), Parties(SELLER, upline=(replace(FRIEND, party_id="c1"),))):
        legs = settle(order(buyer), DIRECT, L1)
        blocked = [leg for leg in legs.values() if leg.cut_reason == "self_purchase"]
        assert [leg.amount_cents for leg in blocked] == [0]
    assert formula(blocked[0]) == "floor(100.00 x 10.00%) = 10.00; not paid: the payee bought it himself"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"allows_natural_person": False}, "natural_person"),
        ({"requires_contract": True}, "no_contract"),
        ({"requires_verified": True}, "not_verified"),
        ({"requires_service_evidence": True}, "no_service_evidence"),
    ],
)
def test_who_does_not_meet_a_rule_is_recorded_with_nothing(condition, reason):
    bad = Party("agent", "a1", is_natural_person=True, is_verified=False)
    leg = settle(order(Parties(bad)), DIRECT | condition)["direct"]
    assert (leg.amount_cents, leg.wanted_cents, leg.cut_reason) == (0, 2_000, reason)
    good = Party("agent", "a1", has_contract=True, has_service_evidence=True)
    assert settle(order(Parties(good)), DIRECT | condition)["direct"].amount_cents == 2_000


def test_the_strict_profile_pays_one_level_and_no_plan_pays_three():
    chain = Parties(SELLER, upline=(FRIEND, Party("agent", "a4"), Party("agent", "a5")))
    rules = [DIRECT | {"rate_bps": 500}, L1]
    assert {"upline1"} == {
        k for k in settle(order(chain), *rules, profile="cn_strict") if k.startswith("upline")
    }
    two = settle(order(chain), *rules, L2, profile="cn_two_level", legal_review="LR-1")
    assert {"upline1", "upline2"} == {k for k in two if k.startswith("upline")}


def test_a_seller_who_referred_the_buyer_is_paid_as_seller_only():
    legs = settle(order(Parties(SELLER, upline=(SELLER, FRIEND))), DIRECT, L1, L2)
    assert "upline1" not in legs
    assert (legs["upline2"].payee_id, legs["upline2"].amount_cents) == ("a2", 300)


def test_nobody_has_two_shares_of_an_order():
    legs = settle(order(Parties(SELLER, upline=(FRIEND, FRIEND), manager=SELLER)), DIRECT, L1, L2, TEAM)
    assert [legs[k].cut_reason for k in ("upline2", "team")] == ["already_seated", "already_seated"]


def test_first_purchases_lock_level_one_only():
    chain = Parties(SELLER, upline=(FRIEND, Party("agent", "a4")), is_first_purchase=True)
    rules = [DIRECT | {"rate_bps": 500}, L1, L2]
    locked = settle(order(chain), *rules, three_for_one_rule())
    assert [locked[k].is_locked for k in ("direct", "upline1", "upline2")] == [False, True, False]
    assert not settle(order(chain), *rules, three_for_one_rule(enabled=False))["upline1"].is_locked
    later = order(replace(chain, is_first_purchase=False))
    assert not settle(later, *rules, three_for_one_rule())["upline1"].is_locked


def test_an_agent_store_is_paid_from_the_pool_and_other_tiers_like_any_seller():
    store = Parties(replace(SELLER, tier="silver"), seller_scheme="agent_store")
    leg = settle(order(store), DIRECT, STORE)["direct"]
    assert (leg.rule_id, leg.base_cents, leg.amount_cents, leg.scenario) == ("P3", 3_000, 1_200, 5)
    bronze = replace(store, seller=replace(SELLER, tier="bronze"))
    assert settle(order(bronze), DIRECT, STORE)["direct"].rule_id == "P5"
    assert settle(order(replace(store, seller_scheme="direct")), DIRECT, STORE)["direct"].rule_id == "P5"


def test_region_compensation_comes_out_of_the_sellers_leg_and_stays_below_half():
    parties = Parties(SELLER, region_protected=FRIEND)
    small = settle(order(parties), DIRECT, region_rule("P9", rate_bps=2_000))
    # 20% of the pool 30.00 = 6.00, out of the seller's 20.00.
    assert (small["direct"].amount_cents, small["region"].amount_cents) == (1_400, 600)
    assert small["direct"].cut_reason == "region"
    assert formula(small["direct"]) == (
        "floor(100.00 x 20.00%) = 20.00; pool left 30.00, not cut; "
        "less 6.00 (compensation of the protected region) = 14.00"
    )
    large = settle(order(parties), DIRECT, region_rule("P9", rate_bps=9_000))
    assert (large["direct"].amount_cents, large["region"].amount_cents) == (1_000, 1_000)
    assert large["region"].cut_reason == "leg_share"
    assert formula(large["region"]).endswith("= 27.00; limit by the seller's leg 10.00, cut to 10.00")
    own = settle(order(Parties(SELLER, region_protected=SELLER)), DIRECT, region_rule("P9"))
    assert "region" not in own


def test_a_region_that_may_not_be_paid_leaves_the_seller_whole():
    parties = Parties(SELLER, region_protected=FRIEND)
    legs = settle(order(parties), DIRECT, region_rule("P9", requires_contract=True))
    assert (legs["direct"].amount_cents, legs["region"].amount_cents) == (2_000, 0)
    assert legs["region"].cut_reason == "no_contract"


def test_a_supplier_pays_his_part_of_a_promotion():
    legs = settle(order(discounts=[Discount("supplier", 700)]), DIRECT)
    leg = legs["supplier"]
    assert (leg.wanted_cents, leg.amount_cents, leg.cut_reason, leg.scenario) == (
        5_000,
        4_300,
        "supplier_funded",
        8,
    )
    assert formula(leg) == "supply price 50.00 - 7.00 discount funded by the supplier = 43.00"
    assert legs["platform"].amount_cents == 10_000 - 4_300 - 60 - 2_000
    gone = settle(order(supply=500, discounts=[Discount("supplier", 700)]), DIRECT)
    assert (gone["supplier"].amount_cents, gone["supplier"].cut_reason) == (0, "supplier_funded")


def test_a_merchant_pays_his_part_from_the_sellers_leg():
    legs = settle(order(discounts=[Discount("merchant", 300)]), DIRECT)
    leg = legs["direct"]
    assert (leg.amount_cents, leg.cut_reason, leg.scenario) == (1_700, "merchant_funded", 8)
    assert formula(leg).endswith("not cut; less 3.00 (discount funded by the merchant) = 17.00")
    assert legs["platform"].amount_cents == 10_000 - 5_000 - 60 - 1_700
    all_of_it = settle(order(discounts=[Discount("merchant", 9_000)]), DIRECT)["direct"]
    assert all_of_it.amount_cents == 0
    thin = settle(order(supply=9_000, discounts=[Discount("merchant", 300)]), DIRECT)["direct"]
    assert (thin.amount_cents, thin.cut_reason) == (640, "pool+merchant_funded")


def test_a_platform_discount_lowers_the_margin_only():
    legs = settle(order(discounts=[Discount("platform", 4_000)]), DIRECT)
    assert (legs["supplier"].amount_cents, legs["direct"].amount_cents) == (5_000, 2_000)
    assert legs["supplier"].scenario == 1


def test_baskets_of_several_suppliers_and_freight():
    basket = freeze(
        order_id="o1",
        merchant_id="m1",
        consumer_id="c1",
        paid_at=PAID_AT,
        cart=[CartLine(1, "A", (), "S1", 1, 100, 50), CartLine(2, "B", (), "S2", 1, 100, 50)],
        freights=[FreightSnapshot("S1", 800), FreightSnapshot("S2", 0)],
        parties=Parties(Party("merchant", "m1")),
    )
    legs = accrue(basket, load_plan(head() | {"rules": [DIRECT]}))
    assert {leg.scenario for leg in legs} == {2}
    assert [(leg.supplier_id, leg.amount_cents) for leg in legs if leg.line_no == 0] == [("S1", 800)]


def test_an_order_that_does_not_add_up_or_belongs_to_another_version_is_refused():
    plan = load_plan(head("p") | {"rules": [DIRECT]})
    with pytest.raises(SnapshotError, match="captured 1 "):
        accrue(replace(order(), captured_cents=1), plan)
    with pytest.raises(SnapshotError, match="cannot be settled by p version 1"):
        accrue(order(plan_id="p", plan_version=2), plan)
    assert accrue(order(plan_id="p", plan_version=1), plan)
