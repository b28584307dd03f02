"""Batches: a selection is frozen, shown as a whole, and decided at once.

Rows that changed since it was frozen, and rows that this key may not decide, are left out and told. A batch
never mixes kinds or buckets and holds at most 2,000 requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from serving.approvals.decisions import Decider, Seen, approve, reject, snooze
from serving.approvals.effects import Effects
from serving.approvals.errors import (
    ApprovalExpiredError,
    BatchRefusedError,
    ImpossibleMoveError,
    LostRaceError,
    NotAllowedError,
    OwnRequestError,
    SecondPersonError,
    SuggestionError,
    UnknownBatchError,
    Winner,
)
from serving.approvals.records import (
    Approval,
    ApprovalFilter,
    approvals_by_value,
    count_approvals,
    read_approval,
)
from serving.approvals.states import State
from serving.approvals.suggestions import digest_of
from serving.db import locks
from serving.errors import ServingError
from serving.security import Principal

MOST = 2_000
"""Most requests of a batch."""
SAMPLES = 5

Action = Literal["approve", "reject", "snooze"]

# What leaves a row out, by the word for programs; the first that fits counts.
_LEFT_OUT: tuple[tuple[type[ServingError], str], ...] = (
    (LostRaceError, "changed"),
    (OwnRequestError, "own_request"),
    (SecondPersonError, "second_person_needed"),
    (ApprovalExpiredError, "expired"),
    (ImpossibleMoveError, "impossible_move"),
    (NotAllowedError, "not_allowed"),
    (ServingError, "effect_refused"),
)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A selection as it was frozen.

    Attributes:
        batch_id: Its number.
        kind: The one kind.
        bucket: The one bucket.
        digest: Of all that it holds; a decision names it.
        count: Requests in it.
        sum_cents: Their value, fen.
        lowest: (approval id, value) of the one with the least at stake.
        highest: The same of the one with the most.
        samples: Ids of five, evenly spread by value.
        beyond: Requests that fit as well and are not in it, since a batch holds at most 2,000.
    """

    batch_id: int
    kind: str
    bucket: str
    digest: str
    count: int
    sum_cents: int
    lowest: tuple[int, int]
    highest: tuple[int, int]
    samples: tuple[int, ...]
    beyond: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A request of the batch that was not decided, and the word why."""

    approval_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a batch; `sum_cents` is the value of what was decided."""

    batch_id: int
    action: Action
    decided: int
    sum_cents: int
    left_out: tuple[LeftOut, ...]


def freeze(
    conn: psycopg.Connection,
    principal: Principal,
    now: datetime,
    *,
    kind: str,
    bucket: str,
    state: State = State.PENDING,
    party: tuple[str, str] | None = None,
    approval_ids: Sequence[int] | None = None,
) -> Frozen:
    """Freeze a selection: all that wait of a kind and a bucket, or some of them.

    Args:
        conn: Inside a transaction of the tenant.
        principal: Who looks at it.
        now: Business time.
        kind: The kind.
        bucket: The bucket.
        state: `pending`, or `half_approved` for second halves.
        party: Only requests about this party.
        approval_ids: Only these; all of them must fit.

    Raises:
        BatchRefusedError: It would be empty, too large, or mix kinds, buckets or states.
        UnknownApprovalError: A named request does not exist.
    """
    tenant_id = principal.tenant_id
    wanted = ApprovalFilter(
        kind=kind,
        state=state,
        bucket=bucket,
        party_type=party[0] if party else None,
        party_id=party[1] if party else None,
    )
    if approval_ids is None:
        rows = approvals_by_value(conn, tenant_id, wanted, now, limit=MOST)
        beyond = max(0, count_approvals(conn, tenant_id, wanted, now) - MOST)
    else:
        rows, beyond = _named(conn, tenant_id, wanted, approval_ids), 0
    if not rows:
        raise BatchRefusedError(f"no {kind} of the bucket {bucket} is {state}")
    spread = [rows[number * (len(rows) - 1) // (SAMPLES - 1)] for number in range(SAMPLES)]
    digest = digest_of({"rows": [[row.approval_id, row.version, row.digest] for row in rows]})
    shown: dict[str, Any] = {
        "count": len(rows),
        "sum_cents": sum(row.value_cents for row in rows),
        "lowest": [rows[-1].approval_id, rows[-1].value_cents],
        "highest": [rows[0].approval_id, rows[0].value_cents],
        "samples": list(dict.fromkeys(row.approval_id for row in spread)),
        "beyond": beyond,
    }
    made = conn.execute(
        "insert into approvals.batch (tenant_id, kind, bucket, digest, shown, frozen_by, frozen_at)"
        " values (%s, %s, %s, %s, %s, %s, %s) returning batch_id",
        (tenant_id, kind, bucket, digest, Jsonb(shown), principal.key_id, now),
    ).fetchone()
    assert made is not None
    conn.execute(
        "insert into approvals.batch_item (batch_id, approval_id, tenant_id, version, digest)"
        " select %s, i.approval_id, %s, i.version, i.digest"
        " from unnest(%s::bigint[], %s::int[], %s::text[]) as i (approval_id, version, digest)",
        (
            made[0],
            tenant_id,
            [row.approval_id for row in rows],
            [row.version for row in rows],
            [row.digest for row in rows],
        ),
    )
    return _frozen(made[0], kind, bucket, digest, shown)


def decide(
    conn: psycopg.Connection,
    effects: Effects,
    batch_id: int,
    digest: str,
    decider: Decider,
    action: Action,
    *,
    reason_code: str = "",
    until: datetime | None = None,
) -> Decided:
    """Decide a frozen selection, once; row by row in the order of their ids, in one transaction.

    Args:
        conn: Inside a transaction of the tenant.
        effects: What approvals do.
        batch_id: The selection.
        digest: Of the selection as it was shown.
        decider: Who decides.
        action: What.
        reason_code: For a rejection.
        until: For a snooze.

    Raises:
        UnknownBatchError: There is no such selection.
        LostRaceError: It was decided before, or the digest is another one's.
        SuggestionError: The reason or the moment does not fit the kind.
    """
    tenant_id = decider.principal.tenant_id
    locks.approval_batch(conn, tenant_id, batch_id)
    head = conn.execute(
        "select kind, digest, frozen_by, frozen_at, decided_by, decided_at, action from approvals.batch"
        " where tenant_id = %s and batch_id = %s",
        (tenant_id, batch_id),
    ).fetchone()
    if head is None:
        raise UnknownBatchError(f"there is no batch {batch_id}")
    if head[4] is not None:
        raise LostRaceError(f"batch {batch_id}", Winner(head[4], head[5], head[6]))
    if head[1] != digest:
        raise LostRaceError(f"batch {batch_id}", Winner(head[2], head[3], "freeze"))
    decider = Decider(principal=decider.principal, now=decider.now, batch_id=batch_id)
    items = [
        Seen(approval_id=row[0], version=row[1], digest=row[2])
        for row in conn.execute(
            "select approval_id, version, digest from approvals.batch_item where batch_id = %s order by 1",
            (batch_id,),
        )
    ]
    locks.approvals(conn, tenant_id, [seen.approval_id for seen in items])
    decided = sum_cents = 0
    left_out = []
    for seen in items:
        try:
            # A savepoint: an effect that is refused leaves its own row as it was, and no other.
            with conn.transaction():
                done = _act(conn, effects, seen, decider, action, reason_code, until)
        except SuggestionError:
            raise  # the reason or the moment of the decision is wrong, for every row
        except ServingError as error:
            reason = next(word for kind, word in _LEFT_OUT if isinstance(error, kind))
            left_out.append(LeftOut(seen.approval_id, reason))
        else:
            decided += 1
            sum_cents += done.value_cents
    conn.execute(
        "update approvals.batch set decided_by = %s, decided_at = %s, action = %s"
        " where tenant_id = %s and batch_id = %s",
        (decider.principal.key_id, decider.now, action, tenant_id, batch_id),
    )
    return Decided(batch_id, action, decided, sum_cents, tuple(left_out))


def _act(
    conn: psycopg.Connection,
    effects: Effects,
    seen: Seen,
    decider: Decider,
    action: Action,
    reason_code: str,
    until: datetime | None,
) -> Approval:
    if action == "approve":
        return approve(conn, effects, seen, decider)
    if action == "reject":
        return reject(conn, effects, seen, decider, reason_code)
    if until is None:
        raise SuggestionError("a snooze names its end")
    return snooze(conn, effects, seen, decider, until)


def _named(
    conn: psycopg.Connection, tenant_id: str, wanted: ApprovalFilter, approval_ids: Sequence[int]
) -> list[Approval]:
    """The requests of some ids, those with the most at stake first; all must fit the filter."""
    if len(set(approval_ids)) > MOST:
        raise BatchRefusedError(f"a batch holds at most {MOST} requests")
    rows = [read_approval(conn, tenant_id, number) for number in sorted(set(approval_ids))]
    strangers = [
        row for row in rows if (row.kind, row.bucket, row.state) != (wanted.kind, wanted.bucket, wanted.state)
    ]
    if strangers:
        first = strangers[0]
        raise BatchRefusedError(
            f"a batch never mixes: {len(strangers)} requests are no {wanted.state} {wanted.kind} of"
            f" {wanted.bucket}, such as {first.approval_id}, a {first.state} {first.kind} of {first.bucket}"
        )
    if wanted.party_id is not None and any(row.party != (wanted.party_type, wanted.party_id) for row in rows):
        raise BatchRefusedError(f"not all of them are about {wanted.party_type} {wanted.party_id}")
    return sorted(rows, key=lambda row: (-row.value_cents, row.approval_id))


def _frozen(batch_id: int, kind: str, bucket: str, digest: str, shown: dict[str, Any]) -> Frozen:
    return Frozen(
        batch_id,
        kind,
        bucket,
        digest,
        shown["count"],
        shown["sum_cents"],
        (shown["lowest"][0], shown["lowest"][1]),
        (shown["highest"][0], shown["highest"][1]),
        tuple(shown["samples"]),
        shown["beyond"],
    )
