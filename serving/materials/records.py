"""Materials in the database: written, checked at once, released by another person; words never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from serving.db import locks
from serving.materials.advertising import Hit, forbidden
from serving.materials.errors import (
    MaterialConflictError,
    MaterialStateError,
    MaterialUnknownError,
    OwnMaterialError,
)
from serving.orders.assortment.orderable import not_for_sale

Connection = psycopg.Connection[Any]
State = Literal["approved", "refused", "released", "withdrawn"]
SPREADABLE = ("approved", "released")
"""States in which a material may be spread."""


@dataclass(frozen=True)
class Words:
    """What a material says.

    Attributes:
        title: Its title.
        points: Selling points, in order.
        pictures: References to pictures, in order; the pictures themselves are not ours.
    """

    title: str
    points: Sequence[str]
    pictures: Sequence[str]


@dataclass(frozen=True)
class Material:
    """A material.

    Attributes:
        material_id: Its id, by whoever wrote it.
        merchant_id: Whose shop.
        sku_id: About what.
        channel: For which channel.
        title: Its title.
        points: Selling points.
        pictures: References to pictures.
        state: `approved` without a forbidden word, `refused` with one, `released` by a person all the same.
        hits: Forbidden words, each with the field that it stands in.
        made_by: Key that wrote it.
        made_at: When.
        decided_by: Key that released or withdrew it.
        decided_at: When.
        reason: Why it was released or withdrawn.
    """

    material_id: str
    merchant_id: str
    sku_id: str
    channel: str
    title: str
    points: list[str]
    pictures: list[str]
    state: State
    hits: list[dict[str, Any]]
    made_by: str
    made_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


_COLUMNS = ", ".join(Material.__dataclass_fields__)


def hits_of(words: Words) -> list[dict[str, Any]]:
    """Forbidden words of a material: the hit with `field`, which is `title` or `points.<place from 0>`."""
    fields = {"title": words.title} | {f"points.{place}": point for place, point in enumerate(words.points)}
    return [_with_field(name, hit) for name, text in fields.items() for hit in forbidden(text)]


def write(
    conn: Connection,
    tenant_id: str,
    material_id: str,
    merchant_id: str,
    sku_id: str,
    channel: str,
    words: Words,
    by: str,
    now: datetime,
) -> tuple[Material, bool]:
    """Keep a material and check it; the same again is the one that stands.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        material_id: Its id.
        merchant_id: Whose shop.
        sku_id: About what.
        channel: For which channel.
        words: What it says.
        by: Key that writes it.
        now: Business time.

    Returns:
        The material, and whether it is new.

    Raises:
        MaterialConflictError: The id stands for something else.
    """
    hits = hits_of(words)
    made = conn.execute(
        "insert into materials.material (tenant_id, material_id, merchant_id, sku_id, channel, title, points,"
        " pictures, state, hits, made_by, made_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict do nothing",
        (
            tenant_id,
            material_id,
            merchant_id,
            sku_id,
            channel,
            words.title,
            Jsonb(list(words.points)),
            Jsonb(list(words.pictures)),
            "refused" if hits else "approved",
            Jsonb(hits),
            by,
            now,
        ),
    )
    found = find(conn, tenant_id, material_id)
    said = (found.merchant_id, found.sku_id, found.channel, found.title, found.points, found.pictures)
    if said != (merchant_id, sku_id, channel, words.title, list(words.points), list(words.pictures)):
        raise MaterialConflictError(f"material {material_id} has other words; give the new ones an id")
    return found, made.rowcount == 1


def find(conn: Connection, tenant_id: str, material_id: str, *, merchant_id: str | None = None) -> Material:
    """A material.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        material_id: Its id.
        merchant_id: Only of this shop; None for any.

    Raises:
        MaterialUnknownError: There is none, or it is another shop's.
    """
    with conn.cursor(row_factory=class_row(Material)) as cursor:
        found = cursor.execute(
            f"select {_COLUMNS} from materials.material where tenant_id = %s and material_id = %s"
            " and (%s::text is null or merchant_id = %s)".encode(),
            (tenant_id, material_id, merchant_id, merchant_id),
        ).fetchone()
    if found is None:
        raise MaterialUnknownError(f"there is no material {material_id}")
    return found


def page(
    conn: Connection,
    tenant_id: str,
    *,
    merchant_id: str | None,
    sku_id: str | None,
    channel: str | None,
    states: Sequence[str],
    after: str,
    limit: int,
) -> list[Material]:
    """Materials by id.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: Of this shop; None for any.
        sku_id: About this sku; None for any.
        channel: For this channel; None for any.
        states: In one of these states.
        after: Id of the last one shown.
        limit: Rows at most.
    """
    with conn.cursor(row_factory=class_row(Material)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from materials.material where tenant_id = %(tenant)s"
            " and material_id > %(after)s and state = any(%(states)s)"
            " and (%(merchant)s::text is null or merchant_id = %(merchant)s)"
            " and (%(sku)s::text is null or sku_id = %(sku)s)"
            " and (%(channel)s::text is null or channel = %(channel)s)"
            " order by material_id limit %(limit)s".encode(),
            {
                "tenant": tenant_id,
                "after": after,
                "states": list(states),
                "merchant": merchant_id,
                "sku": sku_id,
                "channel": channel,
                "limit": limit,
            },
        ).fetchall()


def sold_now(conn: Connection, tenant_id: str, materials: Sequence[Material]) -> list[Material]:
    """Those about goods that their shop sells now: not taken off, stopped or held, and not out of stock."""
    gone: dict[str, set[str]] = {}
    for merchant_id in {one.merchant_id for one in materials}:
        skus = [one.sku_id for one in materials if one.merchant_id == merchant_id]
        row = conn.execute(
            not_for_sale("%(skus)s::text[]"),
            {"tenant": tenant_id, "merchant_id": merchant_id, "skus": skus},
        ).fetchone()
        gone[merchant_id] = set(row[0] or ()) if row else set()
    return [one for one in materials if one.sku_id not in gone[one.merchant_id]]


def release(
    conn: Connection, tenant_id: str, material_id: str, by: str, reason: str, now: datetime
) -> tuple[Material, bool]:
    """Let a refused material be spread all the same; again by whoever did it changes nothing.

    Returns:
        The material, and whether it was released now.

    Raises:
        MaterialUnknownError: There is none.
        OwnMaterialError: The same key wrote it.
        MaterialStateError: It is not refused.
    """
    locks.material(conn, tenant_id, material_id)
    found = find(conn, tenant_id, material_id)
    if found.made_by == by:
        raise OwnMaterialError(f"material {material_id} was written by this key; another person releases it")
    if found.state == "released":
        return found, False
    if found.state != "refused":
        raise MaterialStateError(f"material {material_id} is {found.state}, not refused")
    return _decided(conn, tenant_id, material_id, "released", by, reason, now), True


def withdraw(
    conn: Connection,
    tenant_id: str,
    material_id: str,
    by: str,
    reason: str,
    now: datetime,
    *,
    merchant_id: str | None,
) -> tuple[Material, bool]:
    """Take a material off the library for good; again changes nothing.

    Returns:
        The material, and whether it was withdrawn now.

    Raises:
        MaterialUnknownError: There is none, or it is not of the shop named.
    """
    locks.material(conn, tenant_id, material_id)
    found = find(conn, tenant_id, material_id, merchant_id=merchant_id)
    if found.state == "withdrawn":
        return found, False
    return _decided(conn, tenant_id, material_id, "withdrawn", by, reason, now), True


def _decided(
    conn: Connection, tenant_id: str, material_id: str, state: State, by: str, reason: str, now: datetime
) -> Material:
    conn.execute(
        "update materials.material set state = %s, decided_by = %s, decided_at = %s, reason = %s"
        " where tenant_id = %s and material_id = %s",
        (state, by, now, reason, tenant_id, material_id),
    )
    return find(conn, tenant_id, material_id)


def _with_field(name: str, hit: Hit) -> dict[str, Any]:
    values: Mapping[str, Any] = asdict(hit)
    return {"field": name, **values}
