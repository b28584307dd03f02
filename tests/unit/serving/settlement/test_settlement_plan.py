"""Plans: the shipped ones, every refusal, versions in force, overlap, and which rule wins."""

import json
from datetime import UTC, datetime

import pytest
from settlement_worlds import PAID_AT, head, level_cap_rule, region_rule, share_rule, three_for_one_rule

from serving.settlement.errors import PlanNotInForceError, PlanRefusedError
from serving.settlement.plans.loader import check_no_overlap, load_plan, plan_document, read_yaml
from serving.settlement.plans.plan import version_in_force
from serving.settlement.plans.profiles import SHIPPED_PLANS, load_shipped, shipped_text
from serving.settlement.plans.refusals import check_payment_adapter
from serving.settlement.plans.rules import CouponRule, LevelCapRule
from serving.settlement.sharing.freeze import CartLine, freeze
from serving.settlement.sharing.snapshot import Parties, Party
from serving.settlement.sharing.waterfall import accrue

DIRECT = share_rule("P5", "direct", "seller")


def document(*rules, **changes):
    return head(**({"plan_id": "shop", "profile": "cn_strict"} | changes)) | {
        "rules": list(rules or [DIRECT])
    }


def codes(raw):
    with pytest.raises(PlanRefusedError) as refused:
        load_plan(raw)
    return refused.value.codes


def shipped(name, **changes):
    """A shipped plan's document with the fields of some rules changed."""
    raw = read_yaml(shipped_text(name))
    for rule in raw["rules"]:
        rule.update(changes.get(rule["id"].replace("-", "_"), {}))
    return raw


# the shipped plans


def test_every_shipped_plan_loads_and_the_two_level_one_needs_a_review():
    for name in set(SHIPPED_PLANS) - {"cn_two_level"}:
        assert load_shipped(name).plan_id == name
    with pytest.raises(PlanRefusedError, match="legal review") as refused:
        load_shipped("cn_two_level")
    assert refused.value.codes == {"no_legal_review"}
    assert load_shipped("cn_two_level", legal_review="LR-1").max_paid_levels == 2


def test_every_profile_carries_every_rule_of_the_table():
    # P14 is a second plan version, not a rule.
    expected = {f"P{number}" for number in range(1, 18) if number != 14}
    for name in ("cn_strict", "cn_two_level", "whitepaper_demo"):
        plan = load_shipped(name, legal_review="LR-1")
        assert {rule.id.split("-")[0] for rule in plan.rules} == expected


def test_the_strict_profile_is_strict():
    plan = load_shipped()
    assert plan.profile == "cn_strict"
    assert plan.max_paid_levels == 1
    assert not plan.rule("P6").enabled
    assert not plan.rule("P1-l2").enabled
    assert plan.rule("P13").downline_max_bps == 0
    assert plan.only(LevelCapRule).is_overridable is False
    assert {t.threshold_cents: t.off_cents for t in plan.only(CouponRule).thresholds} == {
        9_900: 3_000,
        19_900: 5_000,
    }


def test_assumed_values_are_marked():
    plan = load_shipped()
    assert plan.rule("P1-l1").assumed == ("rate_bps",)
    assert plan.rule("P3").assumed == ("tier_rates_bps.gold",)
    assert plan.rule("P5").assumed == ()
    assert plan.rule("P13").source == "assumed"


def test_a_plan_survives_json_and_an_altered_one_is_refused():
    plan = load_shipped()
    stored = json.loads(json.dumps(plan_document(plan)))
    assert load_plan(stored) == plan
    stored["rules"][0]["rate_bps"] = 1
    assert codes(stored) == {"altered"}


def test_the_hash_depends_on_content_only():
    plan = load_shipped()
    assert (
        load_plan(dict(reversed(read_yaml(shipped_text("cn_strict")).items()))).content_hash
        == plan.content_hash
    )
    assert load_shipped(version=2).content_hash != plan.content_hash


def test_a_plan_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_shipped().pool_cap_bps = 10_000


# refusals, one by one

SPLIT = {"funder_split_bps": {"platform": 9_000, "supplier": 999}}
UPLINE_2 = share_rule("P1", "referral", "upline_2")
REFUSED = {
    "joining": (document(DIRECT | {"trigger": "joining"}), "recruiting_trigger"),
    "recruiting": (document(DIRECT | {"trigger": "recruiting"}), "recruiting_trigger"),
    "fee": (document(DIRECT | {"trigger": "fee_paid"}), "recruiting_trigger"),
    "off but recruiting": (document(DIRECT | {"trigger": "joining", "enabled": False}), "recruiting_trigger"),
    "level 2, strict": (document(UPLINE_2), "too_many_levels"),
    "level 3, two": (
        document(share_rule("P1", "referral", "upline_3"), profile="cn_two_level", legal_review="x"),
        "too_many_levels",
    ),
    "level 3, demo": (
        document(share_rule("P1", "referral", "upline_3"), profile="whitepaper_demo"),
        "too_many_levels",
    ),
    "cap 2, strict": (document(DIRECT, level_cap_rule(2)), "too_many_levels"),
    "no base": (document({k: v for k, v in DIRECT.items() if k != "base"}), "missing_base"),
    "notice": (document(effective_at="2026-01-07T23:59:59Z"), "short_notice"),
    "split": (shipped("cn_strict", P17=SPLIT), "funder_split"),
    "rate above": (document(DIRECT | {"rate_bps": 10_001}), "rate_out_of_range"),
    "rate below": (document(DIRECT | {"rate_bps": -1}), "rate_out_of_range"),
    "tier rate": (document(DIRECT | {"tier_rates_bps": {"gold": 10_001}}), "rate_out_of_range"),
    "region above half": (document(region_rule("P9", max_share_of_leg_bps=5_001)), "rate_out_of_range"),
    "fraction": (document(DIRECT | {"rate_bps": 20.5}), "schema"),
    "text rate": (document(DIRECT | {"rate_bps": "2000"}), "schema"),
    "unknown key": (document(DIRECT | {"rate": 3}), "schema"),
    "unknown stage": (document(DIRECT | {"stage": "entry_fee"}), "schema"),
    "unknown rule id": (document(DIRECT | {"id": "P18"}), "schema"),
    "no time zone": (document(effective_at="2026-02-01T00:00:00"), "schema"),
    "unknown profile": (document(profile="free"), "schema"),
    "twice": (document(DIRECT, DIRECT), "duplicate_id"),
    "no review": (document(profile="cn_two_level"), "no_legal_review"),
    "blank review": (document(profile="cn_two_level", legal_review="  "), "no_legal_review"),
    "overridable": (document(DIRECT, level_cap_rule(1, is_overridable=True)), "level_cap_overridable"),
    "depth": (document(DIRECT, level_cap_rule(1, max_relation_depth=4)), "relation_depth"),
    "downline": (document(share_rule("P3", "agent_store", "upline_1")), "downline_leg"),
    "pool cap": (document(pool_cap_bps=3_001), "pool_cap"),
    "no rules": (document() | {"rules": []}, "no_rules"),
    "wrong base": (document(share_rule("P7", "fund", "support_fund", base="net_paid")), "wrong_base"),
    "wrong payee": (document(share_rule("P5", "direct", "manager")), "wrong_payee"),
    "no rate": (document(DIRECT | {"rate_bps": None}), "no_rate"),
    "tiers of fund": (
        document(share_rule("P7", "fund", "support_fund", tier_rates_bps={"gold": 1})),
        "no_tiers_here",
    ),
    "scope without ids": (document(DIRECT | {"scope": {"kind": "sku", "ids": []}}), "bad_scope"),
    "plan with ids": (document(DIRECT | {"scope": {"kind": "plan", "ids": ["A"]}}), "bad_scope"),
    "assumed": (document(DIRECT | {"assumed": ["colour"]}), "unknown_assumption"),
    "signals": (document(region_rule("P9", signal_weights_bps={"sub_floor_listing": 1})), "signal_weights"),
    "recruits": (shipped("whitepaper_demo", P8={"counts": "recruits"}), "counts_recruits"),
    "recruit income": (shipped("whitepaper_demo", P13={"recruit_linked_max_bps": 1}), "recruit_linked"),
    "deposit": (shipped("cn_strict", P10={"min_cents": 20_000_001}), "deposit_range"),
    "ends first": (document(ends_at="2026-01-08T00:00:00Z"), "ends_before_start"),
    "strict team": (shipped("cn_strict", P6={"enabled": True}), "strict_team"),
    "strict own purchase": (
        document(DIRECT, three_for_one_rule(requires_own_purchase=True)),
        "strict_own_purchase",
    ),
    "strict service fee": (shipped("cn_strict", P4={"allows_natural_person": True}), "strict_service_fee"),
    "strict downline": (shipped("cn_strict", P13={"downline_max_bps": 1}), "strict_downline"),
    "strict deposit": (shipped("cn_strict", P10={"natural_person_pays": True}), "strict_deposit"),
    "not yaml": ("rules: [", "not_yaml"),
    "no mapping": ("- 1", "not_yaml"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_plan_is_refused_for_exactly_this_reason(case):
    raw, code = REFUSED[case]
    assert codes(raw) == {code}


def test_all_reasons_are_told_at_once_with_their_rule():
    raw = document(
        DIRECT | {"trigger": "joining", "rate_bps": 1_000},
        {k: v for k, v in UPLINE_2.items() if k != "base"},
        pool_cap_bps=9_000,
        effective_at="2026-01-01T00:00:00Z",
    )
    with pytest.raises(PlanRefusedError, match="no pay for joining") as refused:
        load_plan(raw)
    assert sorted((r.code, r.rule_id) for r in refused.value.reasons if r.rule_id) == [
        ("missing_base", "P1"),
        ("recruiting_trigger", "P5"),
    ]
    assert {r.code for r in refused.value.reasons if not r.rule_id} == {"pool_cap", "short_notice"}


@pytest.mark.parametrize("text", ["P14", "P5-gift", "P1-l2"])
def test_what_is_allowed_loads(text):
    assert load_plan(document(DIRECT | {"id": text})).rule(text).rate_for("gold") == 1_000


def test_only_a_demonstration_plan_refuses_real_money():
    demo = load_shipped("whitepaper_demo")
    with pytest.raises(PlanRefusedError, match="wechat") as refused:
        check_payment_adapter("demo version 1", demo.profile, "wechat")
    assert refused.value.codes == {"real_payment_adapter"}
    assert check_payment_adapter("demo version 1", demo.profile, "simulated") is None
    assert check_payment_adapter("cn_strict version 1", "cn_strict", "wechat") is None


# versions


def version(number, effective, **changes):
    return load_plan(document(version=number, effective_at=f"2026-{effective}T00:00:00Z", **changes))


def test_the_version_in_force_is_the_newest_that_has_started():
    versions = [version(2, "03-01"), version(1, "02-01"), version(3, "05-01", ends_at="2026-06-01T00:00:00Z")]

    def at(month, day):
        return version_in_force(versions, datetime(2026, month, day, tzinfo=UTC)).version

    assert [at(2, 1), at(2, 28), at(3, 1), at(4, 30), at(5, 31)] == [1, 1, 2, 2, 3]
    for month, day in ((1, 31), (6, 1)):
        with pytest.raises(PlanNotInForceError, match="no version of plan shop"):
            at(month, day)


def test_versions_of_one_plan_are_asked_for():
    with pytest.raises(PlanNotInForceError, match="several plans"):
        version_in_force([version(1, "02-01"), version(1, "02-01", plan_id="other")], PAID_AT)
    with pytest.raises(PlanNotInForceError, match="none given"):
        version_in_force([], PAID_AT)


def test_live_versions_never_overlap():
    old = [version(1, "02-01"), version(2, "03-01", ends_at="2026-04-01T00:00:00Z")]
    check_no_overlap(old, version(3, "04-01"))
    check_no_overlap(old, version(1, "02-01", plan_id="other"))

    def refused(new):
        with pytest.raises(PlanRefusedError) as error:
            check_no_overlap(old, new)
        return error.value.codes

    assert refused(version(3, "03-01")) == {"overlap"}
    assert refused(version(3, "03-31")) == {"overlap"}
    assert refused(version(3, "02-15")) == {"overlap"}
    assert refused(version(2, "05-01")) == {"duplicate_version"}


# conflicts


def rate_of_the_winner(*rules):
    plan = load_plan(document(*rules))
    order = freeze(
        order_id="o1",
        merchant_id="m1",
        consumer_id="c1",
        paid_at=PAID_AT,
        cart=[CartLine(1, "A", ("K1", "K0"), "S1", 1, 10_000, 0)],
        parties=Parties(Party("merchant", "m1")),
    )
    return next((leg.rule_id for leg in accrue(order, plan) if leg.kind == "direct"), None)


def scoped(rule_id, kind, *ids, **more):
    return DIRECT | {"id": rule_id, "scope": {"kind": kind, "ids": list(ids)}} | more


def test_the_most_specific_rule_wins_then_priority_then_the_older_id():
    plan = scoped("P5", "plan", priority=99)
    supplier = scoped("P5-s", "supplier", "S1", priority=9)
    category = scoped("P5-c", "category", "K0")
    sku = scoped("P14", "sku", "A", "B")
    assert rate_of_the_winner(plan, supplier, category, sku) == "P14"
    assert rate_of_the_winner(plan, category, supplier) == "P5-c"
    assert rate_of_the_winner(plan, supplier) == "P5-s"
    assert rate_of_the_winner(plan) == "P5"
    assert rate_of_the_winner(sku | {"priority": 1}, scoped("P5-a", "sku", "A")) == "P14"
    assert rate_of_the_winner(sku, scoped("P5-a", "sku", "A")) == "P5-a"
    assert rate_of_the_winner(scoped("P5-a", "plan"), scoped("P5", "plan")) == "P5"


def test_rules_that_do_not_cover_the_line_or_are_off_do_not_compete():
    others = [scoped("P5-x", "sku", "B"), scoped("P5-y", "supplier", "S2"), scoped("P5-z", "category", "K9")]
    assert rate_of_the_winner(*others) is None
    assert (
        rate_of_the_winner(*others, scoped("P5", "sku", "A", enabled=False), scoped("P14", "plan")) == "P14"
    )
