"""Acts that need two people: the first asks, the second approves, and then it happens.

A route that moves money by a person's word calls `two_people` in its transaction and answers with `answer`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import psycopg
from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.transactions import note
from serving.approvals import asking
from serving.approvals.asking import Ask, ask_or_act
from serving.approvals.kinds import Kind
from serving.approvals.records import Approval
from serving.jobs.effects import alone_cents
from serving.ledger.accounts import Party
from serving.settings import Settings

T = TypeVar("T")


class Waiting(Struct, frozen=True, kw_only=True):
    """Nothing happened yet: another person must approve it; `GET /v1/approvals/{approval_id}` shows it."""

    approval_id: int
    kind: str
    state: Annotated[str, Meta(description="`pending` at first; `in_effect` once it happened.")]
    version: int
    digest: Annotated[str, Meta(description="What the decision names.")]
    expires_at: datetime
    effect: Annotated[dict[str, Any] | None, Meta(description="What it made, as ids and numbers.")]


def two_people(
    request: Request[Any, Any, Any],
    conn: psycopg.Connection[Any],
    ask: Ask,
    now: datetime,
    act: Callable[[], T],
) -> T | Waiting:
    """Act at once when one person may do so alone, else ask for the approval of another one.

    The limit is the setting of the kind (`serving.jobs.effects.alone_cents`). What would be refused anyway is
    refused at once. The request is noted in the audit log; `act` notes itself when it is called for good.

    Args:
        request: Of the person who asks.
        conn: Inside a transaction of the tenant.
        ask: What is asked.
        now: Business time.
        act: Does it; also tried, and undone, before it is asked for.

    Returns:
        What `act` returns, or what waits.
    """
    settings: Settings = request.app.state.settings
    principal = principal_of(request)
    found = ask_or_act(
        conn, principal.tenant_id, ask, principal, now, alone_cents=alone_cents(settings, ask), act=act
    )
    return _waiting(request, conn, found) if isinstance(found, Approval) else found


def ask_another(
    request: Request[Any, Any, Any], conn: psycopg.Connection[Any], ask: Ask, now: datetime
) -> Waiting:
    """Ask for what nobody does alone, whatever its value; the request is noted in the audit log.

    Args:
        request: Of the person who asks.
        conn: Inside a transaction of the tenant.
        ask: What is asked.
        now: Business time.
    """
    principal = principal_of(request)
    return _waiting(request, conn, asking.request(conn, principal.tenant_id, ask, principal, now).approval)


def _waiting(request: Request[Any, Any, Any], conn: psycopg.Connection[Any], found: Approval) -> Waiting:
    note(
        request,
        conn,
        "approval.ask",
        "approval",
        str(found.approval_id),
        outcome="done" if found.version == 1 else "repeated",
        details={"kind": found.kind, "subject": found.subject_id, "value_cents": found.value_cents},
    )
    return Waiting(
        approval_id=found.approval_id,
        kind=found.kind,
        state=str(found.state),
        version=found.version,
        digest=found.digest,
        expires_at=found.expires_at,
        effect=None if found.effect is None else dict(found.effect),
    )


def amount_ask(kind: Kind, subject: tuple[str, str], party: Party, cents: int, reason_code: str) -> Ask:
    """An amount that a party loses or owes no more, fen; whoever decides may lower it."""
    return Ask(
        kind=kind,
        subject=subject,
        party=party,
        suggestion={
            "party_type": party.party_type,
            "party_id": party.party_id,
            "amount_cents": cents,
            "most_cents": cents,
            "reason_code": reason_code,
        },
        value_cents=cents,
    )


def answer(found: T | Waiting) -> Response[T | Waiting]:
    """201 with what was made, or 202 with what waits."""
    return Response(found, status_code=202 if isinstance(found, Waiting) else 201)


def two_people_responses(*extra: int) -> dict[int, ResponseSpec]:
    """OpenAPI entries of a route that may answer 202."""
    waits = ResponseSpec(
        data_container=Waiting, description="Waits for another person's approval.", generate_examples=False
    )
    return {**problem_responses(*extra), 202: waits}
