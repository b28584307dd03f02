"""`/v1/materials`: what is said of goods, checked against forbidden words, for agents to spread."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.agents.relations import get as agent_of
from serving.api.agents.agents import agent_problems
from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.growth.links import Channel
from serving.api.parameters import CursorText, Identifier, OptionalIdentifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.materials import records
from serving.orders.contracts import Id
from serving.orders.errors import InvalidRequestError
from serving.security import Role, Scope

_OPERATORS = frozenset({Role.OPERATOR})
_SHOPS = frozenset({Role.OPERATOR, Role.MERCHANT})
_READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.AGENT})
_Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+(?!\n)$")]
_Picture = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+(?!\n)$")]
_Status = Annotated[
    Literal["approved", "refused", "released", "withdrawn"] | None,
    Parameter(
        query="status", description="None: any; agents see those that may be spread whatever they ask."
    ),
]
_ChannelFilter = Annotated[Channel | None, Parameter(query="channel", description="None: any.")]


class MaterialBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text about goods."""

    material_id: Id
    sku_id: Id
    channel: Channel
    title: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            pattern=r"^[^\x00-\x1f\x7f]+(?!\n)$",
            examples=["烟台苹果，当季采摘"],
        ),
    ]
    points: Annotated[list[_Line], Meta(max_length=10)] = []
    pictures: Annotated[
        list[_Picture], Meta(max_length=20, description="References; the pictures stay where they are.")
    ] = []
    merchant_id: Annotated[Id | None, Meta(description="A merchant's key may leave it out.")] = None


class HitView(Struct, frozen=True, kw_only=True):
    """A forbidden word."""

    field: Annotated[str, Meta(description="`title`, or `points.` with the place from 0.")]
    term: str
    found: str
    start: Annotated[int, Meta(description="Characters from 0, in the field.")]
    end: int
    category: str
    title: str
    source: Annotated[str, Meta(description="Law and article.")]
    remedy: str


class MaterialView(Struct, frozen=True, kw_only=True):
    """A material; `approved` and `released` ones may be spread."""

    material_id: str
    merchant_id: str
    sku_id: str
    channel: str
    title: str
    points: list[str]
    pictures: list[str]
    state: str
    hits: list[HitView]
    made_at: datetime
    decided_at: datetime | None
    reason: str | None


class MaterialPage(Struct, frozen=True, kw_only=True):
    """Materials by id."""

    materials: list[MaterialView]
    next_cursor: str | None


class ReasonBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Annotated[
        str, Meta(min_length=10, max_length=500, examples=["Rank proved by the licence on file"])
    ]


@post(
    "/materials",
    opt={"scope": Scope.MATERIALS_WRITE, "roles": _SHOPS, "owner": None},
    tags=["Growth"],
    summary="Keep a text about goods and check it",
    status_code=200,
    responses=problem_responses(409, 422),
    sync_to_thread=True,
)
def post_material(request: Request[Any, Any, Any], data: MaterialBody) -> MaterialView:
    """`refused` with each forbidden word, its place and what to do; write another one under another id."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        merchant_id = data.merchant_id or principal.merchant_id
        if merchant_id is None:
            raise InvalidRequestError("merchant_id", f"material {data.material_id}: name the shop")
        principal.require_merchant(merchant_id)
        made, is_new = records.write(
            conn,
            principal.tenant_id,
            data.material_id,
            merchant_id,
            data.sku_id,
            data.channel,
            records.Words(data.title, data.points, data.pictures),
            principal.key_id,
            now_of(request, conn),
        )
        note(
            request,
            conn,
            "material.write",
            "material",
            made.material_id,
            outcome="done" if is_new else "repeated",
            details={"state": made.state, "hits": len(made.hits)},
        )
    return _view(made)


@get(
    "/materials",
    opt={"scope": Scope.MATERIALS_READ, "roles": _READERS, "owner": "merchant"},
    tags=["Growth"],
    summary="Texts about goods",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def list_materials(
    request: Request[Any, Any, Any],
    merchant_id: OptionalIdentifier = None,
    sku_id: OptionalIdentifier = None,
    channel: _ChannelFilter = None,
    status: _Status = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> MaterialPage:
    """By id. A merchant sees its own; an agent those of its merchant that may be spread, of what it sells."""
    principal = principal_of(request)
    position = read_cursor(cursor, "materials")
    is_agent = principal.role is Role.AGENT
    wanted = (status,) if status else ("approved", "refused", "released", "withdrawn")
    with typed_problems(), agent_problems(), tenant_transaction(request) as conn:
        of = merchant_id or principal.merchant_id
        if is_agent:
            of = agent_of(conn, str(principal.party_id)).merchant_id or of
        found = records.page(
            conn,
            principal.tenant_id,
            merchant_id=of,
            sku_id=sku_id,
            channel=channel,
            states=[one for one in wanted if one in records.SPREADABLE] if is_agent else wanted,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
        shown = found[:limit]
        if is_agent:
            shown = records.sold_now(conn, principal.tenant_id, shown)
    return MaterialPage(
        materials=[_view(one) for one in shown],
        next_cursor=cursor_after(found, limit, "materials", lambda one: [one.material_id]),
    )


@post(
    "/materials/{material_id:str}/release",
    opt={"scope": Scope.MATERIALS_WRITE, "roles": _OPERATORS, "owner": None},
    tags=["Growth"],
    summary="Let a refused text be spread all the same",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_release(request: Request[Any, Any, Any], material_id: Identifier, data: ReasonBody) -> MaterialView:
    """By another person than the writer, who has the evidence; words and reason stay on record."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        done, is_new = records.release(
            conn, principal.tenant_id, material_id, principal.key_id, data.reason, now_of(request, conn)
        )
        note(
            request,
            conn,
            "material.release",
            "material",
            material_id,
            outcome="done" if is_new else "repeated",
            details={"hits": len(done.hits)},
        )
    return _view(done)


@post(
    "/materials/{material_id:str}/withdraw",
    opt={"scope": Scope.MATERIALS_WRITE, "roles": _SHOPS, "owner": None},
    tags=["Growth"],
    summary="Take a text off the library",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def post_withdrawal(
    request: Request[Any, Any, Any], material_id: Identifier, data: ReasonBody
) -> MaterialView:
    """For good; what was spread before is not called back."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        done, is_new = records.withdraw(
            conn,
            principal.tenant_id,
            material_id,
            principal.key_id,
            data.reason,
            now_of(request, conn),
            merchant_id=principal.merchant_id,
        )
        note(
            request,
            conn,
            "material.withdraw",
            "material",
            material_id,
            outcome="done" if is_new else "repeated",
        )
    return _view(done)


MATERIAL_ROUTES = (post_material, list_materials, post_release, post_withdrawal)


def _view(one: records.Material) -> MaterialView:
    same = {name: getattr(one, name) for name in MaterialView.__struct_fields__ if name != "hits"}
    return MaterialView(**same, hits=[HitView(**hit) for hit in one.hits])
