"""What a crash run left: every acknowledged write must be there once, and the books must balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from benchmarks.money.crash_load import Acknowledged
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger import chain, invariants, roller
from serving.settlement.channel.bill import Bill, load_bill
from serving.settlement.channel.reconciliation import reconcile
from serving.settlement.channel.simulator import bill_blocks, simulate_bill


@dataclass
class Verdict:
    """What was found.

    Attributes:
        lost: Acknowledged writes that are not there, or not with the amount that was acknowledged.
        duplicated: Writes beyond the first under one key.
        broken: Invariants, chain or reconciliation that do not hold.
        refused: Answers with a 4xx, which no correct sequence of calls should get.
    """

    lost: int = 0
    duplicated: int = 0
    broken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def judge(url: str, tenant_id: str, home: Path, told: Sequence[Acknowledged], until: datetime) -> Verdict:
    """Compare what the storefronts were told with what the database holds.

    Args:
        url: The database, with nothing writing to it any more.
        tenant_id: The tenant.
        home: Where the anchors of the hash chain lie.
        told: What was acknowledged, by storefront.
        until: After the last booking.
    """
    verdict = Verdict(refused=[text for done in told for text in done.refused])
    orders = {order for done in told for order in done.orders.values()}
    payments = {key: cents for done in told for key, cents in done.payments.items()}
    refunds = {key: cents for done in told for key, cents in done.refunds.items()}
    with Operations(url, size=1) as operations:
        with operations.transaction(tenant_id) as conn:
            verdict.lost += len(orders - set(_column(conn, "select order_id from orders.customer_order")))
            # Every storefront finished its last order: an order that nobody was told of is a second one.
            verdict.duplicated += len(
                set(_column(conn, "select order_id from orders.customer_order")) - orders
            )
            _compare(
                verdict,
                payments,
                conn.execute("select payment_id, captured_cents from orders.payment").fetchall(),
            )
            _compare(
                verdict,
                refunds,
                conn.execute(
                    "select case_id, sum(refund_cents)::bigint from settlement.refund"
                    " where case_id is not null group by case_id"
                ).fetchall(),
            )
            accruals = Counter(
                _column(conn, "select order_id from ledger.transaction where kind = 'accrual'")
            )
            paid = _column(conn, "select order_id from orders.payment")
            verdict.lost += sum(accruals[order] == 0 for order in paid)
            verdict.duplicated += sum(max(0, accruals[order] - 1) for order in paid)
            verdict.broken += [
                f"{violation.invariant}: {violation.rule}: {violation.subject}"
                for violation in invariants.check(conn, tenant_id)
            ]
        with operations.transaction(tenant_id) as conn:
            bill = Bill("crash", "simulated", until - timedelta(days=400), until + timedelta(days=1))
            simulate_bill(conn, tenant_id, bill)
            # All of it first: one connection cannot read and write a copy at once.
            load_bill(conn, tenant_id, bill, list(bill_blocks(conn)))
            found = reconcile(conn, tenant_id, bill_id="crash", run_id="crash", as_of=until)
            if found.breaks or found.difference_cents:
                verdict.broken.append(f"reconciliation: {found.breaks}, {found.difference_cents} fen")
    with psycopg.connect(libpq_url(url), autocommit=True) as owner:
        roller.roll(owner)
        with owner.transaction():
            chain.seal(owner)
        try:
            chain.verify(owner, chain.anchors_of(home))
        except chain.ChainBrokenError as error:
            verdict.broken.append(str(error))
    return verdict


def _compare(verdict: Verdict, told: dict[str, int], rows: Iterable[tuple[Any, ...]]) -> None:
    held = {str(key): int(cents) for key, cents in rows}
    verdict.lost += sum(key not in held or held[key] < cents for key, cents in told.items())
    verdict.duplicated += sum(held.get(key, 0) > cents for key, cents in told.items())
    verdict.duplicated += len(set(held) - set(told))


def _column(conn: psycopg.Connection, query: LiteralString) -> list[str]:
    return [str(row[0]) for row in conn.execute(query)]
