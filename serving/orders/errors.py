"""The typed errors of orders, each with its HTTP status and problem type. Nothing is raised here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from serving.errors import ServingError


class OrdersError(ServingError):
    """An order refuses what was asked; nothing was changed.

    Attributes:
        status: HTTP status of the answer.
        slug: Last part of the problem type.
        title: Short text, the same for every occurrence.
        remedy: What the caller can do, where there is something.
        parameter: The faulty parameter of a 422, where it is one.
    """

    status = 409
    slug = "order-refused"
    title = "The order refuses this"
    remedy: str | None = None
    parameter: str | None = None


class NotFoundError(OrdersError):
    """The thing does not exist for the one who asks; things of other parties are not told apart."""

    status = 404
    title = "Not found"

    def __init__(self, what: str, name: str) -> None:
        self.slug = f"{what}-not-found"
        self.title = f"{what.replace('-', ' ').capitalize()} not found"
        super().__init__(f"There is no {what.replace('-', ' ')} {name!r} within reach of this key.")


class InvalidRequestError(OrdersError):
    """A parameter cannot be what it is."""

    status = 422
    slug = "invalid-parameter"
    title = "Invalid parameter"

    def __init__(self, parameter: str, message: str) -> None:
        self.parameter = parameter
        self.message = message
        super().__init__(f"{parameter}: {message}")


class ImpossibleMoveError(OrdersError):
    """A state machine has no such move from where the thing is."""

    slug = "impossible-move"
    title = "Not possible in this state"

    def __init__(self, what: str, name: str, state: str, event: str, possible: Sequence[str]) -> None:
        self.what, self.state, self.event, self.possible = what, state, event, tuple(possible)
        super().__init__(f"The {what} {name!r} is {state}: {event!r} is not possible.")
        self.remedy = (
            f"Possible now: {', '.join(possible)}."
            if possible
            else f"Nothing more can happen to this {what}."
        )


class OutOfStockError(OrdersError):
    """No supplier has the units that are wanted; nothing was reserved."""

    slug = "out-of-stock"
    title = "Out of stock"

    def __init__(self, missing: Sequence[tuple[str, int, str]]) -> None:
        self.missing = tuple(missing)
        parts = "; ".join(f"{short} of sku {sku!r} ({reason})" for sku, short, reason in missing)
        super().__init__(f"No supplier has {parts}.")
        self.remedy = "Order fewer units, or ask again after the next stock report."


class NotListedError(OrdersError):
    """The merchant does not sell a sku."""

    status = 422
    slug = "not-listed"
    title = "Not listed"

    def __init__(self, merchant_id: str, sku_ids: Sequence[str]) -> None:
        named = ", ".join(repr(sku) for sku in sku_ids)
        super().__init__(f"Merchant {merchant_id!r} does not list sku {named}.")
        self.remedy = "Order skus that the merchant lists."


class SaleStoppedError(OrdersError):
    """The quality brake stopped a sku: it is neither sold nor listed anew."""

    slug = "sale-stopped"
    title = "Stopped by the quality brake"

    def __init__(self, stopped: Sequence[tuple[str, int, str]]) -> None:
        self.stopped = tuple(stopped)
        named = "; ".join(f"sku {sku!r} at level {level} ({reason})" for sku, level, reason in stopped)
        super().__init__(f"The quality brake holds {named}.")
        self.remedy = "Leave these skus out until their level is released; `GET /v1/quality/levels` shows it."


class ListingHeldError(OrdersError):
    """Supervision holds a listing of the merchant, or took it off."""

    slug = "listing-held"
    title = "Held by supervision"

    def __init__(self, merchant_id: str, sku_ids: Sequence[str]) -> None:
        self.sku_ids = tuple(sku_ids)
        named = ", ".join(repr(sku) for sku in sku_ids)
        super().__init__(f"Supervision holds sku {named} of merchant {merchant_id!r}.")
        self.remedy = (
            "Leave these skus out; `GET /v1/supervision/cases` shows why, and takes papers and appeals."
        )


class SuggestionDecidedError(OrdersError):
    """A suggested sku is on sale at the merchant already, or the suggestion was taken or refused."""

    slug = "suggestion-decided"
    title = "Decided already"

    def __init__(self, sku_id: str) -> None:
        super().__init__(f"Sku {sku_id!r} is on sale already, or this suggestion of it was decided.")
        self.remedy = "State the listing itself, or wait for the next publication."


class SuggestionMovedError(OrdersError):
    """No offer of a suggested sku can be ordered any more; nothing was listed."""

    slug = "suggestion-moved"
    title = "Nobody can supply it now"

    def __init__(self, sku_id: str) -> None:
        super().__init__(f"No offer of sku {sku_id!r} is in force with stock, of a supplier that may ship.")
        self.remedy = "Take another suggestion; the next publication tells who can supply."


class SkuNotApprovedError(OrdersError):
    """A supplier states terms of a sku that it may not offer; nothing of the batch was taken over."""

    status = 403
    slug = "sku-not-approved"
    title = "Not a sku of this supplier"

    def __init__(self, supplier_id: str, sku_ids: Sequence[str]) -> None:
        named = ", ".join(repr(sku) for sku in sku_ids)
        super().__init__(f"Supplier {supplier_id!r} may not offer sku {named}.")
        self.remedy = "Ask the operator to approve the supplier for the sku, then state the terms again."


class FreeOfferError(OrdersError):
    """A supply price of 0 that the operator did not allow; nothing of the batch was taken over."""

    status = 422
    slug = "free-offer-refused"
    title = "A price of 0 needs the operator"
    parameter = "supply_price_cents"

    def __init__(self, supplier_id: str, sku_ids: Sequence[str]) -> None:
        named = ", ".join(repr(sku) for sku in sku_ids)
        super().__init__(f"Supplier {supplier_id!r} may not give sku {named} away.")
        self.remedy = "State a price, or ask the operator to allow a price of 0 for the sku."


class LossRefusedError(OrdersError):
    """A line would cost more than it brings, beyond the loss budget of its merchant and day."""

    slug = "loss-refused"
    title = "The line costs more than it brings"

    def __init__(
        self, merchant_id: str, day: date, loss_cents: int, limit_cents: int, spent_cents: int
    ) -> None:
        self.loss_cents, self.left_cents = loss_cents, limit_cents - spent_cents
        super().__init__(
            f"Supply price and channel fee exceed what the lines bring by {loss_cents} fen; the loss budget"
            f" of merchant {merchant_id!r} on {day.isoformat()} is {limit_cents} fen, {self.left_cents} left."
        )
        self.remedy = (
            "Ask the operator for a loss budget, raise the listing's price, or find a cheaper offer."
        )


class DiscountRefusedError(OrdersError):
    """A discount is beyond what plan and order allow (P17)."""

    status = 422
    slug = "discount-refused"
    title = "Discount refused"
    parameter = "coupon_codes"


class PointsRefusedError(OrdersError):
    """Points cannot pay for a line as asked (P16)."""

    slug = "points-refused"
    title = "The points are refused"


class DuplicateKeyError(OrdersError):
    """An idempotency key, or an id that serves as one, was used before with another body."""

    slug = "idempotency-conflict"
    title = "The key was used with another body"

    def __init__(self, operation: str, key: str) -> None:
        super().__init__(f"The key {key!r} was used before for {operation} with another body.")
        self.remedy = "Send the first body again to get its answer, or take a new key."


class PushKeyTakenError(OrdersError):
    """Another system that pushes the supplier's stock has the key."""

    slug = "push-key-taken"
    title = "The key names another system"


class PaymentRefusedError(OrdersError):
    """A payment does not fit its order."""

    slug = "payment-refused"
    title = "The payment does not fit the order"


class RefundRefusedError(OrdersError):
    """A refund is larger than what is left to refund."""

    slug = "refund-refused"
    title = "The refund is too large"


class GiftKeptError(OrdersError):
    """A refund would leave the gift of a promotion to the buyer without the goods that earned or pay it."""

    slug = "gift-kept"
    title = "The gift would stay without the goods that earn it"

    def __init__(
        self, promotion_id: str, line_nos: Sequence[int], price_cents: int, most_cents: int | None
    ) -> None:
        named = ", ".join(map(str, line_nos))
        super().__init__(
            f"The buyer has the gift of promotion {promotion_id!r} (line {named}); what stays of the other"
            f" goods does not earn it, or less stays paid for them than its price of {price_cents} fen."
        )
        less = "" if most_cents is None or most_cents < 1 else f"Give back {most_cents} fen at most, or let"
        self.remedy = (
            f"{less or 'Let'} the gift come back first: a case of kind return on line {named} over 0 fen,"
            " refunded with 0 fen once its supplier has it."
        )


class CouponExhaustedError(DiscountRefusedError):
    """A coupon, its consumer's limit or the budget of its programme is used up."""

    status = 409
    slug = "coupon-exhausted"
    title = "The coupon is used up"


class ConsentRefusedError(OrdersError):
    """A consent does not fit the programme."""

    slug = "consent-refused"
    title = "The programme does not take this consent"


class ProgrammeStateError(OrdersError):
    """A programme is not in the state that this needs."""

    slug = "programme-state"
    title = "Not possible in this state of the programme"


class PromotionRefusedError(OrdersError):
    """A promotion does not hold for this order."""

    status = 422
    slug = "promotion-refused"
    title = "The promotion does not hold for this order"
    parameter = "promotion_id"


class PromotionSoldOutError(OrdersError):
    """Every unit of a promotion, or every seat of a group, is taken or being taken."""

    slug = "promotion-sold-out"
    title = "Sold out"

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"Nothing is left of {what} {name!r}.")
        self.remedy = "Units of orders that are not paid in time come back: ask again later."


class PromotionLimitError(OrdersError):
    """A buyer has what one buyer may have of a promotion."""

    slug = "promotion-limit"
    title = "The buyer has enough of it"

    def __init__(self, promotion_id: str, most: int, taken: int) -> None:
        super().__init__(
            f"A buyer may take {most} of promotion {promotion_id!r}; {taken} are taken by orders that"
            " are placed or were paid."
        )
        self.remedy = f"Order {most - taken} or fewer." if taken < most else "Order without the promotion."


class PromotionStateError(OrdersError):
    """A promotion is not in the state that this needs."""

    slug = "promotion-state"
    title = "Not possible in this state of the promotion"


class OwnPromotionError(OrdersError):
    """Whoever puts a promotion forward does not approve it."""

    status = 403
    slug = "own-request"
    title = "Whoever asks does not decide"


class PriceGuardError(OrdersError):
    """A promotion would sell below the published floor at the cost of the shop itself."""

    status = 422
    slug = "below-floor"
    title = "Below the floor of the published price"

    def __init__(self, found: Sequence[tuple[str, int, int]]) -> None:
        named = "; ".join(
            f"sku {sku!r} brings {kept} fen, the floor is {floor}" for sku, kept, floor in found
        )
        super().__init__(f"At the shop's own cost {named}.")
        self.remedy = (
            "Take less off, or let a supplier or the platform agree to bear what is below the floor."
        )
