"""`/v1/channels`: accounts at payment channels, and the notices that channels send without a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post, put
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.agents.party_names import PartyType
from serving.api.answers import principal_of, problem_responses
from serving.api.orders.order_work import order_problems, order_transaction
from serving.api.parameters import Identifier
from serving.api.transactions import note, vault_of
from serving.channels.accounts import (
    NewAccount,
    accounts_of,
    add_account,
    change_account,
    find_account,
    tenant_of,
)
from serving.channels.errors import (
    ChannelAccountError,
    ChannelError,
    ChannelKeyError,
    ChannelUnavailableError,
    Doubt,
    NoticeRefusedError,
    RequestStateError,
    UnknownChannelError,
    UnknownRequestError,
)
from serving.channels.heard import spend_nonce
from serving.channels.payees import put_payee
from serving.channels.protocol import Account
from serving.channels.receivers import put_receiver
from serving.channels.registry import ADAPTERS, adapter_of
from serving.channels.signatures import LONGEST_MESSAGE
from serving.db.operations import Operations
from serving.orders.clock import BusinessClock
from serving.orders.contracts import Id
from serving.orders.paying.channel_facts import take_fact
from serving.problems import ApiError
from serving.rate_limit import RateLimiter
from serving.security import Role, Scope

_OPERATOR = frozenset({Role.OPERATOR})
_WRITE = {"scope": Scope.PAYMENTS_WRITE, "roles": _OPERATOR, "owner": None}
_REFUSED_PER_S = 5.0
_REFUSED_BURST = 50

_Url = Annotated[str, Meta(max_length=500, pattern=r"^[\x21-\x7e]*(?!\n)$")]
_Serial = Annotated[str, Meta(min_length=1, max_length=128)]
_Pem = Annotated[str, Meta(min_length=1, max_length=20_000)]
_Keys = Annotated[
    dict[_Serial, _Pem],
    Meta(
        min_length=1,
        max_length=20,
        description="The channel's certificates or public keys in PEM, by serial.",
    ),
]
_SplitBps = Annotated[
    int,
    Meta(
        ge=0,
        le=10_000,
        description="What the contract lets us split of a payment, basis points; above 0 the channel holds"
        " payments until they are split or unfrozen.",
    ),
]
_FeeBps = Annotated[int, Meta(ge=0, le=10_000, description="What the contract says it keeps, basis points.")]


class ChannelRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account at a payment channel."""

    adapter: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,32}(?!\n)$", examples=sorted(ADAPTERS))]
    merchant_number: Id
    app_id: Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$")] = ""
    api_url: Annotated[_Url, Meta(description="Where the channel answers.")]
    notify_url: Annotated[_Url, Meta(description="Where it shall send notices; empty: as it has it set.")] = (
        ""
    )
    fee_bps: _FeeBps
    split_max_bps: _SplitBps = 0
    public_keys: _Keys
    secrets: Annotated[dict[_Serial, _Pem], Meta(max_length=5, description="Sealed; never shown again.")]


class ChannelChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change of an account."""

    fee_bps: _FeeBps
    public_keys: _Keys
    is_active: bool = True
    split_max_bps: Annotated[_SplitBps | None, Meta(description="None leaves it.")] = None


class PayeeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A party's account at a channel."""

    party_type: PartyType
    party_id: Id
    account: Id


class ReceiverRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A party that a channel may send parts of payments to."""

    party_type: PartyType
    party_id: Id
    account: Annotated[Id, Meta(description="A merchant number at WeChat Pay, a user id at Alipay.")]
    name: Annotated[
        str, Meta(min_length=1, max_length=60, description="Its registered name; the channel compares it.")
    ]


class ChannelView(Struct, frozen=True, kw_only=True):
    """An account, without its secrets."""

    channel_id: str
    adapter: str
    merchant_number: str
    app_id: str
    api_url: str
    notify_url: str
    fee_bps: int
    split_max_bps: int
    serials: list[str]
    is_active: bool
    notices_path: Annotated[str, Meta(description="Where the channel is to send its notices.")]


class ChannelList(Struct, frozen=True, kw_only=True):
    """Accounts, the oldest first, at most 500."""

    channels: list[ChannelView]


@post(
    "/channels",
    opt=_WRITE,
    tags=["Channels"],
    summary="Register an account at a payment channel",
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_channel(request: Request[Any, Any, Any], data: ChannelRequest) -> ChannelView:
    """Only what such an account says under its signature, or answers when asked, is a payment."""
    tenant = principal_of(request).tenant_id
    wanted = NewAccount(
        data.adapter,
        data.merchant_number,
        data.app_id,
        data.api_url,
        data.notify_url,
        data.fee_bps,
        data.public_keys,
        data.secrets,
        data.split_max_bps,
    )
    with channel_problems(), order_transaction(request) as (conn, _):
        channel_id = add_account(conn, vault_of(request), tenant, wanted)
        note(
            request,
            conn,
            "channel.register",
            "channel",
            channel_id,
            details={
                "adapter": data.adapter,
                "fee_bps": data.fee_bps,
                "split_max_bps": data.split_max_bps,
            },
        )
        return _view(find_account(conn, vault_of(request), tenant, channel_id))


@get(
    "/channels",
    opt={"scope": Scope.LEDGER_READ, "roles": frozenset({Role.OPERATOR, Role.AUDITOR}), "owner": None},
    tags=["Channels"],
    summary="Accounts at payment channels",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_channels(request: Request[Any, Any, Any]) -> ChannelList:
    """Ended ones, too; without secrets."""
    with order_transaction(request) as (conn, _):
        found = accounts_of(conn, principal_of(request).tenant_id)
        note(request, conn, "channel.list", "channel", "all")
    return ChannelList(channels=[_view(account) for account in found])


@put(
    "/channels/{channel_id:str}",
    opt=_WRITE,
    tags=["Channels"],
    summary="Change an account at a payment channel",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def put_channel(request: Request[Any, Any, Any], channel_id: Identifier, data: ChannelChange) -> ChannelView:
    """Renew the channel's keys, change the contract's rate, or end the account."""
    tenant = principal_of(request).tenant_id
    with channel_problems(), order_transaction(request) as (conn, _):
        change_account(
            conn,
            tenant,
            channel_id,
            public_keys=data.public_keys,
            fee_bps=data.fee_bps,
            is_active=data.is_active,
            split_max_bps=data.split_max_bps,
        )
        note(
            request,
            conn,
            "channel.change",
            "channel",
            channel_id,
            details={
                "fee_bps": data.fee_bps,
                "is_active": data.is_active,
                "serials": len(data.public_keys),
                "split_max_bps": data.split_max_bps,
            },
        )
        return _view(find_account(conn, vault_of(request), tenant, channel_id, with_ended=True))


@post(
    "/channels/{channel_id:str}/notices",
    tags=["Channels"],
    summary="What a payment channel reports",
    description=(
        "Without a key: the channel's signature is the proof. Answered 200, in the words that the channel"
        " wants, once it is booked: on the order that it fits, else in suspense. Nothing is booked of what"
        " is refused."
    ),
    status_code=200,
    responses=problem_responses(),
    request_max_body_size=LONGEST_MESSAGE,
    sync_to_thread=True,
)
def post_notice(
    request: Request[Any, Any, Any],
    channel_id: Annotated[str, Parameter(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+(?!\n)$")],
    body: bytes,
) -> Response[bytes]:
    """Verify, book, acknowledge; the same fact again is acknowledged and booked once."""
    operations: Operations = request.app.state.operations
    clock: BusinessClock = request.app.state.clock
    with refusals_limited(request), order_problems():
        with operations.transaction("") as conn:
            tenant = tenant_of(conn, channel_id)
        if tenant is None:
            raise NoticeRefusedError(Doubt.CHANNEL, "there is no active channel account of that id")
        wall = datetime.now(UTC)
        with operations.transaction(tenant) as conn:
            try:
                account = find_account(conn, vault_of(request), tenant, channel_id)
            except UnknownChannelError as error:
                raise NoticeRefusedError(
                    Doubt.CHANNEL, "there is no active channel account of that id"
                ) from error
            adapter = adapter_of(account)
            headers = {name.lower(): value for name, value in request.headers.items()}
            notice = adapter.read_notice(headers, body, wall)
            if notice.nonce is not None:
                spend_nonce(conn, tenant, channel_id, notice.nonce, wall)
            if notice.fact is not None:
                now = clock.now(conn, tenant)
                take_fact(conn, tenant, account, notice.notice_id, notice.fact, now)
        answer = adapter.acknowledgement()
    return Response(answer.body, media_type=answer.media_type)


@put(
    "/channels/{channel_id:str}/payees",
    opt=_WRITE,
    tags=["Channels"],
    summary="Where a channel pays a party to",
    status_code=204,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def put_payee_account(request: Request[Any, Any, Any], channel_id: Identifier, data: PayeeRequest) -> None:
    """The party's account at the channel, such as its openid; sealed, and never shown again."""
    tenant = principal_of(request).tenant_id
    party = (data.party_type, data.party_id)
    with channel_problems(), order_transaction(request) as (conn, _):
        find_account(conn, vault_of(request), tenant, channel_id)
        put_payee(conn, vault_of(request), tenant, channel_id, party, data.account)
        note(request, conn, "payee.put", "channel", channel_id, details={"party": ":".join(party)[:200]})


@put(
    "/channels/{channel_id:str}/receivers",
    opt=_WRITE,
    tags=["Channels"],
    summary="Whom a channel may send parts of payments to",
    status_code=204,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def put_receiver_account(
    request: Request[Any, Any, Any], channel_id: Identifier, data: ReceiverRequest
) -> None:
    """Pay-outs to the party go by parts of its own orders' payments, as far as the contract lets them.

    Account and name are sealed, and never shown again; the channel is told of them with the first part.
    """
    tenant = principal_of(request).tenant_id
    party = (data.party_type, data.party_id)
    with channel_problems(), order_transaction(request) as (conn, _):
        find_account(conn, vault_of(request), tenant, channel_id)
        put_receiver(conn, vault_of(request), tenant, channel_id, party, data.account, data.name)
        note(request, conn, "receiver.put", "channel", channel_id, details={"party": ":".join(party)[:200]})


CHANNEL_ROUTES = (post_channel, list_channels, put_channel, put_payee_account, put_receiver_account)
"""Handlers of this resource that ask for a key, for the application."""


def notices_router() -> Router:
    """The route that channels call: no key is asked for."""
    return Router("/v1", route_handlers=[post_notice])


@contextmanager
def channel_problems() -> Iterator[None]:
    """Around the transaction of a handler: what channels and their accounts refuse becomes a problem.

    Raises:
        ApiError: For every `ChannelError`.
    """
    try:
        yield
    except ChannelError as error:
        raise _as_problem(error) from error


@contextmanager
def refusals_limited(request: Request[Any, Any, Any]) -> Iterator[None]:
    """Around a notice: one that is not believed answers 401; whoever sends many of them waits."""
    try:
        yield
    except NoticeRefusedError as error:
        limiter: RateLimiter = request.app.state.notice_limiter
        client = request.client.host if request.client is not None else ""
        wait = limiter.take(client, rate_per_s=_REFUSED_PER_S, burst=_REFUSED_BURST)
        if wait > 0:
            raise ApiError(
                429,
                "too-many-requests",
                "Too many requests",
                "Too many notices that were not believed came from this address.",
                headers={"Retry-After": str(int(wait) + 1)},
            ) from error
        raise _as_problem(error) from error
    except ChannelKeyError as error:
        # The account's own keys were checked when they were registered.
        raise _as_problem(error) from error


def _as_problem(error: ChannelError) -> ApiError:
    match error:
        case NoticeRefusedError():
            return ApiError(401, f"notice-{error.doubt}", "The notice is not believed", str(error))
        case UnknownChannelError():
            return ApiError(404, "channel-not-found", "No such channel account", str(error))
        case UnknownRequestError():
            return ApiError(404, "channel-request-not-found", "No such request", str(error))
        case RequestStateError():
            return ApiError(409, "channel-request-ended", "The request is ended", str(error))
        case ChannelAccountError():
            return ApiError(409, "channel-account-refused", "Not an account", str(error))
        case ChannelKeyError():
            return ApiError(422, "channel-key-refused", "Not a key", str(error))
        case ChannelUnavailableError():
            return ApiError(
                503,
                "channel-unavailable",
                "The channel does not answer",
                str(error),
                remedy="Ask again later.",
            )
    return ApiError(409, "channel-refused", "The channel refuses", str(error))


def _view(account: Account) -> ChannelView:
    return ChannelView(
        channel_id=account.channel_id,
        adapter=account.adapter,
        merchant_number=account.merchant_number,
        app_id=account.app_id,
        api_url=account.api_url,
        notify_url=account.notify_url,
        fee_bps=account.fee_bps,
        split_max_bps=account.split_max_bps,
        serials=sorted(account.public_keys),
        is_active=account.is_active,
        notices_path=f"/v1/channels/{account.channel_id}/notices",
    )
