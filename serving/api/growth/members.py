"""`/v1/members`: where members stand, levels, notices; and the programme: drafts, four eyes, in force."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from models.members.ladder import Level
from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, ask_another, two_people_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.consumers.erased import consumer_digest
from serving.members import notices, records, versions
from serving.members.asking import ask_of
from serving.members.errors import MemberUnknownError
from serving.members.programme import shipped
from serving.security import Role, Scope

_OPERATOR = frozenset({Role.OPERATOR})
_WATCHERS = frozenset({Role.OPERATOR, Role.AUDITOR})
_VersionNo = Annotated[int, Parameter(ge=1, le=1_000_000, description="Number of the version.")]
_Level = Literal["ordinary", "silver", "gold", "diamond"]
_SHOWN_CHANGES = 100


class MemberProgrammeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of the programme to be kept as a draft."""

    document: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=20_000,
            description="YAML; begin with `GET /v1/member-programmes/shipped`. Fields: docs/growth.md.",
        ),
    ]


class MemberProgrammeView(Struct, frozen=True, kw_only=True):
    """A version of the programme of members."""

    version: int
    state: Annotated[str, Meta(description="`draft`, `live` or `replaced`.")]
    digest: str
    made_by: str
    made_at: datetime
    live_at: datetime | None
    ended_at: datetime | None
    document: dict[str, Any]


class MemberProgrammes(Struct, frozen=True, kw_only=True):
    """All versions, oldest first."""

    programmes: list[MemberProgrammeView]


class ShippedMemberProgramme(Struct, frozen=True, kw_only=True):
    """The programme that comes with the product."""

    document: Annotated[str, Meta(description="YAML.")]


class MemberLevelView(Struct, frozen=True, kw_only=True):
    """A level."""

    level: str
    from_growth: Annotated[int | None, Meta(description="Null: the programme in force does not have it.")]
    coupon: Annotated[str | None, Meta(description="Coupon programme of which going up gives a code.")]
    members: int
    at_risk: Annotated[int, Meta(description="Below it near the end of their period.")]
    not_told: Annotated[int, Meta(description="Of them, those whom nobody told: they do not go down.")]


class MemberLevels(Struct, frozen=True, kw_only=True):
    """Levels from below, with members."""

    version: Annotated[int | None, Meta(description="Of the programme in force; null: none is.")]
    closed_on: Annotated[date | None, Meta(description="The last day that was closed.")]
    levels: list[MemberLevelView]


class MemberChangeView(Struct, frozen=True, kw_only=True):
    """What the close of a day changed of a member."""

    changed_at: datetime
    cause: Annotated[str, Meta(description="`joined`, `up`, `down`, `at_risk`, `safe`, `renewed`.")]
    level: str
    growth: int
    growth_to_next: int | None
    spell: int
    period_ends_on: date
    is_at_risk: bool
    programme_version: int


class MemberBenefitView(Struct, frozen=True, kw_only=True):
    """What going up to a level gave."""

    spell: int
    level: str
    programme_id: str
    coupon_code: str
    given_at: datetime


class MemberView(Struct, frozen=True, kw_only=True):
    """Where a member stands."""

    consumer_id: str
    level: str
    growth: Annotated[int, Meta(description="Growth value of the last day that was closed.")]
    spell: Annotated[int, Meta(description="Number of the stay on this level.")]
    since: date
    period_ends_on: Annotated[date, Meta(description="Until then the level is held whatever the growth.")]
    at_risk_since: Annotated[
        date | None, Meta(description="Since when the growth is below the level, near the end; null: not.")
    ]
    told_at: Annotated[datetime | None, Meta(description="When the member was told of it; null: not yet.")]
    joined_on: date


class MembershipView(MemberView, frozen=True, kw_only=True):
    """A member with what is to come, what levels gave, and what happened."""

    next_level: Annotated[str | None, Meta(description="Null: there is none above.")]
    growth_to_next: int | None
    coupon: Annotated[
        str | None, Meta(description="Coupon programme of which going up to the present level gives a code.")
    ]
    closed_on: date | None
    benefits: list[MemberBenefitView]
    history: Annotated[list[MemberChangeView], Meta(description="The newest first, growth alone left out.")]


class MemberPage(Struct, frozen=True, kw_only=True):
    """Members by consumer."""

    members: list[MemberView]
    next_cursor: str | None


class MemberNoticeView(Struct, frozen=True, kw_only=True):
    """That a member was told."""

    consumer_id: str
    told_at: Annotated[datetime, Meta(description="The first notice of this time of risk.")]


@get(
    "/member-programmes",
    opt={"scope": Scope.MEMBERS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="Versions of the programme of members",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_member_programmes(request: Request[Any, Any, Any]) -> MemberProgrammes:
    """Oldest first; at most one is `live`."""
    with tenant_transaction(request) as conn:
        found = versions.versions_of(conn, principal_of(request).tenant_id)
    return MemberProgrammes(programmes=[_programme(one) for one in found])


@get(
    "/member-programmes/shipped",
    opt={"scope": Scope.MEMBERS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="The programme that comes with the product",
    responses=problem_responses(),
    sync_to_thread=False,
)
def get_shipped_member_programme() -> ShippedMemberProgramme:
    """To begin with; it gives no coupon, since a coupon programme has to be opened first."""
    return ShippedMemberProgramme(document=shipped())


@post(
    "/member-programmes",
    opt={"scope": Scope.MEMBERS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Keep a version of the programme as a draft",
    status_code=201,
    responses=problem_responses(422),
    sync_to_thread=True,
)
def post_member_programme(
    request: Request[Any, Any, Any], data: MemberProgrammeRequest
) -> MemberProgrammeView:
    """The same words again are the version that has them. A draft does nothing."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        found = versions.put_forward(
            conn, principal.tenant_id, data.document, principal.key_id, now_of(request, conn)
        )
        note(request, conn, "member_programme.draft", "member_programme", str(found.version))
    return _programme(found)


@post(
    "/member-programmes/{version:int}/in-force",
    opt={"scope": Scope.MEMBERS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Ask for a version of the programme to come into force",
    status_code=202,
    responses=two_people_responses(404, 409, 422),
    sync_to_thread=True,
)
def post_member_programme_in_force(request: Request[Any, Any, Any], version: _VersionNo) -> Waiting:
    """Another person must approve it. The next close of a day goes by it."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = versions.find(conn, principal_of(request).tenant_id, version)
        return ask_another(request, conn, ask_of(found), now_of(request, conn))


@get(
    "/member-levels",
    opt={"scope": Scope.MEMBERS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="Levels and how many members are on each",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_member_levels(request: Request[Any, Any, Any]) -> MemberLevels:
    """From below, as of the last day that was closed."""
    with tenant_transaction(request) as conn:
        tenant_id = principal_of(request).tenant_id
        current = versions.in_force(conn, tenant_id)
        counted = records.counts(conn, tenant_id)
        closed_on = records.last_closed(conn, tenant_id)
    terms = {} if current is None else {str(one.level): one for one in current.programme.levels}
    return MemberLevels(
        version=None if current is None else current.version,
        closed_on=closed_on,
        levels=[
            MemberLevelView(
                level=level.word,
                from_growth=terms[level.word].from_growth if level.word in terms else None,
                coupon=terms[level.word].benefits.coupon if level.word in terms else None,
                members=members,
                at_risk=at_risk,
                not_told=not_told,
            )
            for level in Level
            if level.word in terms or level.word in counted
            for members, at_risk, not_told in [counted.get(level.word, (0, 0, 0))]
        ],
    )


@get(
    "/members",
    opt={"scope": Scope.MEMBERS_READ, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Members",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_members(
    request: Request[Any, Any, Any],
    level: _Level | None = None,
    at_risk: Annotated[bool | None, Parameter(description="Only who is, or is not, at risk.")] = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> MemberPage:
    """By consumer."""
    position = read_cursor(cursor, "members")
    with typed_problems(), tenant_transaction(request) as conn:
        found = records.page(
            conn,
            principal_of(request).tenant_id,
            level=level,
            at_risk=at_risk,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
    return MemberPage(
        members=[MemberView(**asdict(one)) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "members", lambda one: [one.consumer_id]),
    )


@get(
    "/members/{consumer_id:str}",
    opt={"scope": Scope.MEMBERS_READ, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="The membership of a consumer",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_member(request: Request[Any, Any, Any], consumer_id: Identifier) -> MembershipView:
    """Level, growth, what is missing to the next, risk, what levels gave, and the last 100 changes.

    Across the merchants of the tenant, so that no key of a merchant sees it.
    """
    with typed_problems(), tenant_transaction(request) as conn:
        tenant_id = principal_of(request).tenant_id
        found = records.find(conn, tenant_id, consumer_id)
        if found is None:
            raise MemberUnknownError(f"consumer {consumer_id} is no member: nothing was earned yet")
        current = versions.in_force(conn, tenant_id)
        benefits = records.benefits_of(conn, tenant_id, consumer_id)
        history = records.history_of(conn, tenant_id, consumer_id, limit=_SHOWN_CHANGES)
        closed_on = records.last_closed(conn, tenant_id)
    held = Level[found.level.upper()]
    above = [] if current is None else [one for one in current.programme.levels if one.rank > held]
    return MembershipView(
        **asdict(found),
        next_level=above[0].level if above else None,
        growth_to_next=max(above[0].from_growth - found.growth, 0) if above else None,
        coupon=None if current is None else current.programme.coupon_of(held),
        closed_on=closed_on,
        benefits=[MemberBenefitView(**asdict(one)) for one in benefits],
        history=[MemberChangeView(**asdict(one)) for one in history],
    )


@post(
    "/members/{consumer_id:str}/notice",
    opt={"scope": Scope.MEMBERS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Note that a member was told of being at risk",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_member_notice(request: Request[Any, Any, Any], consumer_id: Identifier) -> MemberNoticeView:
    """For who was told by other means than the journey `level_at_risk`; the first notice stands."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        told_at = notices.give(
            conn, principal.tenant_id, consumer_id, principal.key_id, now_of(request, conn)
        )
        # The log keeps what happened for ever; it names the person by the digest, as erasures do.
        note(request, conn, "member.notice", "consumer", consumer_digest(principal.tenant_id, consumer_id))
    return MemberNoticeView(consumer_id=consumer_id, told_at=told_at)


def _programme(found: versions.Version) -> MemberProgrammeView:
    return MemberProgrammeView(
        version=found.version,
        state=found.state,
        digest=found.digest,
        made_by=found.made_by,
        made_at=found.made_at,
        live_at=found.live_at,
        ended_at=found.ended_at,
        document=found.programme.model_dump(mode="json"),
    )


MEMBER_ROUTES = (
    list_member_programmes,
    get_shipped_member_programme,
    post_member_programme,
    post_member_programme_in_force,
    get_member_levels,
    list_members,
    get_member,
    post_member_notice,
)
