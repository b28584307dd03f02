"""Pay-outs before two people: what one person or a job may send alone is sent, anything larger is asked for.

What is approved is the list as it was shown: nobody who came later, and nobody more than stood there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.approvals.asking import Ask
from serving.approvals.catalogue import PAYOUT_BATCH
from serving.approvals.documents import FIELD, keep_document
from serving.approvals.errors import RequestConflictError
from serving.approvals.records import newest_of_subject
from serving.settlement.payouts import Payout, by_party, has_batch, prepare_payouts, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """Which pay-out is wanted; the fields are those of `prepare_payouts`."""

    batch_id: str
    adapter: str
    threshold_cents: int
    party_types: Sequence[str]

    def prepare(self, conn: psycopg.Connection[Any], tenant_id: str, now: datetime) -> list[Payout]:
        """Send everything that is available, in the transaction of the caller."""
        return prepare_payouts(
            conn, tenant_id, self.batch_id, self.adapter, now, self.threshold_cents, self.party_types
        )

    def ask(self, conn: psycopg.Connection[Any], tenant_id: str, now: datetime) -> Ask | None:
        """What would be sent now, as a request; the list that is already asked for, if there is one.

        Returns:
            None when the batch was sent before.

        Raises:
            RequestConflictError: The batch id was asked for with another body.
        """
        if has_batch(conn, tenant_id, self.batch_id):
            return None
        subject = ("payout_batch", self.batch_id)
        stated = {
            "adapter": self.adapter,
            "threshold_cents": self.threshold_cents,
            "party_types": list(self.party_types),
        }
        known = newest_of_subject(conn, tenant_id, PAYOUT_BATCH.name, subject)
        if known is not None:
            if {name: known.suggestion[name] for name in stated} != stated:
                raise RequestConflictError(f"pay-out batch {self.batch_id} was asked for with another body")
            return Ask(
                kind=PAYOUT_BATCH, subject=subject, suggestion=known.suggestion, value_cents=known.value_cents
            )
        with conn.transaction(force_rollback=True):
            payouts = self.prepare(conn, tenant_id, now)
        # Of a party as a whole: parts of payments do not make it smaller.
        cents = list(by_party(payouts).values())
        return Ask(
            kind=PAYOUT_BATCH,
            subject=subject,
            suggestion={
                **stated,
                "batch_id": self.batch_id,
                "count": len(cents),
                "sum_cents": sum(cents),
                "highest_cents": max(cents, default=0),
                FIELD: keep_document(conn, tenant_id, text_of(payouts)),
            },
            value_cents=sum(cents),
        )
