"""Opaque page cursors: the version they belong to and the last key of the page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import msgspec

from serving.problems import ApiError, invalid_parameter

RowT = TypeVar("RowT")
Kind = Literal[
    "prices",
    "reorder_supplier",
    "reorder_merchant",
    "clearance_supplier",
    "clearance_merchant",
    "supplier_grades",
    "supplier_channels",
    "category_channels",
    "grade_changes",
    "supply_resilience",
    "supply_proposals",
    "supply_failures",
    "assortment",
    "wakeup",
    "publications",
    "audit_log",
    "orders",
    "instructions",
    "offers",
    "stock",
    "agents",
    "coupon_programmes",
    "coupons",
    "scenes",
    "breaks",
    "misfits",
    "channel_requests",
    "segment",
    "fees",
    "debts",
    "withholdings",
    "approvals",
    "accounts",
    "supply_alarms",
    "quality_levels",
    "quality_cases",
    "listing_cases",
    "recalls",
    "recall_buyers",
    "purchases",
    "merchant_purchases",
    "transfers",
    "journeys",
    "journey_messages",
    "journey_tasks",
    "experiments",
    "members",
    "exposures",
    "channel_tests",
    "promotions",
    "promotion_groups",
    "communities",
    "community_members",
    "links",
    "feedback",
    "rankings",
    "materials",
    "trainings",
    "training_places",
]


class Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended.

    Attributes:
        kind: The list it belongs to.
        version: The published version; later pages come from the same one.
        key: Last key of the page.
    """

    kind: Kind
    version: str
    key: list[str | int]


_DECODER = msgspec.json.Decoder(Position)
_KEY_TYPES: dict[Kind, tuple[type, ...]] = {
    "prices": (str,),
    "reorder_supplier": (str,),
    "reorder_merchant": (str, str),
    "clearance_supplier": (str,),
    "clearance_merchant": (str, str),
    "supplier_grades": (str,),
    "supplier_channels": (str,),
    "category_channels": (int,),
    "grade_changes": (int,),
    "supply_resilience": (str,),
    "supply_proposals": (str, str, str),
    "supply_failures": (str,),
    "assortment": (str, int),
    "wakeup": (int, str),
    "publications": (str,),
    "audit_log": (int,),
    "agents": (str,),
    "coupon_programmes": (str,),
    "coupons": (str,),
    "scenes": (str,),
    "orders": (str, str),
    "instructions": (str, str),
    "stock": (str,),
    "breaks": (str, str, str),
    "misfits": (int,),
    "channel_requests": (str,),
    "segment": (str,),
    "fees": (str,),
    "debts": (str, str),
    "withholdings": (str, str),
    "approvals": (int,),
    "accounts": (str, str, str),
    "supply_alarms": (int,),
    "quality_levels": (str,),
    "quality_cases": (int,),
    "listing_cases": (int,),
    "recalls": (int,),
    "recall_buyers": (str, int),
    "purchases": (str,),
    "merchant_purchases": (str, str),
    "journeys": (str,),
    "journey_messages": (int,),
    "journey_tasks": (int,),
    "experiments": (str,),
    "members": (str,),
    "exposures": (str,),
    "channel_tests": (str,),
    "promotions": (str,),
    "promotion_groups": (str,),
    "communities": (str, str),
    "community_members": (str,),
    "links": (str,),
    "feedback": (int,),
    "rankings": (int, str),
    "materials": (str,),
    "trainings": (str,),
    "training_places": (int,),
}


def write_cursor(position: Position) -> str:
    """The cursor text for a position."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def cursor_after(
    found: Sequence[RowT],
    limit: int,
    kind: Kind,
    key: Callable[[RowT], list[str | int]],
    version: str = "",
) -> str | None:
    """The cursor behind the last row of a page; None where nothing follows.

    Args:
        found: What was read: one row more than the page has, if there is one.
        limit: Rows of the page.
        kind: The list.
        key: By what the list goes on.
        version: The published version that the pages come from; empty for what is not published.
    """
    return write_cursor(Position(kind, version, key(found[limit - 1]))) if len(found) > limit else None


def read_cursor(text: str | None, kind: Kind) -> Position | None:
    """The position of a cursor, or None for the first page.

    Raises:
        ApiError: 422 when the text is no cursor of this list.
    """
    if text is None:
        return None
    try:
        position = _DECODER.decode(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        )
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise invalid_parameter("cursor", "not a cursor that this API gave out") from error
    fits = tuple(type(part) for part in position.key) == _KEY_TYPES[position.kind]
    texts = [position.version, *(part for part in position.key if isinstance(part, str))]
    numbers = [part for part in position.key if isinstance(part, int)]
    if (
        position.kind != kind
        or not fits
        or any("\x00" in part for part in texts)
        or any(abs(part) >= 2**63 for part in numbers)
    ):
        raise invalid_parameter("cursor", "a cursor of another list")
    return position


def expired(version: str) -> ApiError:
    """410 when the version of a cursor is not kept any more."""
    return ApiError(
        410,
        "cursor-expired",
        "The cursor is too old",
        f"The pages come from version {version!r}, which is not kept any more.",
        remedy="Begin again without a cursor.",
    )
