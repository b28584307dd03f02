"""A night of supervision: which signs there are against listings and offers, which cases follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import duckdb
import polars as pl
import psycopg

from models.supply.supervision import signs
from models.supply.supervision.config import SupervisionConfig
from models.supply.supervision.facts import frame_of
from models.supply.supervision.ladder import Level
from pipelines.lake.tables import Lake
from pipelines.stores.supervision import CASE_COLUMNS, CASES
from pipelines.warehouse.supervised import facts
from serving.db import locks
from serving.db.operations import Operations
from serving.db.retries import in_transaction
from serving.supervision.invoices import stated_invoices
from serving.supervision.judging import Judged, cleared, judge
from serving.supervision.records import ListingCase, Subject, newest_change, open_cases


@dataclass(frozen=True)
class Night:
    """What a night found and did.

    Attributes:
        judged: What became of the cases.
        signs: How many listings and offers have each sign against them.
        cases: Cases that are open since.
        newest_change: Number of the newest change of a case.
    """

    judged: Judged
    signs: Mapping[str, int]
    cases: Mapping[Subject, ListingCase]
    newest_change: int

    @property
    def too_low(self) -> list[Subject]:
        """Listings and offers that the database holds lower than their signs ask."""
        return [
            subject
            for subject, level in self.judged.asked.items()
            if level > (self.cases[subject].level if subject in self.cases else Level.FREE)
        ]


def judge_night(
    connection: duckdb.DuckDBPyConnection,
    url: str,
    tenant_id: str,
    config: SupervisionConfig,
    as_of: datetime,
) -> Night:
    """Look at every listing and offer, and put what follows into force in one transaction.

    Args:
        connection: The published warehouse.
        url: Address of the migrated operational database.
        tenant_id: Whose listings.
        config: Settings.
        as_of: Business time, aware UTC.
    """
    with Operations(url, size=1) as operations:
        transactions = partial(operations.transaction, tenant_id)
        answered = in_transaction(transactions, lambda conn: cleared(conn, tenant_id))
        stated = in_transaction(transactions, lambda conn: stated_invoices(conn, tenant_id))
        seen = facts(
            connection,
            since=as_of - timedelta(days=config.window_days),
            as_of=as_of,
            invoices=frame_of("invoices", stated),
            cleared=frame_of(
                "cleared", [{**subject._asdict(), "cleared_at": at} for subject, at in answered.items()]
            ),
        )
        found = {Subject(*subject): one for subject, one in signs.signs_of(seen, config).items()}

        def judged(conn: psycopg.Connection) -> Night:
            locks.brake(conn, tenant_id)
            # What was cleared since is answered: its signs were found without knowing that.
            newer = cleared(conn, tenant_id).items() - answered.items()
            for subject, _ in newer:
                found.pop(subject, None)
            return Night(
                judge(conn, tenant_id, found, config.rules, as_of),
                dict(sorted(Counter(sign.name for one in found.values() for sign in one).items())),
                open_cases(conn, tenant_id),
                newest_change(conn, tenant_id),
            )

        return in_transaction(transactions, judged)


def keep_night(lake: Lake, night: Night) -> None:
    """Keep the open cases for the mart."""
    rows = [
        {
            **subject._asdict(),
            "case_id": case.case_id,
            "level": int(case.level),
            "score": case.score,
            "signs": ", ".join(sorted(case.evidence)),
            "opened_at": case.opened_at,
            "due_at": case.due_at,
        }
        for subject, case in sorted(night.cases.items())
    ]
    lake.put(CASES, pl.DataFrame(rows, schema=CASE_COLUMNS))
