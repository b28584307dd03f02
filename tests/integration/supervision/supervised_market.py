"""Shortcuts around a market whose listings are supervised."""

from datetime import timedelta

from small_market import NOW, TENANT

from models.supply.supervision.ladder import Level, Rules, Sign
from serving.supervision import statements
from serving.supervision.judging import judge
from serving.supervision.records import Subject, changes_of, open_cases

RULES = Rules()
PRICE = Sign("price", 1.0, {"share": 0.4})
PAPER = Sign("authorisation", 1.0, {"brand_id": "B"})
SAID = Sign("complaints", 1.0, {"complaints": 5})
OF_LEVEL = {Level.ASK: (PAPER,), Level.HOLD: (PRICE, PAPER), Level.DELIST: (PRICE, PAPER, SAID)}


def day(number):
    return NOW + timedelta(days=number)


def listing(sku, merchant="m1"):
    return Subject("merchant", merchant, sku)


def offer(sku, supplier="S1"):
    return Subject("supplier", supplier, sku)


def night(shop, at, found=()):
    """Judge signs by subject at a moment."""
    with shop.transaction() as conn:
        return judge(conn, TENANT, dict(found), RULES, at)


def put(shop, subject, level, at=NOW):
    """Let signs ask for a level; the case."""
    night(shop, at, {subject: OF_LEVEL[Level(level)]})
    return case(shop, subject)


def case(shop, subject):
    with shop.transaction() as conn:
        return open_cases(conn, TENANT).get(subject)


def changes(shop, case_id):
    with shop.transaction() as conn:
        return [
            (one.from_level, one.to_level, one.cause, one.changed_at)
            for one in changes_of(conn, TENANT, case_id)
        ]


def state(shop, subject, case_id, *, kind="papers", at=NOW, by="key-of-party", papers=("doc-1",)):
    with shop.transaction() as conn:
        party = (subject.party_type, subject.party_id)
        return statements.state(conn, TENANT, party, case_id, kind, "see there", papers, by, RULES, at)


def decide(shop, case_id, outcome, *, at=NOW, by="op-1"):
    with shop.transaction() as conn:
        return statements.decide(conn, TENANT, case_id, outcome, "looked at it", by, RULES, at)
