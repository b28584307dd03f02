"""The close of a day of members: growth of everybody out of both stores, then levels in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import psycopg

from models.members.growth import ACTED, SPENT, Earning, Worth, growth_of
from models.members.ladder import Level
from pipelines.stores.members import MONTH_DAYS
from pipelines.warehouse import grown
from serving.db.calendar import local_day
from serving.db.operations import Operations
from serving.db.retries import in_transaction
from serving.members.benefits import Cost, costs_of
from serving.members.closing import Closed, close_day
from serving.members.facts import released_spend, verified_texts
from serving.members.programme import Programme
from serving.members.records import counts, moves_since, state_of
from serving.members.versions import in_force


@dataclass(frozen=True)
class Night:
    """What a close found and did.

    Attributes:
        closed: What became of the members.
        today: Local day that was closed.
        growth: Consumers with growth.
        levels: By level: members, those at risk, those of them whom nobody told.
        thresholds: Growth value from which on the programme in force gives a level.
        moves: By level and cause: members who came to it within `MONTH_DAYS`.
        costs: What coupons of levels cost.
        state: As `serving.members.records.state_of` tells it.
    """

    closed: Closed
    today: date
    growth: int = 0
    levels: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    thresholds: Mapping[str, int] = field(default_factory=dict)
    moves: Mapping[tuple[str, str], int] = field(default_factory=dict)
    costs: Sequence[Cost] = ()
    state: str = ""

    @property
    def not_told(self) -> int:
        """Members at risk whom nobody told."""
        return sum(untold for _, _, untold in self.levels.values())

    def rows(self) -> list[dict[str, Any]]:
        """Each level that the programme has or somebody holds, from below, as the report takes it."""
        found = []
        for level in (one.word for one in Level):
            if level not in self.thresholds and level not in self.levels:
                continue
            members, at_risk, not_told = self.levels.get(level, (0, 0, 0))
            costs = [one for one in self.costs if one.level == level]
            found.append(
                {
                    "level": level,
                    "from_growth": self.thresholds.get(level),
                    "members": members,
                    "at_risk": at_risk,
                    "not_told": not_told,
                    **{cause: self.moves.get((level, cause), 0) for cause in ("joined", "up", "down")},
                    "coupons": sum(one.coupon_count for one in costs),
                    "redeemed": sum(one.redeemed_count for one in costs),
                    "cost_cents": sum(one.coupon_cost_cents for one in costs),
                }
            )
        return found


def close_night(
    connection: duckdb.DuckDBPyConnection, url: str, tenant_id: str, zone: str, as_of: datetime
) -> Night:
    """Close the local day of a moment.

    Args:
        connection: The published warehouse.
        url: Address of the migrated operational database.
        tenant_id: Whose members: the tenant of the warehouse.
        zone: IANA name of the zone of the shops.
        as_of: Business time, aware UTC.
    """
    today = local_day(as_of, ZoneInfo(zone))
    with Operations(url, size=1) as operations:
        transactions = partial(operations.transaction, tenant_id)
        current = in_transaction(transactions, lambda conn: in_force(conn, tenant_id))
        if current is None:
            return Night(Closed(None), today)
        programme = current.programme
        first = today - timedelta(days=programme.growth.window_days - 1)
        recorded = in_transaction(
            transactions,
            lambda conn: (
                released_spend(conn, tenant_id, zone, first, today),
                verified_texts(conn, tenant_id, zone, first, today),
            ),
        )
        growth = _growth(connection, programme, recorded, first, today)

        def closed(conn: psycopg.Connection) -> Night:
            done = close_day(conn, tenant_id, current.version, growth, today, zone, as_of)
            return Night(
                done,
                today,
                len(growth),
                counts(conn, tenant_id),
                {one.level: one.from_growth for one in programme.levels},
                moves_since(conn, tenant_id, as_of - timedelta(days=MONTH_DAYS)),
                costs_of(conn, tenant_id),
                state_of(conn, tenant_id),
            )

        return in_transaction(transactions, closed)


def earning_of(programme: Programme) -> Earning:
    """How growth is earned, as the sums take it."""
    terms = programme.growth
    acts = {kind: Worth(one.growth, one.per_day) for kind, one in terms.acts.items()}
    return Earning(terms.window_days, terms.per_unit, acts)


Rows = list[tuple[str, date, int]]


def _growth(
    connection: duckdb.DuckDBPyConnection,
    programme: Programme,
    recorded: tuple[Rows, Rows],
    first: date,
    today: date,
) -> dict[str, int]:
    released, texts = recorded
    days = programme.growth.settles_after_days
    spent = pl.concat(
        [
            grown.spent(connection, first, today, days),
            pl.DataFrame(released, schema=dict(SPENT), orient="row"),
        ]
    )
    written = pl.DataFrame(
        [(consumer_id, day, "review", times) for consumer_id, day, times in texts],
        schema=dict(ACTED),
        orient="row",
    )
    acted = pl.concat([grown.acted(connection, first, today, days), written])
    return growth_of(spent, acted, earning_of(programme), today)
