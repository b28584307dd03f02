"""`/v1/channel-tests`: what is tested of a marketing channel, and whom it must not touch meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

import psycopg
from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note, tenant_transaction
from serving.channel_tests import records
from serving.channel_tests.errors import (
    ChannelTestError,
    ChannelTestRefusedError,
    ChannelTestUnknownError,
)
from serving.db.calendar import local_day, zone_of
from serving.orders.contracts import Id
from serving.problems import ApiError
from serving.security import Role, Scope

Connection = psycopg.Connection[Any]
_OPERATOR = frozenset({Role.OPERATOR})
_WATCHERS = frozenset({Role.OPERATOR, Role.AUDITOR})
_Regions = Annotated[list[Id], Meta(max_length=500)]
Channel = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,32}(?!\n)$", examples=["sms"])]
ChannelName = Annotated[
    str, Parameter(pattern=r"^[a-z0-9_]{1,32}(?!\n)$", description="The channel, as in touches.")
]


class ChannelTestRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test to be declared."""

    test_id: Id
    channel: Channel
    kind: Literal["holdout", "geo"]
    off_share_bps: Annotated[
        Annotated[int, Meta(ge=100, le=5_000)] | None,
        Meta(description="Of a hold-out: share of consumers whom the channel never touches, basis points."),
    ] = None
    on_regions: Annotated[_Regions, Meta(description="Of a geo test: regions of shops with it.")] = []
    off_regions: Annotated[_Regions, Meta(description="Regions without it.")] = []
    starts_on: Annotated[date, Meta(description="First local day; today or later.")]
    ends_on: Annotated[date, Meta(description="First local day after it, a week later at least.")]


class StopTestRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a test is given up."""

    reason: Annotated[str, Meta(min_length=1, max_length=200, examples=["the channel was switched off"])]


class ChannelTestView(Struct, frozen=True, kw_only=True):
    """A test of a channel."""

    test_id: str
    channel: str
    kind: str
    off_share_bps: int | None
    on_regions: list[str]
    off_regions: list[str]
    starts_on: date
    ends_on: date
    made_by: str
    made_at: datetime
    stopped_at: datetime | None
    reason: str | None


class ChannelTestPage(Struct, frozen=True, kw_only=True):
    """Tests by id."""

    tests: list[ChannelTestView]
    next_cursor: str | None


class HeldOutView(Struct, frozen=True, kw_only=True):
    """Whether a channel may touch a consumer today."""

    channel: str
    consumer_id: str
    is_held_out: bool
    test_id: Annotated[str | None, Meta(description="The test for whose sake; none where it may.")]


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except ChannelTestUnknownError as error:
        raise ApiError(404, "channel-test-not-found", "No such test of a channel", str(error)) from error
    except ChannelTestRefusedError as error:
        raise ApiError(422, "channel-test-refused", "The test is refused", str(error)) from error
    except ChannelTestError as error:
        raise ApiError(409, "channel-test-state", "Not in this state of the test", str(error)) from error


def _today(conn: Connection, tenant_id: str, now: datetime) -> date:
    return local_day(now, zone_of(conn, tenant_id))


@post(
    "/channel-tests",
    opt={"scope": Scope.CHANNEL_TESTS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Declare a test of a channel",
    status_code=201,
    responses=problem_responses(409, 422),
    sync_to_thread=True,
)
def post_channel_test(request: Request[Any, Any, Any], data: ChannelTestRequest) -> ChannelTestView:
    """Before it begins, and for good: a test never changes. The same again is the one that stands."""
    principal = principal_of(request)
    with _problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        wanted = records.ChannelTest(
            data.test_id,
            data.channel,
            data.kind,
            data.off_share_bps,
            sorted(set(data.on_regions)),
            sorted(set(data.off_regions)),
            data.starts_on,
            data.ends_on,
            principal.key_id,
            now,
        )
        found = records.declare(conn, principal.tenant_id, wanted, _today(conn, principal.tenant_id, now))
        note(
            request,
            conn,
            "channel_test.declare",
            "channel_test",
            found.test_id,
            details={"channel": found.channel, "kind": found.kind},
        )
    return ChannelTestView(**asdict(found))


@post(
    "/channel-tests/{test_id:str}/stop",
    opt={"scope": Scope.CHANNEL_TESTS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Give a test of a channel up",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_test_stop(
    request: Request[Any, Any, Any], test_id: Identifier, data: StopTestRequest
) -> ChannelTestView:
    """It then says nothing: who may stop when the numbers please would choose the result."""
    with _problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        tenant_id = principal_of(request).tenant_id
        today = _today(conn, tenant_id, now)
        found = records.stop(conn, tenant_id, test_id, data.reason, now, today)
        note(request, conn, "channel_test.stop", "channel_test", test_id)
    return ChannelTestView(**asdict(found))


@get(
    "/channel-tests",
    opt={"scope": Scope.CHANNEL_TESTS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="Tests of channels",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_channel_tests(
    request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None
) -> ChannelTestPage:
    """By id. What they tell stands in `mart_channel_effect`."""
    position = read_cursor(cursor, "channel_tests")
    with tenant_transaction(request) as conn:
        found = records.page(
            conn,
            principal_of(request).tenant_id,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
    return ChannelTestPage(
        tests=[ChannelTestView(**asdict(one)) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "channel_tests", lambda one: [one.test_id]),
    )


@get(
    "/channel-tests/held-out",
    opt={"scope": Scope.CHANNEL_TESTS_READ, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="May a channel touch a consumer today",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_held_out(
    request: Request[Any, Any, Any], channel: ChannelName, consumer_id: Identifier
) -> HeldOutView:
    """Whoever sends over a channel that is tested asks before; the lot is the same for the whole test."""
    tenant_id = principal_of(request).tenant_id
    with tenant_transaction(request) as conn:
        today = _today(conn, tenant_id, now_of(request, conn))
        test = records.holding_out(conn, tenant_id, channel, consumer_id, today)
    return HeldOutView(
        channel=channel,
        consumer_id=consumer_id,
        is_held_out=test is not None,
        test_id=None if test is None else test.test_id,
    )


CHANNEL_TEST_ROUTES = (list_channel_tests, get_held_out, post_channel_test, post_test_stop)
