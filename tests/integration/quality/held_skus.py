"""Shortcuts around a market whose skus the brake holds."""

from datetime import timedelta

from small_market import NOW, TENANT

from models.supply.brake.ladder import Level, Rules
from serving.approvals.asking import request
from serving.approvals.decisions import Decider, Seen, approve
from serving.jobs.effects import EFFECTS
from serving.quality import overrides
from serving.quality.judging import Finding, judge
from serving.quality.records import brakes
from serving.security import Principal, Role, Scope

REASONS = {
    Level.FREE: "below_line",
    Level.WATCH: "likely_above_line",
    Level.LIMIT: "above_limit_line",
    Level.STOP: "above_stop_line",
    Level.RECALL: "above_recall_line",
}


def day(number):
    return NOW + timedelta(days=number)


def finding(sku, level, suppliers=()):
    return Finding(sku, Level(level), REASONS[Level(level)], {"mean": 0.1, "suppliers": list(suppliers)})


def night(shop, at, *findings):
    with shop.transaction() as conn:
        return judge(conn, TENANT, findings, Rules(), at)


def held(shop, sku):
    with shop.transaction() as conn:
        return brakes(conn, TENANT, [sku])[sku]


def operator(key):
    return Principal(key, TENANT, Role.OPERATOR, None, frozenset(Scope))


def override(shop, sku, level, *, at=NOW, days=3, asker="op-1", decider="op-2"):
    """Ask for another level and let somebody else approve it."""
    ask = overrides.ask_of(sku, Level(level), "inspected", at + timedelta(days=days), at)
    with shop.transaction() as conn:
        asked = request(conn, TENANT, ask, operator(asker), at).approval
    with shop.transaction() as conn:
        seen = Seen(approval_id=asked.approval_id, version=asked.version, digest=asked.digest)
        return approve(conn, EFFECTS, seen, Decider(principal=operator(decider), now=at))
