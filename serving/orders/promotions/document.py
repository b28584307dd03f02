"""What a promotion is, what makes it impossible, and the coupon terms by which it is paid for. Pure.

What it takes off is a coupon programme of its own: funders agree to it, its budget and the books are those of
every coupon. Here is what a coupon does not know: units, buyers, groups.

Source: the six promotion methods of the papers on communities; P17 for who pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from serving.materials.advertising import forbidden
from serving.orders.coupons.programme import Beyond, Share, Terms
from serving.orders.errors import InvalidRequestError
from serving.settlement.sharing.rounding import FULL_BPS

PromotionKind = Literal["flash_sale", "group_buy", "threshold", "limited_discount", "gift", "live"]
PromotionStatus = Literal["proposed", "active", "closed"]

MOST_UNITS = 10_000
"""Most units of a promotion: each is a row. Source: assumed."""
_BY_UNIT = ("flash_sale", "group_buy", "gift", "live")


@dataclass(frozen=True)
class NewPromotion:
    """A promotion to be.

    Attributes:
        merchant_id: The shop.
        kind: Which of the six methods.
        title: For people.
        sku_ids: What it is about; of a method by unit exactly one, of a threshold none for the whole shop.
        starts_at: First moment.
        ends_at: First moment after it.
        price_cents: What a unit costs: of flash sales, group-buys and live slots; of a gift it is 0.
        off_cents: Of a threshold: fen off.
        off_bps: Of a limited discount: part off.
        min_goods_cents: Of a threshold: price of its goods from which it holds; of a gift: of the others.
        stock_qty: Units, of methods by unit; None for the others.
        per_consumer_qty: Most units of one consumer; of the other methods orders.
        group_size: Buyers of a group-buy.
        group_minutes: How long a group may take.
        scene_id: Scene in which it is sold; its orders carry the role. A live slot needs a live session.
        community_id: Community whose members alone may take of it; None: whoever buys.
        funders: Who bears what it takes off.
        budget_cents: Most fen that it takes off.
        budget_count: Most orders.
        stacks: Whether other coupons may stand beside it.
    """

    merchant_id: str
    kind: PromotionKind
    title: str
    sku_ids: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    funders: tuple[Share, ...]
    budget_cents: int
    budget_count: int
    price_cents: int | None = None
    off_cents: int | None = None
    off_bps: int | None = None
    min_goods_cents: int = 0
    stock_qty: int | None = None
    per_consumer_qty: int = 1
    group_size: int | None = None
    group_minutes: int | None = None
    scene_id: str | None = None
    community_id: str | None = None
    stacks: bool = False


@dataclass(frozen=True)
class Promotion:
    """A promotion as stored; what it takes off stands in its programme.

    Attributes:
        promotion_id: Its id.
        merchant_id: The shop.
        kind: Which method.
        title: For people.
        sku_ids: What it is about.
        starts_at: First moment.
        ends_at: First moment after it.
        price_cents: What a unit costs, fen.
        min_goods_cents: From which price of goods it holds.
        stock_qty: Units; None where only the budget limits it.
        per_consumer_qty: Most units of one consumer, or orders.
        group_size: Buyers of a group.
        group_minutes: How long a group may take.
        scene_id: Scene of its orders.
        community_id: Community whose members alone may take of it.
        programme_id: Its coupon programme.
        code: The coupon of its orders, once it was approved; it is taken from no other order.
        status: `proposed` until a second person agreed, `active`, `closed` for good.
        made_by: Who put it forward.
        approved_by: Who agreed.
    """

    promotion_id: str
    merchant_id: str
    kind: PromotionKind
    title: str
    sku_ids: Sequence[str]
    starts_at: datetime
    ends_at: datetime
    price_cents: int | None
    min_goods_cents: int
    stock_qty: int | None
    per_consumer_qty: int
    group_size: int | None
    group_minutes: int | None
    scene_id: str | None
    community_id: str | None
    programme_id: str
    code: str | None
    status: PromotionStatus
    made_by: str
    approved_by: str | None


def check(new: NewPromotion) -> None:
    """Refuse a promotion that lacks what its method needs, or says what it has no use for or must not say.

    Raises:
        InvalidRequestError: Naming the field.
    """
    if hits := forbidden(new.title):
        raise InvalidRequestError("title", "; ".join(map(str, hits)))
    by_unit = new.kind in _BY_UNIT
    _require("stock_qty", new.stock_qty, by_unit, f"a {new.kind} ")
    _require("price_cents", new.price_cents, by_unit and new.kind != "gift", f"a {new.kind} ")
    _require("off_cents", new.off_cents, new.kind == "threshold", f"a {new.kind} ")
    _require("off_bps", new.off_bps, new.kind == "limited_discount", f"a {new.kind} ")
    _require("group_size", new.group_size, new.kind == "group_buy", f"a {new.kind} ")
    _require("group_minutes", new.group_minutes, new.kind == "group_buy", f"a {new.kind} ")
    if by_unit and len(new.sku_ids) != 1:
        raise InvalidRequestError("sku_ids", f"a {new.kind} is about one sku")
    if new.kind == "limited_discount" and not new.sku_ids:
        raise InvalidRequestError("sku_ids", "name the skus that are cheaper")
    if len(set(new.sku_ids)) != len(new.sku_ids):
        raise InvalidRequestError("sku_ids", "a sku stands twice")
    if new.kind not in ("threshold", "gift") and new.min_goods_cents:
        raise InvalidRequestError("min_goods_cents", f"a {new.kind} has none")
    if new.kind == "live" and new.scene_id is None:
        raise InvalidRequestError("scene_id", "a live slot names its live session")
    if new.group_size is not None and new.stock_qty is not None and new.stock_qty < new.group_size:
        raise InvalidRequestError("stock_qty", "no group could be filled: it must be group_size at least")


def coupon_terms(new: NewPromotion) -> Terms:
    """The terms of the programme that pays for a promotion.

    A gift costs its funder more than its share of the sale of the gift carries, so the rest becomes what it
    owes; every other method is refused at placing where a share does not carry it.
    """
    beyond: Beyond = "receivable" if new.kind == "gift" else "refuse"
    kind, unit_price = new.kind, 0 if new.kind == "gift" else new.price_cents
    return Terms(
        kind="threshold" if kind == "threshold" else "unit_price" if kind in _BY_UNIT else "percentage",
        off_cents=new.off_cents,
        off_bps=new.off_bps,
        unit_price_cents=unit_price if kind in _BY_UNIT else None,
        min_goods_cents=0 if kind == "gift" else new.min_goods_cents,
        funders=new.funders,
        budget_cents=new.budget_cents,
        budget_count=new.budget_count,
        # Buyers are counted here, where an order that ends gives its units back.
        per_consumer_count=new.budget_count,
        valid_from=new.starts_at,
        valid_to=new.ends_at,
        stacks=new.stacks,
        beyond_share=beyond,
        gives_back=("cancel", "refund"),
        merchant_ids=(new.merchant_id,),
        sku_ids=new.sku_ids,
    )


def kept_cents(terms: Terms, list_price_cents: int) -> int:
    """The least that a unit brings its shop: its price less what the shop itself bears of the discount, fen.

    A threshold takes most off the smallest basket for which it holds.
    """
    if terms.kind == "unit_price":
        off = max(0, list_price_cents - (terms.unit_price_cents or 0))
    elif terms.kind == "threshold":
        most = terms.off_cents or 0
        off = min(most, -(-list_price_cents * most // max(1, terms.min_goods_cents)))
    else:
        off = list_price_cents * (terms.off_bps or 0) // FULL_BPS
    own = terms.share_of("merchant")
    return list_price_cents - -(-off * (own.share_bps if own else 0) // FULL_BPS)


def _require(field: str, value: int | None, is_needed: bool, whose: str) -> None:
    if (value is not None) != is_needed:
        raise InvalidRequestError(field, whose + ("needs it" if is_needed else "has none"))
