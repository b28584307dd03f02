"""What the resources of orders share: a transaction with business time, refusals as problems, times in range.

Such handlers are synchronous; what an order refuses is decided in `serving.orders`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import psycopg
from litestar import Request
from litestar.params import Parameter

from serving.agents.errors import AgentsError
from serving.api.answers import erased_problem, principal_of
from serving.api.clock import now_of
from serving.api.cursor import Position
from serving.api.refusals import as_problem, order_problem
from serving.api.transactions import note, tenant_transaction
from serving.audit import Detail, Outcome
from serving.consumers.errors import ConsumerErasedError
from serving.db.idempotency import Caller, once
from serving.ledger.errors import LedgerError
from serving.orders.assortment.losses import LossRules
from serving.orders.errors import InvalidRequestError, OrdersError
from serving.orders.routing.contracts import CostParameters
from serving.problems import ApiError, invalid_parameter
from serving.settings import Settings
from serving.settlement.errors import SettlementError

IdempotencyKey = Annotated[
    str,
    Parameter(
        header="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+(?!\n)$",
        description="The same key with the same body gets the first answer again; with another body 409.",
    ),
]

OptionalIdempotencyKey = Annotated[
    str | None,
    Parameter(
        header="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+(?!\n)$",
        description="With a key the move may be sent again: it is made once. Without, a second is 409.",
    ),
]

CLOCK_AHEAD = timedelta(hours=1)
"""How far the clock of a supplier may be ahead: a count of the far future would silence all later ones."""

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(2100, 1, 1, tzinfo=UTC)


@contextmanager
def order_transaction(
    request: Request[Any, Any, Any],
) -> Iterator[tuple[psycopg.Connection[Any], datetime]]:
    """A transaction of the asking tenant, and business time; a refusal rolls it back and becomes a problem.

    Raises:
        ApiError: For everything that orders, agents, settlement and ledger refuse.
    """
    with order_problems(), tenant_transaction(request) as conn:
        yield conn, now_of(request, conn)


@contextmanager
def order_problems() -> Iterator[None]:
    """Around a transaction: a refusal rolls it back and becomes a problem document.

    Raises:
        ApiError: For everything that orders, agents, settlement and ledger refuse; 503 after a deadlock.
    """
    try:
        yield
    except OrdersError as error:
        raise order_problem(error) from error
    except ConsumerErasedError as error:
        raise erased_problem(error) from error
    except AgentsError as error:
        raise ApiError(409, "agent-refused", "The agent cannot be paid", str(error)) from error
    except (LedgerError, SettlementError) as error:
        raise as_problem(error) from error


def made_once(
    conn: psycopg.Connection[Any],
    caller: Caller,
    operation: str,
    key: str | None,
    body: object,
    move: Callable[[], Mapping[str, Detail]],
) -> tuple[Outcome, Mapping[str, Detail]]:
    """Make a move, but not again when its key made it before.

    Args:
        conn: Inside a transaction of the caller's tenant.
        caller: Whose key it is.
        operation: What is asked, with the id of what it is asked of.
        key: The caller's key, or None to have a second call refused by the state it finds.
        body: What the key stands for.
        move: Makes it; details for the audit log, free of personal values.

    Returns:
        `done` or `repeated`, and the details.

    Raises:
        KeyConflictError: The key stands for another body.
    """
    if key is None:
        return "done", move()
    answer = once(conn, caller, operation, key, body, lambda: (200, dict(move())))
    return ("repeated" if answer.is_repeated else "done"), answer.document


def noted_move(
    request: Request[Any, Any, Any],
    conn: psycopg.Connection[Any],
    action: str,
    thing: tuple[str, str],
    key: str | None,
    body: object,
    move: Callable[[], Mapping[str, Detail]],
) -> None:
    """Make a move of one thing as `made_once` does, and note it in the audit log.

    Args:
        request: Whose key asks.
        conn: Inside a transaction of its tenant.
        action: As in the audit log, e.g. `transfer.ship`.
        thing: Kind and id of what moves.
        key: The caller's idempotency key.
        body: What the key stands for.
        move: Makes it; details for the audit log.

    Raises:
        KeyConflictError: The key stands for another body.
    """
    operation = f"{action} {thing[1]}"
    outcome, details = made_once(conn, principal_of(request), operation, key, body, move)
    note(request, conn, action, *thing, outcome=outcome, details=details)


def loss_rules_of(request: Request[Any, Any, Any]) -> LossRules:
    """How a loss is reckoned, as the operator set it."""
    settings: Settings = request.app.state.settings
    return LossRules.of(settings)


def routing_cost_of(request: Request[Any, Any, Any]) -> CostParameters:
    """By which cost orders are routed, as the operator set it."""
    settings: Settings = request.app.state.settings
    return CostParameters(grade_penalty_bps=settings.routing_grade_bps)


def once_each(parameter: str, sku_ids: Sequence[str]) -> set[str]:
    """The skus of a batch of statements.

    Raises:
        InvalidRequestError: One stands twice.
    """
    unique = set(sku_ids)
    if len(unique) != len(sku_ids):
        raise InvalidRequestError(parameter, "a sku stands twice; send the latest statement only")
    return unique


def in_range(parameter: str, moment: datetime, *, latest: datetime = _LAST) -> datetime:
    """A moment that the caller sent, in UTC.

    Raises:
        InvalidRequestError: It lies before the year 2000 or after `latest`.
    """
    if not _FIRST <= moment <= latest:
        raise InvalidRequestError(
            parameter, f"{moment.isoformat()} is not between {_FIRST.isoformat()} and {latest.isoformat()}"
        )
    return moment.astimezone(UTC)


def moment_and_id(position: Position | None) -> tuple[datetime, str] | None:
    """Where a page of a list by time ended; None for the first page.

    Raises:
        ApiError: 422 when the cursor holds no time.
    """
    if position is None:
        return None
    try:
        moment = datetime.fromisoformat(str(position.key[0]))
    except ValueError as error:
        raise invalid_parameter("cursor", "not a cursor that this API gave out") from error
    if moment.tzinfo is None or not _FIRST <= moment <= _LAST:
        raise invalid_parameter("cursor", "not a cursor that this API gave out")
    return moment, str(position.key[1])
