"""`/v1/communities`: communities of consumers, who is in, their calendar, and how they fare by week."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

import psycopg
from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import erased_problem, principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import in_range
from serving.api.parameters import CursorText, Identifier, OptionalIdentifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.communities import health, records
from serving.consumers.errors import ConsumerErasedError
from serving.db.calendar import zone_of
from serving.orders.contracts import Id, Moment, Text
from serving.orders.errors import InvalidRequestError
from serving.problems import invalid_parameter
from serving.security import Principal, Role, Scope

_SHOP = frozenset({Role.OPERATOR, Role.MERCHANT})
_Words = Annotated[str, Meta(min_length=1, max_length=2_000, pattern=r"^[^\x00]+(?!\n)$")]
_Tag = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}(?!\n)$", examples=["recipe"])]
_Weeks = Annotated[int, Parameter(ge=1, le=104, description="Weeks, the running one among them.")]
_Days = Annotated[int, Parameter(ge=1, le=366, description="Days from now on.")]
_TagFilter = Annotated[
    str | None,
    Parameter(
        pattern=r"^[a-z][a-z0-9_]{0,31}(?!\n)$", description="Of this kind; `promotion` of promotions."
    ),
]


class CommunityRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A community; its id stands for its words for good."""

    community_id: Id
    merchant_id: Annotated[Id | None, Meta(description="A merchant's key may leave it out.")] = None
    title: Text
    theme: Text
    rules: Annotated[_Words, Meta(description="What members keep to; they are shown it before they join.")]
    owner_type: Literal["agent", "merchant"] = "merchant"
    owner_id: Annotated[Id | None, Meta(description="Who leads it; without one the shop.")] = None


class JoinRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consumer read the rules and agreed to be in it."""

    consumer_id: Id
    agreed: Annotated[Literal[True], Meta(description="Nobody is put into a community.")]
    via: Annotated[_Tag, Meta(description="How the consumer came.")] = "shop"


class ActivityRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is posted or takes place; a promotion of the community stands in the calendar itself."""

    activity_id: Id
    title: Text
    content: _Words
    tag: _Tag
    starts_at: Moment
    ends_at: Moment


class CommunityView(Struct, frozen=True, kw_only=True):
    """A community."""

    community_id: str
    merchant_id: str
    title: str
    theme: str
    rules: str
    owner_type: str
    owner_id: str
    made_at: datetime
    closed_at: datetime | None
    members: int


class CommunityPage(Struct, frozen=True, kw_only=True):
    """Communities by id."""

    communities: list[CommunityView]
    next_cursor: str | None


class CommunityMemberView(Struct, frozen=True, kw_only=True):
    """A member; counts are of the shop and the last 90 days."""

    consumer_id: str
    joined_at: datetime
    via: str
    grade: Annotated[str, Meta(description="`core`, `active` or `quiet`.")]
    orders: int
    texts: int
    spent_cents: int


class CommunityMemberPage(Struct, frozen=True, kw_only=True):
    """Members by id."""

    members: list[CommunityMemberView]
    next_cursor: str | None


class ActivityView(Struct, frozen=True, kw_only=True):
    """An entry of the calendar."""

    activity_id: str
    title: str
    content: str
    tag: str
    starts_at: datetime
    ends_at: datetime
    promotion_id: str | None


class Calendar(Struct, frozen=True, kw_only=True):
    """Entries by start, at most 500."""

    activities: list[ActivityView]


class CommunityWeek(Struct, frozen=True, kw_only=True):
    """A community in one local week; an order or a text counts where its consumer was a member then."""

    community_id: str
    merchant_id: str
    title: str
    week_on: Annotated[date, Meta(description="The Monday.")]
    members: Annotated[int, Meta(description="At the end.")]
    joined: int
    left_members: int
    active_members: Annotated[int, Meta(description="Had an order paid, or wrote.")]
    orders: int
    net_sales_cents: int
    margin_cents: int
    promotion_orders: Annotated[int, Meta(description="Of promotions of the community.")]
    promotion_cost_cents: Annotated[int, Meta(description="What those took off, whoever bears it.")]
    texts: int
    complaints: int


class CommunityHealth(Struct, frozen=True, kw_only=True):
    """Weeks, the newest first."""

    weeks: list[CommunityWeek]


@post(
    "/communities",
    opt={"scope": Scope.COMMUNITIES_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Make a community",
    responses=problem_responses(409, 422),
    sync_to_thread=True,
)
def post_community(request: Request[Any, Any, Any], data: CommunityRequest) -> CommunityView:
    """The same words again are the community that there is."""
    principal = principal_of(request)
    merchant_id = shop_of(principal, data.merchant_id)
    new = records.NewCommunity(
        data.community_id,
        merchant_id,
        data.title,
        data.theme,
        data.rules,
        data.owner_type,
        data.owner_id or merchant_id,
    )
    with _transaction(request) as (conn, now):
        is_new = records.make(conn, principal.tenant_id, new, f"key:{principal.key_id}", now)
        outcome: Literal["done", "repeated"] = "done" if is_new else "repeated"
        _note(request, conn, "make", merchant_id, new.community_id, outcome)
        return CommunityView(**asdict(records.find(conn, principal.tenant_id, merchant_id, new.community_id)))


@get(
    "/communities",
    opt={"scope": Scope.COMMUNITIES_READ, "roles": _SHOP, "owner": "merchant"},
    tags=["Growth"],
    summary="Communities by id and shop",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_communities(
    request: Request[Any, Any, Any],
    merchant_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> CommunityPage:
    """A merchant sees those of its shop."""
    principal = principal_of(request)
    position = read_cursor(cursor, "communities")
    with _transaction(request) as (conn, _):
        found = records.page(
            conn,
            principal.tenant_id,
            principal.merchant_id or merchant_id,
            after=(str(position.key[0]), str(position.key[1])) if position else ("", ""),
            limit=limit + 1,
        )
    return CommunityPage(
        communities=[CommunityView(**asdict(one)) for one in found[:limit]],
        next_cursor=cursor_after(
            found, limit, "communities", lambda one: [one.community_id, one.merchant_id]
        ),
    )


@post(
    "/communities/{community_id:str}/close",
    opt={"scope": Scope.COMMUNITIES_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Close a community",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def close_community(
    request: Request[Any, Any, Any], community_id: Identifier, merchant_id: OptionalIdentifier = None
) -> CommunityView:
    """Whoever is in it leaves; its promotions are closed by themselves."""
    principal = principal_of(request)
    shop_id = shop_of(principal, merchant_id)
    with _transaction(request) as (conn, now):
        records.find(conn, principal.tenant_id, shop_id, community_id)
        is_new = records.close(conn, principal.tenant_id, shop_id, community_id, now)
        outcome: Literal["done", "repeated"] = "done" if is_new else "repeated"
        _note(request, conn, "close", shop_id, community_id, outcome)
        return CommunityView(**asdict(records.find(conn, principal.tenant_id, shop_id, community_id)))


@post(
    "/communities/{community_id:str}/members",
    opt={"scope": Scope.COMMUNITIES_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="A consumer joins",
    status_code=200,
    responses=problem_responses(404, 409, 410),
    sync_to_thread=True,
)
def post_member(
    request: Request[Any, Any, Any],
    community_id: Identifier,
    data: JoinRequest,
    merchant_id: OptionalIdentifier = None,
) -> CommunityView:
    """Who agreed is in it from now on; who is in it stays as she is."""
    principal = principal_of(request)
    shop_id = shop_of(principal, merchant_id)
    with _transaction(request) as (conn, now):
        records.find(conn, principal.tenant_id, shop_id, community_id)
        is_new = records.join(
            conn, principal.tenant_id, shop_id, community_id, data.consumer_id, data.via, now
        )
        outcome: Literal["done", "repeated"] = "done" if is_new else "repeated"
        _note(request, conn, "join", shop_id, community_id, outcome)
        return CommunityView(**asdict(records.find(conn, principal.tenant_id, shop_id, community_id)))


@post(
    "/communities/{community_id:str}/members/{consumer_id:str}/leave",
    opt={"scope": Scope.COMMUNITIES_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="A consumer leaves",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def post_leave(
    request: Request[Any, Any, Any],
    community_id: Identifier,
    consumer_id: Identifier,
    merchant_id: OptionalIdentifier = None,
) -> CommunityView:
    """Orders that were placed as a member stay counted."""
    principal = principal_of(request)
    shop_id = shop_of(principal, merchant_id)
    with _transaction(request) as (conn, now):
        records.find(conn, principal.tenant_id, shop_id, community_id)
        records.leave(conn, principal.tenant_id, shop_id, community_id, consumer_id, now)
        _note(request, conn, "leave", shop_id, community_id, "done")
        return CommunityView(**asdict(records.find(conn, principal.tenant_id, shop_id, community_id)))


@get(
    "/communities/{community_id:str}/members",
    opt={"scope": Scope.COMMUNITIES_READ, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Members with their grades",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def list_members(
    request: Request[Any, Any, Any],
    community_id: Identifier,
    merchant_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> CommunityMemberPage:
    """By id: orders, texts and spend of the last 90 days in the shop, and the grade that follows."""
    principal = principal_of(request)
    shop_id = shop_of(principal, merchant_id)
    position = read_cursor(cursor, "community_members")
    with _transaction(request) as (conn, now):
        community = records.find(conn, principal.tenant_id, shop_id, community_id)
        found = records.members(
            conn,
            principal.tenant_id,
            community,
            now,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
    return CommunityMemberPage(
        members=[CommunityMemberView(**asdict(one), grade=one.grade) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "community_members", lambda one: [one.consumer_id]),
    )


@post(
    "/communities/{community_id:str}/activities",
    opt={"scope": Scope.COMMUNITIES_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Plan an activity",
    status_code=200,
    responses=problem_responses(404, 409, 422),
    sync_to_thread=True,
)
def post_activity(
    request: Request[Any, Any, Any],
    community_id: Identifier,
    data: ActivityRequest,
    merchant_id: OptionalIdentifier = None,
) -> ActivityView:
    """The same words again are the activity that there is."""
    principal = principal_of(request)
    shop_id = shop_of(principal, merchant_id)
    with _transaction(request) as (conn, now):
        records.find(conn, principal.tenant_id, shop_id, community_id)
        activity = records.Activity(
            data.activity_id,
            data.title,
            data.content,
            data.tag,
            in_range("starts_at", data.starts_at),
            _after(data.starts_at, data.ends_at),
        )
        by = f"key:{principal.key_id}"
        is_new = records.plan_activity(conn, principal.tenant_id, shop_id, community_id, activity, by, now)
        outcome: Literal["done", "repeated"] = "done" if is_new else "repeated"
        _note(request, conn, "plan", shop_id, community_id, outcome)
    return ActivityView(**asdict(activity))


@get(
    "/communities/{community_id:str}/calendar",
    opt={"scope": Scope.COMMUNITIES_READ, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="What a community has ahead",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_calendar(
    request: Request[Any, Any, Any],
    community_id: Identifier,
    merchant_id: OptionalIdentifier = None,
    days: _Days = 28,
    tag: _TagFilter = None,
) -> Calendar:
    """Activities, and promotions of the community that are in force, from now on."""
    principal = principal_of(request)
    shop_id = shop_of(principal, merchant_id)
    with _transaction(request) as (conn, now):
        records.find(conn, principal.tenant_id, shop_id, community_id)
        found = records.calendar(
            conn, principal.tenant_id, shop_id, community_id, now, now + timedelta(days=days), tag
        )
    return Calendar(activities=[ActivityView(**asdict(one)) for one in found])


@get(
    "/communities/{community_id:str}/health",
    opt={"scope": Scope.COMMUNITIES_READ, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="How a community fares by week",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_health(
    request: Request[Any, Any, Any],
    community_id: Identifier,
    merchant_id: OptionalIdentifier = None,
    weeks: _Weeks = 12,
) -> CommunityHealth:
    """Of orders that the API recorded."""
    principal = principal_of(request)
    shop_id = shop_of(principal, merchant_id)
    tenant_id = principal.tenant_id
    with _transaction(request) as (conn, now):
        records.find(conn, tenant_id, shop_id, community_id)
        found = health.weeks_of(
            conn, tenant_id, zone_of(conn, tenant_id).key, now, weeks, (shop_id, community_id)
        )
    return CommunityHealth(weeks=[CommunityWeek(**asdict(one)) for one in found])


@contextmanager
def _transaction(request: Request[Any, Any, Any]) -> Iterator[tuple[psycopg.Connection[Any], datetime]]:
    """A transaction of the asking tenant, and business time; refusals become problems."""
    try:
        with typed_problems(), tenant_transaction(request) as conn:
            yield conn, now_of(request, conn)
    except ConsumerErasedError as error:
        raise erased_problem(error) from error


def shop_of(principal: Principal, merchant_id: str | None) -> str:
    """The shop that a body names, or that the key is of.

    Raises:
        ApiError: 422 where neither names one, 403 for another merchant's.
    """
    named = merchant_id or principal.merchant_id
    if named is None:
        raise invalid_parameter("merchant_id", "name the shop")
    principal.require_merchant(named)
    return named


def _note(
    request: Request[Any, Any, Any],
    conn: psycopg.Connection[Any],
    verb: str,
    shop_id: str,
    community_id: str,
    outcome: Literal["done", "repeated"],
) -> None:
    """Of which shop a community is, its id does not say."""
    details = {"merchant_id": shop_id}
    note(request, conn, f"community.{verb}", "community", community_id, outcome=outcome, details=details)


def _after(starts_at: datetime, ends_at: datetime) -> datetime:
    if ends_at <= starts_at:
        raise InvalidRequestError("ends_at", "it must lie after starts_at")
    return in_range("ends_at", ends_at)


COMMUNITY_ROUTES = (
    close_community,
    get_calendar,
    get_health,
    list_communities,
    list_members,
    post_activity,
    post_community,
    post_leave,
    post_member,
)
"""Handlers of this resource, for the application."""
