"""`/v1/scenes`: live sessions, groups, shifts and enterprise programmes; an order names them by id."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import psycopg
from litestar import Request, get, post
from msgspec import Meta, Struct

from serving.agents import scenes
from serving.agents.errors import UnknownSceneError
from serving.agents.scenes import NewScene, Scene, SceneKind
from serving.api.agents.agent_documents import Id
from serving.api.agents.agents import agent_problems
from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import IdempotencyKey, in_range, order_transaction
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note
from serving.audit import Outcome
from serving.db.idempotency import once
from serving.orders.errors import InvalidRequestError
from serving.security import Principal, Role, Scope

_SHOP = frozenset({Role.OPERATOR, Role.MERCHANT})
_HOLDERS = frozenset({Role.MERCHANT, Role.AGENT})
_READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.AGENT})
_ENDERS = frozenset({Role.OPERATOR, Role.MERCHANT, Role.AGENT})


class SceneBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scene of a shop, and who holds its role: an agent, or the merchant itself."""

    kind: SceneKind
    party_type: Literal["agent", "merchant"]
    party_id: Id
    closes_at: Annotated[datetime, Meta(tz=True)]
    opens_at: Annotated[datetime, Meta(tz=True)] | None = None
    merchant_id: Annotated[Id | None, Meta(description="A merchant's key may leave it out.")] = None


class SceneView(Struct, frozen=True, kw_only=True):
    """A scene; `state` is `proposed` until its holder agreed, then `planned`, `open` or `closed`."""

    scene_id: str
    kind: str
    role: str
    merchant_id: str
    party_type: str
    party_id: str
    opens_at: datetime
    closes_at: datetime
    agreed_at: datetime | None
    state: str


class ScenePage(Struct, frozen=True, kw_only=True):
    """Scenes by id."""

    scenes: list[SceneView]
    next_cursor: str | None


@post(
    "/scenes",
    opt={"scope": Scope.SCENES_WRITE, "roles": _SHOP, "owner": None},
    tags=["Agents"],
    summary="Open a scene",
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_scene(
    request: Request[Any, Any, Any], data: SceneBody, idempotency_key: IdempotencyKey
) -> SceneView:
    """From now on at the earliest. Who does not belong to the shop has to agree before the role counts."""
    principal = principal_of(request)
    merchant_id = data.merchant_id or principal.merchant_id
    if merchant_id is not None:
        principal.require_merchant(merchant_id)
    with order_transaction(request) as (conn, now), agent_problems():
        if merchant_id is None:
            raise InvalidRequestError("merchant_id", "name the shop")
        shop = merchant_id

        def work() -> tuple[int, SceneView]:
            opens = now if data.opens_at is None else in_range("opens_at", data.opens_at)
            new = NewScene(
                data.kind,
                shop,
                data.party_type,
                data.party_id,
                opens,
                in_range("closes_at", data.closes_at),
            )
            made = scenes.open_scene(conn, principal.tenant_id, new, _by(principal), now)
            return 201, _view(made, now)

        answer = once(conn, principal, f"scene.open {shop}", idempotency_key, data, work)
        view = msgspec.convert(answer.document, SceneView)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        details = {"merchant_id": shop, "party_type": view.party_type, "party_id": view.party_id}
        note(request, conn, "scene.open", "scene", view.scene_id, outcome=outcome, details=details)
        return view


@get(
    "/scenes",
    opt={"scope": Scope.SCENES_READ, "roles": _READERS, "owner": None},
    tags=["Agents"],
    summary="Scenes by id",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_scenes(
    request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None
) -> ScenePage:
    """A merchant sees those of its shop, whoever holds a scene that one; operators and auditors see all."""
    principal = principal_of(request)
    position = read_cursor(cursor, "scenes")
    party = None if principal.party_id is None else (str(principal.role), principal.party_id)
    with order_transaction(request) as (conn, now):
        after = str(position.key[0]) if position else ""
        found = scenes.page(conn, principal.tenant_id, party, after=after, limit=limit + 1)
    shown = [_view(scene, now) for scene in found[:limit]]
    return ScenePage(
        scenes=shown,
        next_cursor=cursor_after(found, limit, "scenes", lambda one: [one.scene_id]),
    )


@get(
    "/scenes/{scene_id:str}",
    opt={"scope": Scope.SCENES_READ, "roles": _READERS, "owner": None},
    tags=["Agents"],
    summary="One scene",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_scene(request: Request[Any, Any, Any], scene_id: Identifier) -> SceneView:
    """Who holds it, from when to when, and whether the holder agreed."""
    with order_transaction(request) as (conn, now), agent_problems():
        return _view(_reachable(conn, principal_of(request), scene_id), now)


@post(
    "/scenes/{scene_id:str}/agreement",
    opt={"scope": Scope.SCENES_WRITE, "roles": _HOLDERS, "owner": None},
    tags=["Agents"],
    summary="Agree to hold a scene",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_agreement(request: Request[Any, Any, Any], scene_id: Identifier) -> SceneView:
    """By the holder's own key; the role counts for orders from then on."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now), agent_problems():
        holder = (str(principal.role), principal.party_id or "")
        is_new = scenes.agree(conn, principal.tenant_id, scene_id, *holder, _by(principal), now)
        outcome: Outcome = "done" if is_new else "repeated"
        note(request, conn, "scene.agree", "scene", scene_id, outcome=outcome)
        return _view(scenes.find(conn, principal.tenant_id, scene_id), now)


@post(
    "/scenes/{scene_id:str}/close",
    opt={"scope": Scope.SCENES_WRITE, "roles": _ENDERS, "owner": None},
    tags=["Agents"],
    summary="Close a scene",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def post_close(request: Request[Any, Any, Any], scene_id: Identifier) -> SceneView:
    """By the shop, an operator, or the holder; orders that were placed in it keep its role."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now), agent_problems():
        _reachable(conn, principal, scene_id)
        is_new = scenes.close(conn, principal.tenant_id, scene_id, _by(principal), now)
        outcome: Outcome = "done" if is_new else "repeated"
        note(request, conn, "scene.close", "scene", scene_id, outcome=outcome)
        return _view(scenes.find(conn, principal.tenant_id, scene_id), now)


def _by(principal: Principal) -> str:
    return f"key:{principal.key_id}"


def _reachable(conn: psycopg.Connection[Any], principal: Principal, scene_id: str) -> Scene:
    """The scene, if it is of the key's shop or held by the key's party; else both look the same.

    Raises:
        UnknownSceneError: There is none for this key.
    """
    scene = scenes.find(conn, principal.tenant_id, scene_id)
    if principal.merchant_id == scene.merchant_id or principal.owns(scene.party_type, scene.party_id):
        return scene
    raise UnknownSceneError(f"there is no scene {scene_id}")


def _view(scene: Scene, now: datetime) -> SceneView:
    names = set(SceneView.__struct_fields__) - {"state"}
    return SceneView(**{name: getattr(scene, name) for name in names}, state=scene.state(now))


SCENE_ROUTES = [post_scene, list_scenes, get_scene, post_agreement, post_close]
