"""`/v1/links`, `/v1/link-clicks`, `/l/{code}`: short links of shops, where they lead, who followed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
import psycopg
from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.agents.relations import get as agent_of
from serving.api.agents.agents import agent_problems
from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import IdempotencyKey, in_range, order_transaction
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note, tenant_transaction, vault_of
from serving.db.idempotency import once
from serving.db.operations import Operations
from serving.links import clicks, destinations, records
from serving.links.errors import (
    LinkError,
    LinkGoneError,
    LinkRefusedError,
    LinkUnknownError,
)
from serving.links.qr import svg_of
from serving.orders.clock import BusinessClock
from serving.orders.contracts import Id
from serving.orders.errors import InvalidRequestError
from serving.problems import ApiError
from serving.rate_limit import RateLimiter
from serving.security import Principal, Role, Scope
from serving.settings import Settings

Connection = psycopg.Connection[Any]
_OPERATOR = frozenset({Role.OPERATOR})
_SHOPS = frozenset({Role.OPERATOR, Role.MERCHANT})
_SPREADERS = frozenset({Role.OPERATOR, Role.MERCHANT, Role.AGENT})
_FOLLOWED_PER_S = 20.0
_FOLLOWED_BURST = 100
Channel = Literal["sms", "wecom", "mini_program", "email", "ads", "video", "live", "social", "qr", "store"]
"""A list: models of attribution solve a system as large as there are channels."""
Code = Annotated[
    str,
    Parameter(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+(?!\n)$", description="What the link carries."
    ),
]


class DestinationBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that links of a shop may lead to."""

    url: Annotated[str, Meta(min_length=9, max_length=500, pattern=r"^[\x21-\x7e]{9,500}(?!\n)$",
                             examples=["https://shop.example.com/spring"])]  # fmt: skip


class DestinationView(Struct, frozen=True, kw_only=True):
    """A destination; removed ones lead nowhere."""

    merchant_id: str
    destination_id: str
    url: str
    removed_at: datetime | None


class LinkBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link to be made; a key of a merchant or an agent may leave its own id out."""

    merchant_id: Annotated[Id | None, Meta(description="Left out: the shop that the key belongs to.")] = None
    agent_id: Annotated[Id | None, Meta(description="Who spreads it; none: the shop itself.")] = None
    channel: Channel
    campaign: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+(?!\n)$")]
    destination_id: Id
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class LinkView(Struct, frozen=True, kw_only=True):
    """A link and how often it was followed."""

    link_id: str
    merchant_id: str
    agent_id: str | None
    channel: str
    campaign: str
    destination_id: str
    url: Annotated[str, Meta(description="The address of that name.")]
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    clicks: int
    named_clicks: Annotated[int, Meta(description="Of them, those whose visitor or consumer is known.")]
    address: Annotated[str, Meta(description="The short link itself.")]


class LinkPage(Struct, frozen=True, kw_only=True):
    """Links by id."""

    links: list[LinkView]
    next_cursor: str | None


class VisitorBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose a click was: exactly one of the two."""

    consumer_id: Annotated[Id | None, Meta(description="When logged in.")] = None
    anonymous_id: Annotated[Id | None, Meta(description="The visitor, as in events.")] = None


class ClickView(Struct, frozen=True, kw_only=True):
    """A click whose visitor or consumer is known."""

    click_id: str
    link_id: str
    merchant_id: str
    occurred_at: datetime


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except LinkError as error:
        raise _as_problem(error) from error


def _as_problem(error: LinkError) -> ApiError:
    match error:
        case LinkUnknownError():
            return ApiError(404, "link-not-found", "No such link, destination or click", str(error))
        case LinkGoneError():
            return ApiError(410, "link-gone", "The link leads nowhere", str(error))
        case LinkRefusedError():
            return ApiError(422, "link-refused", "The link is refused", str(error))
    return ApiError(409, "link-state", "Not in this state of the link", str(error))


@put(
    "/merchants/{merchant_id:str}/link-destinations/{destination_id:str}",
    opt={"scope": Scope.LINKS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Register where short links of a shop may lead",
    responses=problem_responses(409, 422),
    sync_to_thread=True,
)
def put_destination(
    request: Request[Any, Any, Any],
    merchant_id: Identifier,
    destination_id: Identifier,
    data: DestinationBody,
) -> DestinationView:
    """Https only; a name stands for one address for good, so that no link changes where it leads."""
    principal = principal_of(request)
    with _problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        found = destinations.register(
            conn, principal.tenant_id, merchant_id, destination_id, data.url, principal.key_id, now
        )
        note(request, conn, "link_destination.put", "link_destination", destination_id,
             details={"merchant_id": merchant_id})  # fmt: skip
    return _destination(found)


@delete(
    "/merchants/{merchant_id:str}/link-destinations/{destination_id:str}",
    opt={"scope": Scope.LINKS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Take a destination off",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def delete_destination(
    request: Request[Any, Any, Any], merchant_id: Identifier, destination_id: Identifier
) -> DestinationView:
    """Its links lead nowhere from now on."""
    with _problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        found = destinations.remove(conn, principal_of(request).tenant_id, merchant_id, destination_id, now)
        note(request, conn, "link_destination.remove", "link_destination", destination_id,
             details={"merchant_id": merchant_id})  # fmt: skip
    return _destination(found)


@post(
    "/links",
    opt={"scope": Scope.LINKS_WRITE, "roles": _SPREADERS, "owner": None},
    tags=["Growth"],
    summary="Make a short link",
    responses=problem_responses(404, 409, 422),
    sync_to_thread=True,
)
def post_link(request: Request[Any, Any, Any], data: LinkBody, idempotency_key: IdempotencyKey) -> LinkView:
    """To a registered destination of the shop; a merchant makes its own, an agent those that it spreads."""
    principal = principal_of(request)
    settings: Settings = request.app.state.settings
    with _problems(), order_transaction(request) as (conn, now), agent_problems():

        def work() -> tuple[int, LinkView]:
            merchant_id, agent_id = _parties(conn, principal, data)
            latest = now + timedelta(days=settings.link_days)
            ends = latest if data.expires_at is None else in_range("expires_at", data.expires_at)
            if ends > latest:
                raise InvalidRequestError(
                    "expires_at", f"a link is open for {settings.link_days} days at most"
                )
            made = records.make(
                conn,
                principal.tenant_id,
                merchant_id,
                agent_id,
                data.channel,
                data.campaign,
                data.destination_id,
                ends,
                principal.key_id,
                now,
            )
            return 201, _view(request, conn, made)

        answer = once(conn, principal, "link.make", idempotency_key, data, work)
        link = msgspec.convert(answer.document, LinkView)
        note(
            request,
            conn,
            "link.make",
            "link",
            link.link_id,
            outcome="repeated" if answer.is_repeated else "done",
            details={"merchant_id": link.merchant_id, "channel": link.channel},
        )
        return link


@get(
    "/links",
    opt={"scope": Scope.LINKS_READ, "roles": _SPREADERS, "owner": None},
    tags=["Growth"],
    summary="Short links and their counts",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_links(request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None) -> LinkPage:
    """By id; a merchant sees those of its shop, an agent those that it spreads."""
    principal = principal_of(request)
    position = read_cursor(cursor, "links")
    with tenant_transaction(request) as conn:
        found = records.page(
            conn,
            principal.tenant_id,
            principal.merchant_id,
            principal.party_id if principal.role is Role.AGENT else None,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
        shown = [_view(request, conn, one) for one in found[:limit]]
    return LinkPage(links=shown, next_cursor=cursor_after(found, limit, "links", lambda one: [one.link_id]))


@get(
    "/links/{link_id:str}/qr",
    opt={"scope": Scope.LINKS_READ, "roles": _SPREADERS, "owner": None},
    tags=["Growth"],
    summary="A short link as a QR code",
    responses=problem_responses(404),
    media_type="image/svg+xml",
    sync_to_thread=True,
)
def get_qr(request: Request[Any, Any, Any], link_id: Identifier) -> Response[str]:
    """SVG, error correction level M."""
    with _problems(), tenant_transaction(request) as conn:
        link = _own(conn, principal_of(request), link_id)
        address = _view(request, conn, link).address
    return Response(svg_of(address), media_type="image/svg+xml")


@post(
    "/links/{link_id:str}/revoke",
    opt={"scope": Scope.LINKS_WRITE, "roles": _SPREADERS, "owner": None},
    tags=["Growth"],
    summary="Revoke a short link",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def post_revoke(request: Request[Any, Any, Any], link_id: Identifier) -> LinkView:
    """It leads nowhere from now on; again changes nothing."""
    principal = principal_of(request)
    with _problems(), tenant_transaction(request) as conn:
        _own(conn, principal, link_id)
        found = records.revoke(conn, principal.tenant_id, link_id, now_of(request, conn))
        note(request, conn, "link.revoke", "link", link_id)
        return _view(request, conn, found)


@post(
    "/link-clicks/{click_id:str}/visitor",
    opt={"scope": Scope.EVENTS_WRITE, "roles": _SHOPS, "owner": None},
    tags=["Growth"],
    summary="Say whose a click on a short link was",
    status_code=200,
    responses=problem_responses(404, 409, 410),
    sync_to_thread=True,
)
def post_visitor(request: Request[Any, Any, Any], click_id: Identifier, data: VisitorBody) -> ClickView:
    """By the shop's page, with the number that the redirect gave it; once, within a day.

    The click is then a touch and an event, under the rules of events: a visitor is a consumer only as long as
    an identity edge says so.
    """
    principal = principal_of(request)
    if (data.consumer_id is None) == (data.anonymous_id is None):
        raise ApiError(422, "link-refused", "The link is refused", "name a consumer or a visitor, not both")
    with _problems(), order_transaction(request) as (conn, now):
        found = clicks.find(conn, principal.tenant_id, click_id)
        if principal.role is Role.MERCHANT and principal.party_id != found.merchant_id:
            raise LinkUnknownError(f"there is no click {click_id}")
        named = clicks.name(conn, principal.tenant_id, click_id, data.consumer_id, data.anonymous_id, now)
        note(request, conn, "link_click.name", "link_click", click_id)
    return ClickView(
        click_id=named.click_id,
        link_id=named.link_id,
        merchant_id=named.merchant_id,
        occurred_at=named.occurred_at,
    )


@get(
    "/l/{code:str}",
    tags=["Growth"],
    summary="Follow a short link",
    description=(
        "Without a key. Leads to the registered destination of the link and to nothing else, whatever else"
        " the address says; the number of the click goes along as `muyun_click`. No address, device or cookie"
        " is kept."
    ),
    status_code=302,
    responses=problem_responses(404, 410, 429),
    sync_to_thread=True,
)
def follow_link(request: Request[Any, Any, Any], code: Code) -> Response[None]:
    """Recorded, then redirected; an address that asks too often waits."""
    limiter: RateLimiter = request.app.state.link_limiter
    client = request.client.host if request.client is not None else ""
    wait = limiter.take(client, rate_per_s=_FOLLOWED_PER_S, burst=_FOLLOWED_BURST)
    if wait > 0:
        raise ApiError(
            429,
            "too-many-requests",
            "Too many requests",
            "Too many links were followed from this address.",
            headers={"Retry-After": str(int(wait) + 1)},
        )
    operations: Operations = request.app.state.operations
    clock: BusinessClock = request.app.state.clock
    with _problems():
        with operations.transaction("") as conn:
            tenant = records.tenant_of(conn, code)
        if tenant is None:
            raise LinkUnknownError("there is no such link")
        with operations.transaction(tenant) as conn:
            place = clicks.follow(conn, vault_of(request), tenant, code, clock.now(conn, tenant))
    return Response(
        None,
        status_code=302,
        headers={"Location": place, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )


def _parties(conn: Connection, principal: Principal, data: LinkBody) -> tuple[str, str | None]:
    """Shop and agent of a link to be made.

    Raises:
        InvalidRequestError: No shop is named, and the key has none.
        ApiError: 403 for another party of the key's own kind.
    """
    agent_id = data.agent_id
    if principal.role is Role.AGENT:
        agent_id = agent_id or principal.party_id
        principal.require_owner(Role.AGENT, agent_id or "")
    shop = data.merchant_id or principal.merchant_id
    if shop is None and agent_id is not None:
        shop = agent_of(conn, agent_id).merchant_id
    if shop is None:
        raise InvalidRequestError("merchant_id", "name the merchant")
    if principal.role is Role.MERCHANT:
        principal.require_owner(Role.MERCHANT, shop)
    return shop, agent_id


def _own(conn: Connection, principal: Principal, link_id: str) -> records.Link:
    """A link that the key may see; another party's is unknown."""
    link = records.find(conn, principal.tenant_id, link_id)
    party = {Role.MERCHANT: link.merchant_id, Role.AGENT: link.agent_id}
    if principal.role in party and party[principal.role] != principal.party_id:
        raise LinkUnknownError(f"there is no link {link_id}")
    return link


def _view(request: Request[Any, Any, Any], conn: Connection, link: records.Link) -> LinkView:
    settings: Settings = request.app.state.settings
    code = records.code_of(conn, vault_of(request), principal_of(request).tenant_id, link)
    return LinkView(**asdict(link), address=f"{settings.link_base}/l/{code}")


def _destination(found: destinations.Destination) -> DestinationView:
    return DestinationView(**asdict(found))


LINK_ROUTES = (
    put_destination,
    delete_destination,
    post_link,
    list_links,
    get_qr,
    post_revoke,
    post_visitor,
)
"""Handlers of this resource that ask for a key, for the application."""


def redirect_router() -> Router:
    """The route that anybody follows: no key is asked for."""
    return Router("/", route_handlers=[follow_link])
