"""What an order owes to whom, worked out a second time from the rules page, in exact fractions.

Nothing of the engine is imported and its shape is not followed: plans and orders are plain dictionaries,
shares come from cumulative entitlements against the pool instead of a running remainder, and rules are picked
by a maximum instead of a sorted list.
"""

from collections import defaultdict
from fractions import Fraction
from math import floor

SHARES = {"direct", "agent_store", "referral", "scene_role", "team", "fund", "region"}
RANK = ["plan", "supplier", "category", "sku"]


def hand_out(total, weights):
    """Largest remainder: floors first, then one each to the largest fractions, earlier positions first."""
    whole = sum(weights) or len(weights)
    exact = [Fraction(total * (w if sum(weights) else 1), whole) for w in weights]
    got = [floor(share) for share in exact]
    by_need = sorted(range(len(weights)), key=lambda i: (got[i] - exact[i], i))
    for i in by_need[: total - sum(got)]:
        got[i] += 1
    return got


def part(amount, bps):
    return floor(amount * Fraction(bps, 10_000))


def paid_lines(world):
    """Net price, discounts by funder and fee share of every line; the captured amount."""
    lines = sorted(world["lines"], key=lambda line: line["no"])
    gifts = [defaultdict(int) for _ in lines]
    for line, gift in zip(lines, gifts, strict=True):
        for funder, cents in line["promos"]:
            gift[funder] += cents
    price = [line["list"] - sum(gift.values()) for line, gift in zip(lines, gifts, strict=True)]
    for cents, split in world["coupons"]:
        funders = [f for f in ("platform", "merchant", "supplier") if f in split]
        for i, share in enumerate(hand_out(cents, price)):
            for funder, piece in zip(funders, hand_out(share, [split[f] for f in funders]), strict=True):
                gifts[i][funder] += piece
            price[i] -= share
    captured = sum(price) + sum(world["freight"].values())
    fee = floor(captured * Fraction(world["fee_bps"], 10_000) + Fraction(1, 2))
    fees = hand_out(fee, price)
    return list(zip(lines, price, gifts, fees, strict=True)), captured


def pick(plan, stage, payee, line):
    """The rule for one payee on one line, or None: most specific, then priority, then the older id."""

    def fits(rule):
        scope = rule.get("scope", {"kind": "plan", "ids": []})
        known = {"plan": None, "supplier": [line["supplier"]], "category": line["cats"], "sku": [line["sku"]]}
        mine = known[scope["kind"]]
        return mine is None or set(mine) & set(scope["ids"])

    def weight(rule):
        number, _, suffix = rule["id"][1:].partition("-")
        # A smaller suffix is older: compare by the negated characters, a missing suffix oldest of all.
        age = [-int(number), *([-1000] if not suffix else [-ord(c) for c in suffix])]
        return (RANK.index(rule.get("scope", {}).get("kind", "plan")), rule.get("priority", 0), Age(age))

    found = [r for r in rules_of(plan, stage, payee) if fits(r)]
    return max(found, key=weight) if found else None


class Age(list):
    """Ages compare like words do: a missing suffix is the oldest."""

    def __gt__(self, other):
        if self[0] != other[0]:
            return self[0] > other[0]
        mine, theirs = self[1:], other[1:]
        if mine == [-1000] or theirs == [-1000]:
            return mine == [-1000] != theirs
        return [-x for x in mine] < [-x for x in theirs]

    def __lt__(self, other):
        return other.__gt__(self)


def rules_of(plan, stage, payee):
    return [
        r
        for r in plan["rules"]
        if r["stage"] == stage and r.get("enabled", True) and r.get("payee", "") == payee
    ]


def rate(rule, tier):
    return rule.get("tier_rates_bps", {}).get(tier, rule.get("rate_bps") or 0)


def may_be_paid(rule, who, buyer):
    return not (
        buyer in (who["id"], who.get("own"))
        or (who.get("natural") and not rule.get("allows_natural_person", True))
        or (rule.get("requires_contract") and not who.get("contract"))
        or (rule.get("requires_verified") and not who.get("verified", True))
        or (rule.get("requires_service_evidence") and not who.get("evidence"))
    )


def guests(world, plan):
    """(kind, level, stage, payee name, party, welcome) in order of payment, the region apart."""
    seller = world["seller"]
    ladder = world["store"] and any(rate(r, seller["tier"]) for r in rules_of(plan, "agent_store", "seller"))
    yield "direct", 0, "agent_store" if ladder else "direct", "seller", seller, True
    levels = 2
    for r in plan["rules"]:
        if r["stage"] == "level_cap":
            levels = min(levels, r["max_paid_levels"])
    table = {(seller["type"], seller["id"])}

    def sit(who):
        key = (who["type"], who["id"])
        fresh = key not in table
        # The buyer himself takes no seat, for he is never paid.
        if world["buyer"] not in (who["id"], who.get("own")):
            table.add(key)
        return fresh

    chain = [(n, who) for n, who in enumerate(world["upline"], 1) if n <= levels]
    for n, who in chain:
        stage = "agent_store" if ladder else "referral"
        if (who["type"], who["id"]) == (seller["type"], seller["id"]):
            continue
        if rules_of(plan, stage, f"upline_{n}"):
            yield "upline", n, stage, f"upline_{n}", who, sit(who)
    for role, who in sorted(world["roles"].items()):
        if rules_of(plan, "scene_role", role):
            yield "role", 0, "scene_role", role, who, sit(who)
    if world["manager"] and rules_of(plan, "team", "manager"):
        yield "team", 0, "team", "manager", world["manager"], sit(world["manager"])


def shares(world, plan):
    """Fen of every share that is not 0: {(line, kind, payee type, payee id): cents}, and the locked keys."""
    result, locked = defaultdict(int), set()
    lines, captured = paid_lines(world)
    has_batches = any(r["stage"] == "three_for_one" and r.get("enabled", True) for r in plan["rules"])
    invited = list(guests(world, plan))
    for line, net, gifts, fee in lines:
        no = line["no"]
        supplier = max(0, line["supply"] - gifts["supplier"])
        result[no, "supplier", "supplier", line["supplier"]] += supplier
        result[no, "channel_fee", "platform", "platform"] += fee
        result[no, "tax", "platform", "platform"] += line["tax"]
        profit = net - supplier - fee - line["tax"]
        margin = max(0, profit)
        pool = min(margin, part(net, plan["pool_cap_bps"]))
        gone = 0
        for kind, level, stage, payee, who, welcome in invited:
            rule = pick(plan, stage, payee, line)
            if rule is None or not welcome or not may_be_paid(rule, who, world["buyer"]):
                continue
            base = {"net_paid": net, "margin": margin, "pool": pool, "retained": margin - gone}[rule["base"]]
            entitled = part(base, rate(rule, who["tier"]))
            # Cumulative entitlement up to here, capped by the pool, less what is gone already.
            share = min(gone + entitled, pool) - gone
            if kind == "direct":
                share = max(0, share - gifts["merchant"])
            gone += share
            if level == 1 and world["first"] and has_batches and entitled:
                locked.add((no, kind, who["type"], who["id"]))
            if kind == "direct":
                moved = compensation(world, plan, line, net, margin, pool, gone, share)
                share -= moved
                if moved:
                    region = world["region"]
                    result[no, "region", region["type"], region["id"]] += moved
            result[no, kind, who["type"], who["id"]] += share
        retained = margin - gone
        fund = pick(plan, "fund", "support_fund", line)
        grant = part(retained, fund["rate_bps"]) if fund else 0
        result[no, "fund", "platform", "platform"] += grant
        result[no, "platform", "platform", "platform"] += retained - grant
        result[no, "subsidy", "platform", "platform"] += min(0, profit)
    for supplier, cents in world["freight"].items():
        result[0, "freight", "supplier", supplier] += cents
    return {key: cents for key, cents in result.items() if cents}, locked, captured


def compensation(world, plan, line, net, margin, pool, gone, leg):
    """What of the seller's leg goes to the protected region on this line."""
    region = world["region"]
    if not region or region["id"] == world["seller"]["id"] or not leg:
        return 0
    rule = pick(plan, "region", "region_protected", line)
    if rule is None or not may_be_paid(rule, region, world["buyer"]):
        return 0
    base = {"net_paid": net, "margin": margin, "pool": pool}[rule["base"]]
    return min(part(base, rate(rule, region["tier"])), part(leg, rule["max_share_of_leg_bps"]))
