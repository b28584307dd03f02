"""`/v1/journey-tasks`, `/v1/journey-receipts`: what journeys ask of people, what channels tell."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import in_range
from serving.api.parameters import CursorText, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.journeys import receipts, tasks
from serving.orders.contracts import Id
from serving.security import Role, Scope

_OPERATOR = frozenset({Role.OPERATOR})
_TaskId = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="Number of the task.")]


class TaskView(Struct, frozen=True, kw_only=True):
    """A task for a person, of a journey or about an agent."""

    task_id: int
    journey_id: str
    consumer_id: str | None
    agent_id: Annotated[str | None, Meta(description="Where it is about an agent that sells no more.")]
    title: str
    sku_ids: list[str]
    asked_at: datetime
    due_at: datetime
    is_late: Annotated[bool, Meta(description="Claimed after its time, or open after it.")]
    state: Annotated[str, Meta(description="`open`, `claimed`, `done` or `dropped`.")]
    claimed_by: str | None
    claimed_at: datetime | None
    ended_at: datetime | None
    outcome: str | None


class TaskPage(Struct, frozen=True, kw_only=True):
    """Tasks by number."""

    tasks: list[TaskView]
    next_cursor: str | None


class EndRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of a task."""

    state: Literal["done", "dropped"]
    outcome: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["spoke"])]


class ReceiptNotice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a channel tells of a message."""

    receipt_id: Id
    channel: Literal["sms", "wecom", "mini_program", "email"]
    message_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    kind: Literal["delivered", "failed", "clicked", "opted_out"]
    occurred_at: Annotated[datetime, Meta(tz=True)]


class ReceiptBatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Notices, in any order."""

    receipts: Annotated[list[ReceiptNotice], Meta(min_length=1, max_length=500)]


class ReceiptAnswer(Struct, frozen=True, kw_only=True):
    """What became of them."""

    new: int
    known: Annotated[int, Meta(description="Told before.")]
    misfit: Annotated[int, Meta(description="Of the new ones: of no message that went out; they are kept.")]


@get(
    "/journey-tasks",
    opt={"scope": Scope.JOURNEYS_READ, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Tasks of journeys",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_tasks(
    request: Request[Any, Any, Any],
    status: Literal["open", "claimed", "done", "dropped"] = "open",
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> TaskPage:
    """By number, those in a state."""
    position = read_cursor(cursor, "journey_tasks")
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        found = tasks.page(
            conn,
            principal_of(request).tenant_id,
            status,
            after=int(position.key[0]) if position else 0,
            limit=limit + 1,
        )
    shown = [_view(one, now) for one in found[:limit]]
    return TaskPage(
        tasks=shown,
        next_cursor=cursor_after(found, limit, "journey_tasks", lambda one: [one.task_id]),
    )


@post(
    "/journey-tasks/{task_id:int}/claim",
    opt={"scope": Scope.JOURNEYS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Take a task",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_claim(request: Request[Any, Any, Any], task_id: _TaskId) -> TaskView:
    """One person takes it; again by the same key changes nothing."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        found = tasks.claim(conn, principal.tenant_id, task_id, principal.key_id, now)
        note(request, conn, "journey_task.claim", "journey_task", str(task_id))
    return _view(found, now)


@post(
    "/journey-tasks/{task_id:int}/end",
    opt={"scope": Scope.JOURNEYS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Say what came of a task",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_end(request: Request[Any, Any, Any], task_id: _TaskId, data: EndRequest) -> TaskView:
    """Whoever claimed it ends it, once."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        found = tasks.end(conn, principal.tenant_id, task_id, principal.key_id, data.state, data.outcome, now)
        note(
            request, conn, "journey_task.end", "journey_task", str(task_id), details={"outcome": data.outcome}
        )
    return _view(found, now)


@post(
    "/journey-receipts",
    opt={"scope": Scope.JOURNEYS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="What channels tell of messages",
    status_code=200,
    responses=problem_responses(422),
    sync_to_thread=True,
)
def post_receipts(request: Request[Any, Any, Any], data: ReceiptBatch) -> ReceiptAnswer:
    """Each notice counts once, by channel and id; what fits no message that went out changes nothing."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        found = receipts.take(
            conn,
            principal.tenant_id,
            [
                receipts.Receipt(
                    one.receipt_id,
                    one.channel,
                    one.message_id,
                    one.kind,
                    in_range("occurred_at", one.occurred_at).astimezone(UTC),
                )
                for one in data.receipts
            ],
            now_of(request, conn),
        )
        note(request, conn, "journey_receipts.take", "journey_receipts", "batch", details=dict(found))
    return ReceiptAnswer(new=found["new"], known=found["known"], misfit=found["misfit"])


def _view(found: tasks.Task, now: datetime) -> TaskView:
    return TaskView(**asdict(found), is_late=found.is_late(now))


JOURNEY_WORK_ROUTES = (list_tasks, post_claim, post_end, post_receipts)
