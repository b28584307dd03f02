"""Random plans and orders as plain dictionaries, and their translation into the engine's own types."""

from datetime import UTC, datetime

from serving.settlement.sharing.freeze import CartLine, OrderCoupon, freeze
from serving.settlement.sharing.snapshot import Discount, FreightSnapshot, Parties, Party

TIERS = ["none", "bronze", "silver", "gold", "diamond"]
ROLES = ["distributor", "group_leader", "live_anchor", "store_guide"]
PAID_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def head(plan_id="random", profile="whitepaper_demo", **changes):
    return {
        "plan_id": plan_id,
        "version": 1,
        "profile": profile,
        "published_at": "2026-01-01T00:00:00Z",
        "effective_at": "2026-01-08T00:00:00Z",
        "pool_cap_bps": 3000,
        "legal_review": None,
    } | changes


def share_rule(rule_id, stage, payee, **changes):
    base = "retained" if stage == "fund" else "net_paid"
    return {
        "id": rule_id,
        "stage": stage,
        "source": "paper",
        "trigger": "order_paid",
        "base": base,
        "payee": payee,
        "rate_bps": 1000,
    } | changes


def region_rule(rule_id, **changes):
    weights = {
        "scan_city_mismatch": 4000,
        "bulk_one_address": 2500,
        "sub_floor_listing": 2000,
        "protected_zone_repeat": 1500,
    }
    more = {
        "max_share_of_leg_bps": 5000,
        "hold_max_days": 15,
        "hold_from_score_bps": 6000,
        "signal_weights_bps": weights,
    }
    return share_rule(rule_id, "region", "region_protected", base="pool", **more) | changes


def three_for_one_rule(**changes):
    return {
        "id": "P2",
        "stage": "three_for_one",
        "source": "paper",
        "trigger": "order_released",
        "batch_size": 3,
        "expires_days": 180,
        "requires_own_purchase": False,
    } | changes


def level_cap_rule(levels, **changes):
    return {
        "id": "P12",
        "stage": "level_cap",
        "source": "paper",
        "trigger": "order_paid",
        "max_paid_levels": levels,
        "max_relation_depth": 3,
        "is_overridable": False,
    } | changes


def random_plan(rng, name):
    rules = []

    def add(stage, payee, number):
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            scope = rng.choice(["plan", "plan", "supplier", "category", "sku"])
            ids = {"plan": [], "supplier": ["S1"], "category": ["K1", "K2"], "sku": ["A", "D"]}[scope]
            rule = share_rule(f"P{number}-r{len(rules)}", stage, payee)
            if stage == "region":
                rule = region_rule(f"P{number}-r{len(rules)}", max_share_of_leg_bps=rng.randint(0, 5000))
                rule["base"] = rng.choice(["net_paid", "margin", "pool"])
            elif stage != "fund":
                rule["base"] = rng.choice(["net_paid", "net_paid", "margin", "pool", "retained"])
            rule["rate_bps"] = rng.choice([0, 300, 1000, 2000, 2500, rng.randint(0, 10_000)])
            if stage != "fund" and rng.random() < 0.5:
                rule["tier_rates_bps"] = {tier: rng.randint(0, 6000) for tier in rng.sample(TIERS, 2)}
            rule["scope"] = {"kind": scope, "ids": ids}
            rule["priority"] = rng.randint(0, 1)
            rule["enabled"] = rng.random() < 0.9
            rule["allows_natural_person"] = rng.random() < 0.8
            for name_of_proof in ("requires_contract", "requires_verified", "requires_service_evidence"):
                rule[name_of_proof] = rng.random() < 0.15
            rules.append(rule)

    add("direct", "seller", 5)
    add("agent_store", "seller", 3)
    add("referral", "upline_1", 1)
    add("referral", "upline_2", 1)
    add("agent_store", "upline_1", 3)
    for role in rng.sample(ROLES, 2):
        add("scene_role", role, 5)
    add("team", "manager", 6)
    add("fund", "support_fund", 7)
    add("region", "region_protected", 9)
    if rng.random() < 0.5:
        rules.append(three_for_one_rule(enabled=rng.random() < 0.8))
    rules.append(level_cap_rule(rng.randint(0, 2)))
    return head(name, pool_cap_bps=rng.choice([3000, 3000, 2000, 0])) | {"rules": rules}


def random_party(rng):
    return {
        "type": rng.choice(["agent", "agent", "merchant"]),
        "id": f"p{rng.randint(1, 6)}",
        "tier": rng.choice(TIERS),
        "natural": rng.random() < 0.4,
        "contract": rng.random() < 0.7,
        "verified": rng.random() < 0.8,
        "evidence": rng.random() < 0.7,
        "own": rng.choice([None, None, "c1", "c2", "c3"]),
    }


def random_world(rng):
    lines = []
    for no in range(1, rng.randint(1, 4) + 1):
        price = rng.choice([0, 1, rng.randint(1, 300), rng.randint(300, 200_000)])
        promos = []
        left = price
        for funder in rng.sample(["platform", "merchant", "supplier"], rng.choice([0, 0, 1, 2])):
            cents = rng.randint(0, left) // rng.choice([1, 10])
            promos.append((funder, cents))
            left -= cents
        lines.append(
            {
                "no": no,
                "sku": rng.choice("ABCD"),
                "cats": rng.choice([[], ["K1"], ["K3", "K2"]]),
                "supplier": rng.choice(["S1", "S2", "S3"]),
                "list": price,
                "supply": price * rng.choice([0, 40, 55, 70, 99, 130]) // 100,
                "tax": rng.choice([0, 0, price // 50]),
                "promos": promos,
            }
        )
    left = sum(line["list"] - sum(cents for _, cents in line["promos"]) for line in lines)
    coupons = []
    for _ in range(rng.choice([0, 1, 1, 2])):
        cents = rng.randint(0, left) // rng.choice([1, 3, 10])
        first = rng.randint(0, 10_000)
        split = rng.choice([{"platform": 10_000}, {"merchant": first, "supplier": 10_000 - first}])
        coupons.append((cents, split))
        left -= cents
    seller = random_party(rng)
    upline = [random_party(rng) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.3:
        upline.insert(0, seller)
    return {
        "buyer": rng.choice(["c1", "c2", "c9", "c9", "c9"]),
        "lines": lines,
        "coupons": coupons,
        "freight": {
            supplier: rng.choice([0, 800, rng.randint(1, 3000)])
            for supplier in sorted({line["supplier"] for line in lines})
            if rng.random() < 0.5
        },
        "fee_bps": rng.choice([0, 60, 60, 100, rng.randint(0, 300)]),
        "seller": seller,
        "upline": upline,
        "manager": random_party(rng) if rng.random() < 0.6 else None,
        "roles": {role: random_party(rng) for role in rng.sample(ROLES, rng.choice([0, 0, 1, 2]))},
        "region": random_party(rng) if rng.random() < 0.3 else None,
        "store": rng.random() < 0.4,
        "first": rng.random() < 0.3,
    }


def party(who):
    return Party(
        party_type=who["type"],
        party_id=who["id"],
        tier=who["tier"],
        is_natural_person=who["natural"],
        has_contract=who["contract"],
        is_verified=who["verified"],
        has_service_evidence=who["evidence"],
        own_consumer_id=who["own"],
    )


def order_of(world):
    """The engine's snapshot of a world."""
    return freeze(
        order_id="o1",
        merchant_id="m1",
        consumer_id=world["buyer"],
        paid_at=PAID_AT,
        cart=[
            CartLine(
                line_no=line["no"],
                sku_id=line["sku"],
                category_ids=tuple(line["cats"]),
                supplier_id=line["supplier"],
                qty=1,
                list_price_cents=line["list"],
                supply_price_cents=line["supply"],
                discounts=tuple(Discount(funder, cents) for funder, cents in line["promos"]),
                tax_cents=line["tax"],
            )
            for line in world["lines"]
        ],
        coupons=[OrderCoupon(cents, split) for cents, split in world["coupons"]],
        freights=[FreightSnapshot(supplier, cents) for supplier, cents in world["freight"].items()],
        fee_rate_bps=world["fee_bps"],
        parties=Parties(
            seller=party(world["seller"]),
            upline=tuple(party(who) for who in world["upline"]),
            manager=party(world["manager"]) if world["manager"] else None,
            roles={role: party(who) for role, who in world["roles"].items()},
            region_protected=party(world["region"]) if world["region"] else None,
            seller_scheme="agent_store" if world["store"] else "direct",
            is_first_purchase=world["first"],
        ),
    )
