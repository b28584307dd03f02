"""The figures that a review shows, from the counts that are published."""

from __future__ import annotations

from collections.abc import Mapping

from serving.reviews.reading import Review


def rates(review: Review) -> Mapping[str, float | None]:
    """Rates of a month by name; None where nothing is below the line."""
    return {
        "margin_rate": _share(review.margin_cents, review.costed_cents),
        "repeat_rate": _share(review.repeat_buyer_count, review.buyer_count),
        "refund_rate": _share(review.refunded_cents, review.paid_cents),
        "orders_per_buyer": _share(review.known_order_count, review.buyer_count),
        "visit_rate": _share(review.visitor_count, review.customer_count),
    }


def _share(above: int | None, below: int) -> float | None:
    return None if above is None or below <= 0 else round(above / below, 4)
