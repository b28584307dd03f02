"""`/v1/reviews` and `/v1/rankings`: a party's month on one page, and its place among its peers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, OptionalIdentifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.problems import invalid_parameter
from serving.reviews import reading
from serving.reviews.figures import rates
from serving.reviews.page import Language, review_page
from serving.security import Role, Scope

PartyType = Literal["agent", "merchant"]
_READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.AGENT})
_SEES_MANY = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT})
_Month = Annotated[
    str | None,
    Parameter(
        query="month",
        pattern=r"^(19|20|21)[0-9][0-9]-(0[1-9]|1[0-2])(?!\n)$",
        description="Like 2026-01, UTC; without it the newest one that is over.",
    ),
]


class SkuOfMonth(Struct, frozen=True, kw_only=True):
    """A sku of a month."""

    sku_id: str
    units: float
    net_sales_cents: int
    refunded_cents: int
    margin_cents: Annotated[int | None, Meta(description="Null where no cost is known.")]


class PeersDo(Struct, frozen=True, kw_only=True):
    """A figure of the peers."""

    median: float | None
    leaders: Annotated[
        float | None, Meta(description="Mean of the quarter with the most sales, four at least.")
    ]


class ReviewView(Struct, frozen=True, kw_only=True):
    """A party's month."""

    publication_version: str
    as_of: datetime
    party_type: str
    party_id: str
    month: str
    is_whole: Annotated[bool, Meta(description="False as long as the month is not over.")]
    merchant_id: str | None
    level: str
    region_code: str
    tenure: str
    order_count: int
    known_order_count: Annotated[int, Meta(description="Of known consumers, as `buyer_count` counts them.")]
    net_sales_cents: int
    settled_cents: int
    paid_cents: int
    refunded_cents: int
    margin_cents: int | None
    buyer_count: int
    new_buyer_count: int
    repeat_buyer_count: int
    customer_count: Annotated[int, Meta(description="Who bought within twelve months.")]
    visitor_count: Annotated[int, Meta(description="Customers who visited in the month.")]
    cart_count: int
    rates: dict[str, float | None]
    basis: Annotated[str, Meta(description="What ranks go by: `settled`, else `orders` (net sales).")]
    ranked_cents: int
    rank: Annotated[int | None, Meta(description="Null with too few peers.")]
    rank_low: Annotated[int | None, Meta(description="Best place that chance leaves open (95%).")]
    rank_high: int | None
    peers: int
    peers_share: Annotated[list[str], Meta(description="What the peers have in common.")]
    peers_do: dict[str, PeersDo]
    best_skus: list[SkuOfMonth]
    worst_skus: list[SkuOfMonth]
    quiet_months: Annotated[int | None, Meta(description="Since the last month with an order.")]
    churn_risk: Annotated[
        float | None, Meta(description="Share of parties in this state that sold nothing in the next month.")
    ]


class RankedParty(Struct, frozen=True, kw_only=True):
    """A party in a ranking."""

    party_id: str
    merchant_id: str | None
    level: str
    region_code: str
    tenure: str
    ranked_cents: int
    error_cents: Annotated[float, Meta(description="Standard error: buyers come by chance.")]
    rank: int
    rank_low: int
    rank_high: int
    peers: int
    peers_share: list[str]


class RankingPage(Struct, frozen=True, kw_only=True):
    """Parties of a month, the most sales first; each rank is one among the party's own peers."""

    party_type: str
    month: str
    basis: Annotated[str | None, Meta(description="Null where nobody is ranked.")]
    unranked: Annotated[int, Meta(description="Parties with too few peers.")]
    parties: list[RankedParty]
    next_cursor: str | None


@get(
    "/reviews/{party_type:str}/{party_id:str}",
    opt={"scope": Scope.REVIEWS_READ, "roles": _READERS, "owner": None},
    tags=["Growth"],
    summary="Review of a month",
    responses={
        **problem_responses(404),
        200: ResponseSpec(
            data_container=ReviewView,
            description="As JSON; as text/html when `format` or the header Accept asks for it.",
            media_type="application/json",
            generate_examples=False,
        ),
    },
    sync_to_thread=True,
)
def get_review(
    request: Request[Any, Any, Any],
    party_type: PartyType,
    party_id: Identifier,
    month: _Month = None,
    shape: Annotated[
        Literal["json", "html"] | None,
        Parameter(query="format", description="Without it the header Accept decides."),
    ] = None,
    language: Annotated[Language, Parameter(query="language", description="Of the page to print.")] = "en",
) -> Response[bytes]:
    """The key of a party sees its own."""
    principal = principal_of(request)
    principal.require_owner(party_type, party_id)
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower()
    chosen = shape or ("html" if accepted == "text/html" else "json")
    with typed_problems(), tenant_transaction(request) as conn:
        found = reading.review_of(conn, principal.tenant_id, party_type, party_id, _first_day(month))
        note(
            request,
            conn,
            "review.read",
            party_type,
            party_id,
            details={"month": f"{found.month_start_on:%Y-%m}"},
        )
    if chosen == "html":
        return Response(review_page(found, language).encode(), media_type="text/html; charset=utf-8")
    return Response(msgspec.json.encode(_view(found)), media_type="application/json")


@get(
    "/rankings",
    opt={"scope": Scope.REVIEWS_READ, "roles": _SEES_MANY, "owner": "merchant"},
    tags=["Growth"],
    summary="Ranking of a month with intervals",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_rankings(
    request: Request[Any, Any, Any],
    party_type: PartyType = "agent",
    month: _Month = None,
    merchant_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> RankingPage:
    """A merchant sees the places of its agents; each is one among all peers, of whatever merchant."""
    principal = principal_of(request)
    if principal.role is Role.MERCHANT and party_type != "agent":
        raise invalid_parameter("party_type", "a merchant's key ranks agents; its own place is in its review")
    position = read_cursor(cursor, "rankings")
    of_merchant = merchant_id or principal.merchant_id
    with typed_problems(), tenant_transaction(request) as conn:
        tenant = principal.tenant_id
        of = _first_day(month) or reading.newest_whole_month(conn, tenant)
        found = reading.ranking(
            conn,
            tenant,
            party_type,
            of,
            merchant_id=of_merchant,
            after=(int(position.key[0]), str(position.key[1])) if position else (-(2**62), ""),
            limit=limit + 1,
        )
        unranked = reading.unranked(conn, tenant, party_type, of, of_merchant)
        note(request, conn, "ranking.read", party_type, "*", details={"month": f"{of:%Y-%m}"})
    return RankingPage(
        party_type=party_type,
        month=f"{of:%Y-%m}",
        basis=found[0].basis if found else None,
        unranked=unranked,
        parties=[_ranked(one) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "rankings", lambda one: [-one.ranked_cents, one.party_id]),
    )


REVIEW_ROUTES = (get_review, get_rankings)


def _first_day(month: str | None) -> date | None:
    return None if month is None else date.fromisoformat(f"{month}-01")


def _view(found: reading.Review) -> ReviewView:
    values = asdict(found)
    return ReviewView(
        publication_version=found.version,
        month=f"{found.month_start_on:%Y-%m}",
        rates=dict(rates(found)),
        peers_do={name: PeersDo(**figure) for name, figure in found.peers_do.items()},
        best_skus=[SkuOfMonth(**sku) for sku in found.best_skus],
        worst_skus=[SkuOfMonth(**sku) for sku in found.worst_skus],
        **{name: values[name] for name in ReviewView.__struct_fields__ if name in _SAME},
    )


_SAME = frozenset(reading.Review.__dataclass_fields__) - {"peers_do", "best_skus", "worst_skus"}


def _ranked(one: reading.Review) -> RankedParty:
    return RankedParty(**{name: getattr(one, name) for name in RankedParty.__struct_fields__})
