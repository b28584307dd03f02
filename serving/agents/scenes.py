"""Scenes: where a sale happens beside its shop, and who holds the role that is paid for it.

A live session, a group, a shift of a store guide or an enterprise's programme is opened beforehand by the
shop or an operator. An order names scenes only; the roles in it are those of its scenes as of the moment it
is placed. Whoever does not belong to the shop agrees with the own key first.

Source: scenario 7 of the settlement rules; decision 31.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from serving.agents.errors import SceneRefusedError, UnknownSceneError
from serving.agents.relations import find as find_agent
from serving.settlement.sharing.snapshot import Party

Connection = psycopg.Connection[Any]
SceneKind = Literal["live_session", "group", "store_shift", "enterprise_programme"]

ROLE_OF: Mapping[SceneKind, str] = {
    "live_session": "live_anchor",
    "group": "group_leader",
    "store_shift": "store_guide",
    "enterprise_programme": "distributor",
}
"""The role that the holder of a scene has in its sales; the names of `SCENE_ROLES`."""
MOST_DAYS = 366
"""Longest time for which a scene is opened, days. Source: assumed."""


@dataclass(frozen=True)
class NewScene:
    """A scene to be opened.

    Attributes:
        kind: What it is.
        merchant_id: The shop whose sales it is for.
        party_type: `agent` or `merchant`.
        party_id: Who holds the role.
        opens_at: First moment.
        closes_at: First moment after it.
    """

    kind: SceneKind
    merchant_id: str
    party_type: Literal["agent", "merchant"]
    party_id: str
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True)
class Scene:
    """A scene as stored; `agreed_at` is None while its holder has yet to agree."""

    scene_id: str
    kind: SceneKind
    merchant_id: str
    party_type: str
    party_id: str
    opens_at: datetime
    closes_at: datetime
    registered_at: datetime
    agreed_at: datetime | None

    @property
    def role(self) -> str:
        """The role of its holder."""
        return ROLE_OF[self.kind]

    def state(self, now: datetime) -> str:
        """`proposed`, `planned`, `open` or `closed`."""
        if now >= self.closes_at or self.opens_at == self.closes_at:
            return "closed"
        if self.agreed_at is None:
            return "proposed"
        return "open" if now >= self.opens_at else "planned"


_COLUMNS = ", ".join(Scene.__dataclass_fields__)
_SELECT = f"select {_COLUMNS} from agents.scene where tenant_id = %(tenant)s"


def open_scene(conn: Connection, tenant_id: str, new: NewScene, by: str, now: datetime) -> Scene:
    """Open a scene, from now on at the earliest.

    The shop itself and its own agents are part of it at once; whoever else holds the role has to agree.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        new: What is opened.
        by: Who opens it, for the record.
        now: Business time.

    Raises:
        SceneRefusedError: It lies in the past, lasts too long, or its holder is unknown or not active.
    """
    if new.opens_at < now:
        raise SceneRefusedError("a scene is opened beforehand: opens_at is now or later")
    if not new.opens_at < new.closes_at <= new.opens_at + timedelta(days=MOST_DAYS):
        raise SceneRefusedError(f"closes_at must lie after opens_at, by {MOST_DAYS} days at most")
    _require_active(conn, tenant_id, new.party_type, new.party_id)
    scene = Scene(
        scene_id=f"sc-{secrets.token_hex(8)}",
        kind=new.kind,
        merchant_id=new.merchant_id,
        party_type=new.party_type,
        party_id=new.party_id,
        opens_at=new.opens_at,
        closes_at=new.closes_at,
        registered_at=now,
        agreed_at=now if _belongs(conn, new) else None,
    )
    values = {name: getattr(scene, name) for name in Scene.__dataclass_fields__}
    conn.execute(
        f"insert into agents.scene (tenant_id, {_COLUMNS}, registered_by) values (%(tenant)s,"
        f" {', '.join(f'%({name})s' for name in values)}, %(by)s)".encode(),
        {**values, "tenant": tenant_id, "by": by},
    )
    return scene


def agree(
    conn: Connection, tenant_id: str, scene_id: str, party_type: str, party_id: str, by: str, now: datetime
) -> bool:
    """The holder of a scene agrees to it; it counts from then on.

    Returns:
        Whether it is new.

    Raises:
        UnknownSceneError: There is none that this party holds.
        SceneRefusedError: It is closed.
    """
    scene = find(conn, tenant_id, scene_id)
    if (scene.party_type, scene.party_id) != (party_type, party_id):
        raise UnknownSceneError(f"there is no scene {scene_id} that this {party_type} holds")
    if scene.state(now) == "closed":
        raise SceneRefusedError(f"scene {scene_id} closed at {scene.closes_at.isoformat()}")
    changed = conn.execute(
        "update agents.scene set agreed_at = %s, agreed_by = %s"
        " where tenant_id = %s and scene_id = %s and agreed_at is null",
        (now, by, tenant_id, scene_id),
    ).rowcount
    return changed == 1


def close(conn: Connection, tenant_id: str, scene_id: str, by: str, now: datetime) -> bool:
    """End a scene now; orders that were placed in it keep its role.

    Returns:
        Whether it is new; a scene that is over stays as it is.

    Raises:
        UnknownSceneError: There is none.
    """
    find(conn, tenant_id, scene_id)
    changed = conn.execute(
        "update agents.scene set closes_at = greatest(%(now)s, opens_at), closed_by = %(by)s"
        " where tenant_id = %(tenant)s and scene_id = %(scene)s and closes_at > greatest(%(now)s, opens_at)",
        {"now": now, "by": by, "tenant": tenant_id, "scene": scene_id},
    ).rowcount
    return changed == 1


def find(conn: Connection, tenant_id: str, scene_id: str) -> Scene:
    """One scene.

    Raises:
        UnknownSceneError: There is none.
    """
    with conn.cursor(row_factory=class_row(Scene)) as cursor:
        found = cursor.execute(
            f"{_SELECT} and scene_id = %(scene)s".encode(), {"tenant": tenant_id, "scene": scene_id}
        ).fetchone()
    if found is None:
        raise UnknownSceneError(f"there is no scene {scene_id}")
    return found


def page(
    conn: Connection, tenant_id: str, party: tuple[str, str] | None, *, after: str, limit: int
) -> list[Scene]:
    """Scenes by id after the given one; of a party, those that it holds, and a merchant's own shop's."""
    party_type, party_id = party or (None, None)
    with conn.cursor(row_factory=class_row(Scene)) as cursor:
        return cursor.execute(
            (
                f"{_SELECT} and scene_id > %(after)s and (%(type)s::text is null"
                " or (party_type, party_id) = (%(type)s, %(party)s)"
                " or %(type)s = 'merchant' and merchant_id = %(party)s)"
                " order by scene_id limit %(limit)s"
            ).encode(),
            {"tenant": tenant_id, "after": after, "type": party_type, "party": party_id, "limit": limit},
        ).fetchall()


def roles_at(
    conn: Connection, tenant_id: str, merchant_id: str, scene_ids: Sequence[str], at: datetime
) -> dict[str, tuple[str, Party]]:
    """The roles that scenes give to an order of a shop at a moment.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The shop.
        scene_ids: The scenes that the order names.
        at: When it is placed.

    Returns:
        Role to the scene and its holder.

    Raises:
        SceneRefusedError: A scene is unknown, of another shop, not open then, not agreed to, its holder is
            not active any more, or two give the same role.
    """
    roles: dict[str, tuple[str, Party]] = {}
    for scene_id in scene_ids:
        try:
            scene = find(conn, tenant_id, scene_id)
        except UnknownSceneError as error:
            raise SceneRefusedError(str(error)) from error
        if scene.merchant_id != merchant_id:
            raise SceneRefusedError(f"there is no scene {scene_id} of merchant {merchant_id}")
        if scene.agreed_at is None or at < scene.agreed_at:
            raise SceneRefusedError(f"{scene.party_type} {scene.party_id} has not agreed to scene {scene_id}")
        if not scene.opens_at <= at < scene.closes_at:
            raise SceneRefusedError(
                f"scene {scene_id} is open from {scene.opens_at.isoformat()} until "
                f"{scene.closes_at.isoformat()}"
            )
        if scene.role in roles:
            raise SceneRefusedError(f"two scenes give the role {scene.role}; an order has one of each")
        _require_active(conn, tenant_id, scene.party_type, scene.party_id)
        roles[scene.role] = (scene_id, Party(_party_type(scene), scene.party_id))
    return roles


def _party_type(scene: Scene) -> Literal["agent", "merchant"]:
    return "agent" if scene.party_type == "agent" else "merchant"


def _belongs(conn: Connection, new: NewScene) -> bool:
    """Whether the holder is the shop itself or one of its own agents."""
    if new.party_type == "merchant":
        return new.party_id == new.merchant_id
    agent = find_agent(conn, new.party_id)
    return agent is not None and agent.merchant_id == new.merchant_id


def _require_active(conn: Connection, tenant_id: str, party_type: str, party_id: str) -> None:
    if party_type == "agent":
        agent = find_agent(conn, party_id)
        is_active = agent is not None and agent.is_active
    else:
        row = conn.execute(
            "select from parties.party where tenant_id = %s and party_type = %s and party_id = %s"
            " and is_active",
            (tenant_id, party_type, party_id),
        ).fetchone()
        is_active = row is not None
    if not is_active:
        raise SceneRefusedError(f"there is no active {party_type} {party_id}")
