"""The night's judgement: signs become cases, cases go on, in one transaction, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from models.supply.supervision.ladder import (
    STANDING_SIGNS,
    Level,
    Rules,
    Sign,
    Standing,
    due_after,
    level_of,
    next_standing,
    score_of,
)
from serving.db import locks
from serving.supervision.records import Evidence, Subject, keep, open_case, open_cases

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a night did.

    Attributes:
        opened: Cases that were opened.
        raised: Cases, opened before, whose level rose.
        lapsed: Requests for papers that ended by themselves.
        outdated: Cases that were judged later already, and left as they are.
        asked: What the signs ask for, by listing and offer, without those that a person cleared.
    """

    opened: int
    raised: int
    lapsed: int
    outdated: int
    asked: Mapping[Subject, Level]


def judge(
    conn: Connection,
    tenant_id: str,
    found: Mapping[Subject, Sequence[Sign]],
    rules: Rules,
    now: datetime,
) -> Judged:
    """Open a case where signs ask for it, and let every open case go on.

    Done again for the same moment it changes nothing. A case without a sign has nothing new against it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        found: Every sign, by listing and offer.
        rules: The ladder.
        now: When the signs were found, aware UTC.
    """
    locks.brake(conn, tenant_id)
    known = open_cases(conn, tenant_id)
    quiet = _quiet(conn, tenant_id, now - timedelta(days=rules.quiet_days))
    opened = raised = lapsed = outdated = 0
    asked: dict[Subject, Level] = {}
    for subject in sorted(known.keys() | found.keys()):
        answered = quiet.get(subject, frozenset())
        signs = [sign for sign in found.get(subject, ()) if sign.name not in answered]
        level, score, evidence = level_of(signs, rules), score_of(signs, rules), _evidence(signs, rules)
        asked[subject] = level
        before = known.get(subject)
        if before is None:
            if level > Level.FREE:
                standing = Standing(level, due_after(level, now, rules))
                open_case(conn, tenant_id, subject, standing, score, evidence, now)
                opened += 1
            continue
        if before.judged_at > now:
            outdated += 1
            continue
        standing, cause = next_standing(before.standing, level, now, rules)
        after = replace(before.moved_to(standing), judged_at=now)
        if level >= before.level:
            # Else what put it there stays on file: the party answers that, and a person decides about it.
            after = replace(after, score=score, evidence=evidence)
        if cause == "clean_days":
            after = replace(after, ended_at=now, ended_by="clean_days")
        raised += after.level > before.level
        lapsed += cause == "clean_days"
        keep(conn, tenant_id, before, after, cause, now)
    return Judged(opened, raised, lapsed, outdated, asked)


def cleared(conn: Connection, tenant_id: str) -> dict[Subject, datetime]:
    """Listings and offers that a person cleared, with when that was last done."""
    rows = conn.execute(
        "select party_type, party_id, sku_id, max(ended_at) from supervision.listing_case"
        " where tenant_id = %s and ended_by = 'cleared' group by 1, 2, 3 order by 1, 2, 3",
        (tenant_id,),
    )
    return {Subject(party_type, party_id, sku_id): at for party_type, party_id, sku_id, at in rows}


def _quiet(conn: Connection, tenant_id: str, since: datetime) -> dict[Subject, frozenset[str]]:
    """Standing signs that a person cleared after a moment, by what they are against."""
    rows = conn.execute(
        "select party_type, party_id, sku_id, array_agg(sign order by sign)"
        " from supervision.listing_case c, jsonb_object_keys(c.evidence) as sign"
        " where c.tenant_id = %s and c.ended_by = 'cleared' and c.ended_at > %s group by 1, 2, 3",
        (tenant_id, since),
    )
    return {
        Subject(party_type, party_id, sku_id): STANDING_SIGNS.intersection(names)
        for party_type, party_id, sku_id, names in rows
    }


def _evidence(signs: Sequence[Sign], rules: Rules) -> Evidence:
    return {
        sign.name: {
            "weight": rules.weights[sign.name],
            "strength": round(sign.strength, 4),
            **sign.facts,
        }
        for sign in signs
    }
