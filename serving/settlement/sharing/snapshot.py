"""The frozen picture of an order at payment: what the waterfall reads, and all it reads.

It is stored as JSONB and never resolved again: a refund a year later sees the same prices, rates and parties.
Building it from a cart lives in `snapshot_freeze`; sharing it out lives in `waterfall`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from serving.settlement.errors import SnapshotError

Funder = Literal["platform", "merchant", "supplier"]
PartyType = Literal["merchant", "agent", "supplier", "platform"]
SellerScheme = Literal["direct", "agent_store"]
FUNDERS: tuple[Funder, ...] = ("platform", "merchant", "supplier")
SCENE_ROLES = ("distributor", "group_leader", "live_anchor", "store_guide")


@dataclass(frozen=True, slots=True)
class Discount:
    """A price cut on one line, in fen of the whole line, and who pays for it.

    Attributes:
        funder: Kind of the funder.
        cents: Fen of the whole line.
        party_id: The merchant or supplier that agreed to pay exactly this: what its share of the line does
            not carry it owes. None for the platform, and for price cuts of the past of which nothing is
            agreed: those come off the share that is there, and no further.
        is_points: The buyer paid it with points. They are a means of payment: every share of the line is
            reckoned as if money had come, and the funder owes all of it, which their issuers give it back.
    """

    funder: Funder
    cents: int
    party_id: str | None = None
    is_points: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object; without `party_id` and `is_points` where they say nothing."""
        document: dict[str, Any] = {"funder": self.funder, "cents": self.cents}
        if self.party_id is not None:
            document["party_id"] = self.party_id
        return {**document, "is_points": True} if self.is_points else document


@dataclass(frozen=True, slots=True)
class Party:
    """One party of an order as it stood at payment.

    Attributes:
        party_type: Whose accounts are credited.
        party_id: Id inside its type.
        tier: `none`, `bronze`, `silver`, `gold` or `diamond`.
        is_natural_person: True for a person, False for a company.
        has_contract: A signed contract is on file.
        is_verified: Identity is verified.
        has_service_evidence: Proof of service for this period is on file (team award).
        own_consumer_id: The consumer account of the same person: purchases by it earn nothing.
    """

    party_type: PartyType
    party_id: str
    tier: str = "none"
    is_natural_person: bool = False
    has_contract: bool = False
    is_verified: bool = True
    has_service_evidence: bool = False
    own_consumer_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object with one key per attribute."""
        return {name: getattr(self, name) for name in Party.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Parties:
    """Everybody who may be paid from an order.

    Attributes:
        seller: The order's agent, or else the merchant.
        upline: The referral chain counted from the buyer, nearest first: `upline[0]` referred the buyer,
            `upline[1]` referred `upline[0]`. When the seller himself referred the buyer he stands in
            `upline[0]` and is paid as seller only.
        manager: The one manager of record, for the team award.
        roles: Scene role (`SCENE_ROLES`) to its holder.
        region_protected: The agent whose protected region the sale was diverted from, when it was.
        seller_scheme: `agent_store` when the seller runs an agent store (share of the pool), else `direct`.
        is_first_purchase: The buyer's first order: level 1 legs take part in three-for-one.
    """

    seller: Party
    upline: tuple[Party, ...] = ()
    manager: Party | None = None
    roles: Mapping[str, Party] = field(default_factory=dict)
    region_protected: Party | None = None
    seller_scheme: SellerScheme = "direct"
    is_first_purchase: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object; absent parties are null."""
        return {
            "seller": self.seller.to_json(),
            "upline": [party.to_json() for party in self.upline],
            "manager": self.manager.to_json() if self.manager else None,
            "roles": {role: self.roles[role].to_json() for role in sorted(self.roles)},
            "region_protected": self.region_protected.to_json() if self.region_protected else None,
            "seller_scheme": self.seller_scheme,
            "is_first_purchase": self.is_first_purchase,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Parties:
        """The parties that `to_json` wrote."""

        def one(found: Mapping[str, Any] | None) -> Party | None:
            return Party(**found) if found else None

        return cls(
            seller=Party(**document["seller"]),
            upline=tuple(Party(**party) for party in document["upline"]),
            manager=one(document["manager"]),
            roles={role: Party(**party) for role, party in document["roles"].items()},
            region_protected=one(document["region_protected"]),
            seller_scheme=document["seller_scheme"],
            is_first_purchase=document["is_first_purchase"],
        )


@dataclass(frozen=True, slots=True)
class LineSnapshot:
    """One order line; every `_cents` is the total of the line, in fen.

    Attributes:
        line_no: 1 and up, unique in the order.
        sku_id: What was sold.
        category_ids: Categories the sku belongs to, leaf first.
        supplier_id: Who ships it; the key of the sub-order.
        qty: Pieces.
        list_price_cents: Before any discount.
        discounts: Price cuts by funder.
        net_paid_cents: `list_price_cents` less all discounts, without freight.
        supply_price_cents: Owed to the supplier.
        channel_fee_cents: The line's share of the payment channel's fee.
        tax_cents: Tax borne by the platform for the line.
    """

    line_no: int
    sku_id: str
    category_ids: tuple[str, ...]
    supplier_id: str
    qty: int
    list_price_cents: int
    discounts: tuple[Discount, ...]
    net_paid_cents: int
    supply_price_cents: int
    channel_fee_cents: int
    tax_cents: int

    def to_json(self) -> dict[str, Any]:
        """A JSON object with one key per attribute."""
        document = {name: getattr(self, name) for name in LineSnapshot.__dataclass_fields__}
        document["category_ids"] = list(self.category_ids)
        document["discounts"] = [discount.to_json() for discount in self.discounts]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LineSnapshot:
        """The line that `to_json` wrote."""
        values = dict(document)
        values["category_ids"] = tuple(document["category_ids"])
        values["discounts"] = tuple(Discount(**discount) for discount in document["discounts"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class FreightSnapshot:
    """Freight the buyer paid for one supplier's parcels, in fen; it passes to that supplier."""

    supplier_id: str
    cents: int


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """An order as it was paid.

    Attributes:
        order_id: The order.
        merchant_id: The shop it was placed in.
        consumer_id: The buyer.
        paid_at: Moment of payment, UTC: selects the plan version.
        captured_cents: What the channel captured: all `net_paid_cents` plus all freight.
        lines: The lines, by `line_no`.
        freights: At most one per supplier.
        parties: Who may be paid.
        plan_id: The plan that settles it, once chosen.
        plan_version: The version of that plan in force at `paid_at`, once chosen.
    """

    order_id: str
    merchant_id: str
    consumer_id: str
    paid_at: datetime
    captured_cents: int
    lines: tuple[LineSnapshot, ...]
    freights: tuple[FreightSnapshot, ...]
    parties: Parties
    plan_id: str | None = None
    plan_version: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `paid_at` in ISO 8601."""
        return {
            "order_id": self.order_id,
            "merchant_id": self.merchant_id,
            "consumer_id": self.consumer_id,
            "paid_at": self.paid_at.isoformat(),
            "captured_cents": self.captured_cents,
            "lines": [line.to_json() for line in self.lines],
            "freights": [{"supplier_id": f.supplier_id, "cents": f.cents} for f in self.freights],
            "parties": self.parties.to_json(),
            "plan_id": self.plan_id,
            "plan_version": self.plan_version,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> OrderSnapshot:
        """The order that `to_json` wrote, checked again.

        Raises:
            SnapshotError: when keys are missing or unknown, or the amounts contradict each other.
        """
        try:
            order = cls(
                order_id=document["order_id"],
                merchant_id=document["merchant_id"],
                consumer_id=document["consumer_id"],
                paid_at=datetime.fromisoformat(cast(str, document["paid_at"])),
                captured_cents=document["captured_cents"],
                lines=tuple(LineSnapshot.from_json(line) for line in document["lines"]),
                freights=tuple(FreightSnapshot(**freight) for freight in document["freights"]),
                parties=Parties.from_json(document["parties"]),
                plan_id=document["plan_id"],
                plan_version=document["plan_version"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"a stored order snapshot cannot be read: {error!r}") from error
        check_order(order)
        return order


def check_order(order: OrderSnapshot) -> None:
    """Refuse a snapshot whose amounts contradict each other.

    Raises:
        SnapshotError: naming the order, the line and the amounts.
    """

    def refuse(what: str) -> None:
        raise SnapshotError(f"order {order.order_id}: {what}")

    if order.paid_at.tzinfo is None:
        refuse("paid_at has no time zone; give it in UTC")
    if not order.lines:
        refuse("it has no lines")
    if len({line.line_no for line in order.lines}) != len(order.lines):
        refuse("two lines carry the same line_no")
    if len({freight.supplier_id for freight in order.freights}) != len(order.freights):
        refuse("two freights name the same supplier; add them up")
    for line in order.lines:
        amounts = (
            line.list_price_cents,
            line.net_paid_cents,
            line.supply_price_cents,
            line.channel_fee_cents,
            line.tax_cents,
            *(discount.cents for discount in line.discounts),
        )
        if line.line_no < 1 or line.qty < 1:
            refuse(f"line {line.line_no} has quantity {line.qty}; line_no and qty start at 1")
        if min(amounts) < 0:
            refuse(f"line {line.line_no} has a negative amount in {amounts}")
        cut = sum(discount.cents for discount in line.discounts)
        if line.list_price_cents - cut != line.net_paid_cents:
            refuse(
                f"line {line.line_no}: list price {line.list_price_cents} less discounts {cut} "
                f"is not net_paid {line.net_paid_cents}"
            )
    if any(freight.cents < 0 for freight in order.freights):
        refuse("a freight is negative")
    paid = sum(line.net_paid_cents for line in order.lines) + sum(f.cents for f in order.freights)
    if paid != order.captured_cents:
        refuse(f"captured {order.captured_cents} is not lines plus freight {paid}")
