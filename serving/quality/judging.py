"""The night's judgement: findings become levels, in one transaction, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg

from models.supply.brake.ladder import Level, Rules, next_held
from serving.db import locks
from serving.quality.overrides import end_due
from serving.quality.records import SUPPLIERS, Brake, Cause, Lines, brakes, keep, never_judged

Connection = psycopg.Connection[Any]

NOTHING_DELIVERED = "nothing_delivered"
"""Reason of a sku about which the window tells nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the newest estimate of a sku asks for.

    Attributes:
        sku_id: The sku.
        level: The level.
        reason_code: The rule that asks for it.
        evidence: Numbers behind it, and under `suppliers` whom a recall points to.
        lines: What a recall is of; none: every line of the sku.
    """

    sku_id: str
    level: Level
    reason_code: str
    evidence: Mapping[str, Any]
    lines: Lines = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What a night did.

    Attributes:
        raised: Skus whose held level rose.
        released: Skus whose held level fell.
        ended_overrides: Overrides whose time was over.
        outdated: Skus that were judged later already, and left as they are.
        levels: Sku that was judged to the level that the ladder holds it at, overrides aside.
    """

    raised: int
    released: int
    ended_overrides: int
    outdated: int
    levels: Mapping[str, Level]


def judge(
    conn: Connection, tenant_id: str, findings: Iterable[Finding], rules: Rules, now: datetime
) -> Judged:
    """Move every level up at once, or down by one after the clean days.

    Done again for the same moment it changes nothing. A held sku without a finding has nothing against it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        findings: At most one a sku.
        rules: The ladder.
        now: When the estimates were made, aware UTC.
    """
    locks.brake(conn, tenant_id)
    ended = end_due(conn, tenant_id, now)
    known = brakes(conn, tenant_id)
    found = {finding.sku_id: finding for finding in findings}
    raised = released = outdated = 0
    levels: dict[str, Level] = {}
    for sku_id in sorted(known.keys() | found.keys()):
        finding = found.get(sku_id) or Finding(sku_id, Level.FREE, NOTHING_DELIVERED, {})
        before = known.get(sku_id) or never_judged(sku_id, now)
        if sku_id not in known and finding.level == Level.FREE:
            continue
        if before.judged_at > now:
            outdated += 1
            continue
        moved = before.with_held(next_held(before.held, finding.level, now, rules))
        levels[sku_id] = moved.held_level
        raised += moved.held_level > before.held_level
        released += moved.held_level < before.held_level
        cause: Cause = "clean_days" if moved.held_level < before.held_level else "estimate"
        keep(conn, tenant_id, before, _with_evidence(moved, finding, now), cause, now, finding.lines)
    return Judged(raised, released, ended, outdated, levels)


def _with_evidence(moved: Brake, finding: Finding, now: datetime) -> Brake:
    """The newest numbers; the reason and whom it points to stay those of what put the level where it is."""
    if finding.level < moved.held_level:
        blamed = moved.evidence.get(SUPPLIERS, [])
        return replace(moved, judged_at=now, evidence={**finding.evidence, SUPPLIERS: blamed})
    return replace(moved, judged_at=now, reason_code=finding.reason_code, evidence=dict(finding.evidence))
