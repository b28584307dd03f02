"""Redeeming coupons at placing, and giving them back when the order ends.

Whoever redeems or gives back holds the rows of the coupons by code, then those of the programmes by id, and
takes them after order, sub-orders, stock and balances: two such transactions never wait for each other in a
circle, and a budget has one writer at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.orders.coupons.issuing import Coupon, locked
from serving.orders.coupons.programme import Event, Programme
from serving.orders.coupons.spreading import CouponLimits, Cut, Goods, Used, spread
from serving.orders.coupons.store import of_promotions, programmes
from serving.orders.errors import CouponExhaustedError, DiscountRefusedError
from serving.settlement.sharing.snapshot import Discount

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Redemption:
    """Coupons that an order takes, locked and checked but not written.

    Attributes:
        cuts: What they take off the lines, and at whose cost.
        programmes: Code to its programme.
    """

    cuts: tuple[Cut, ...] = ()
    programmes: dict[str, Programme] | None = None

    def off_line(self, line_no: int) -> int:
        """What all coupons take off a line, fen."""
        return sum(cut.cents for cut in self.cuts if cut.line_no == line_no)

    def discounts(self, line_no: int) -> tuple[Discount, ...]:
        """The cuts of a line as its settlement reads them."""
        return tuple(
            Discount(cut.funder, cut.cents, cut.party_id or None)
            for cut in self.cuts
            if cut.line_no == line_no
        )


def take(
    conn: Connection,
    tenant_id: str,
    codes: Sequence[str],
    consumer_id: str,
    merchant_id: str,
    goods: Sequence[Goods],
    limits: CouponLimits,
    now: datetime,
    promotion_code: str | None = None,
) -> Redemption:
    """Lock the coupons of an order and see what they take off.

    Args:
        conn: Inside a transaction of the tenant that holds the stock of the order.
        tenant_id: The tenant.
        codes: What the consumer brings.
        consumer_id: The buyer.
        merchant_id: The shop.
        goods: The lines of the order.
        limits: What the shop's plan lets coupons be.
        now: Business time.
        promotion_code: The coupon of the promotion that the order took of; those of others are not taken.

    Raises:
        DiscountRefusedError: A code is unknown or not this consumer's, does not hold here and now, or does
            not go with the others.
        CouponExhaustedError: A coupon, its consumer's limit or a budget is used up.
    """
    if not codes:
        return Redemption()
    if len(set(codes)) != len(codes):
        raise DiscountRefusedError("A code stands twice; each counts once.")
    coupons = {coupon.code: coupon for coupon in locked(conn, tenant_id, sorted(set(codes)))}
    for code in codes:
        # One answer for a code that is not there and one that is somebody else's: codes cannot be probed.
        if code not in coupons or coupons[code].consumer_id not in (None, consumer_id):
            raise DiscountRefusedError(f"There is no coupon {code!r} for this consumer.")
    found = {
        programme.programme_id: programme
        for programme in programmes(
            conn, tenant_id, sorted({coupon.programme_id for coupon in coupons.values()}), lock=True
        )
    }
    by_code = {code: found[coupon.programme_id] for code, coupon in coupons.items()}
    promoted = of_promotions(conn, tenant_id, sorted(found))
    for code in codes:
        if code != promotion_code and by_code[code].programme_id in promoted:
            raise DiscountRefusedError(f"Coupon {code} is of a promotion: the order names the promotion.")
    for code in codes:
        _check_holds(coupons[code], by_code[code], merchant_id, now)
    cuts = spread([Used(code, by_code[code].terms) for code in codes], goods, limits)
    _check_left(conn, tenant_id, consumer_id, coupons, by_code, cuts)
    return Redemption(tuple(cuts), by_code)


def write(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    consumer_id: str,
    redemption: Redemption,
    now: datetime,
) -> None:
    """Write down what an order took, in the transaction of `take`; its row is there."""
    for code, programme in sorted((redemption.programmes or {}).items()):
        cents = sum(cut.cents for cut in redemption.cuts if cut.code == code)
        values = {
            "tenant": tenant_id,
            "order": order_id,
            "code": code,
            "programme": programme.programme_id,
            "consumer": consumer_id,
            "cents": cents,
            "now": now,
        }
        conn.execute(
            "insert into coupons.redemption (tenant_id, order_id, code, programme_id, consumer_id,"
            " discount_cents, redeemed_at) values (%(tenant)s, %(order)s, %(code)s, %(programme)s,"
            " %(consumer)s, %(cents)s, %(now)s)",
            values,
        )
        conn.execute(
            "update coupons.coupon set used_count = used_count + 1"
            " where tenant_id = %(tenant)s and code = %(code)s",
            values,
        )
        conn.execute(
            "update coupons.programme set spent_cents = spent_cents + %(cents)s,"
            " spent_count = spent_count + 1 where tenant_id = %(tenant)s and programme_id = %(programme)s",
            values,
        )
    conn.execute(
        "insert into coupons.line_discount (tenant_id, order_id, line_no, code, party_type, party_id,"
        " discount_cents) select %(tenant)s, %(order)s, * from unnest(%(lines)s::integer[],"
        " %(codes)s::text[], %(types)s::text[], %(parties)s::text[], %(cents)s::bigint[])",
        {
            "tenant": tenant_id,
            "order": order_id,
            "lines": [cut.line_no for cut in redemption.cuts],
            "codes": [cut.code for cut in redemption.cuts],
            "types": [cut.funder for cut in redemption.cuts],
            "parties": [cut.party_id for cut in redemption.cuts],
            "cents": [cut.cents for cut in redemption.cuts],
        },
    )


def discounts_of(conn: Connection, tenant_id: str, order_id: str) -> dict[int, tuple[Discount, ...]]:
    """Line number to what coupons take off it, by code and funder; lines without are left out."""
    found: dict[int, list[Discount]] = {}
    for line_no, funder, party_id, cents in conn.execute(
        "select line_no, party_type, party_id, discount_cents from coupons.line_discount"
        " where tenant_id = %s and order_id = %s order by line_no, code, party_type",
        (tenant_id, order_id),
    ):
        found.setdefault(line_no, []).append(Discount(funder, cents, party_id or None))
    return {line_no: tuple(discounts) for line_no, discounts in found.items()}


def give_back(conn: Connection, tenant_id: str, order_id: str, event: Event) -> int:
    """An order was cancelled or refunded in full: its coupons end, and go back where their rule says so.

    The budget is free again in either case, since no funder bears anything; whether the consumer may use the
    coupon again, and has it counted against the own limit, is the programme's rule. A coupon that expired in
    the meantime stays expired.

    Args:
        conn: Inside a transaction of the tenant that holds the order.
        tenant_id: The tenant.
        order_id: The order.
        event: What ended it.

    Returns:
        Coupons that may be used again.
    """
    rows = conn.execute(
        "select code, programme_id, discount_cents from coupons.redemption"
        " where tenant_id = %s and order_id = %s and state = 'redeemed' order by code",
        (tenant_id, order_id),
    ).fetchall()
    if not rows:
        return 0
    locked(conn, tenant_id, [code for code, _, _ in rows])
    ids = sorted({programme_id for _, programme_id, _ in rows})
    found = {programme.programme_id: programme for programme in programmes(conn, tenant_id, ids, lock=True)}
    returned = 0
    for code, programme_id, cents in rows:
        is_back = event in found[programme_id].terms.gives_back
        returned += is_back
        values = {
            "tenant": tenant_id,
            "order": order_id,
            "code": code,
            "programme": programme_id,
            "cents": cents,
            "uses": int(is_back),
            "state": "given_back" if is_back else "forfeited",
        }
        conn.execute(
            "update coupons.redemption set state = %(state)s"
            " where tenant_id = %(tenant)s and order_id = %(order)s and code = %(code)s",
            values,
        )
        conn.execute(
            "update coupons.coupon set used_count = used_count - %(uses)s"
            " where tenant_id = %(tenant)s and code = %(code)s",
            values,
        )
        conn.execute(
            "update coupons.programme set spent_cents = spent_cents - %(cents)s,"
            " spent_count = spent_count - 1 where tenant_id = %(tenant)s and programme_id = %(programme)s",
            values,
        )
    return returned


def _check_holds(coupon: Coupon, programme: Programme, merchant_id: str, now: datetime) -> None:
    terms = programme.terms
    if programme.status != "active":
        raise DiscountRefusedError(f"The programme of coupon {coupon.code} is {programme.status}.")
    if not terms.valid_from <= now < min(terms.valid_to, coupon.expires_at):
        ends = min(terms.valid_to, coupon.expires_at)
        raise DiscountRefusedError(
            f"Coupon {coupon.code} is taken from {terms.valid_from.isoformat()} until {ends.isoformat()}."
        )
    if terms.merchant_ids and merchant_id not in terms.merchant_ids:
        raise DiscountRefusedError(f"Coupon {coupon.code} does not hold in the shop {merchant_id!r}.")


def _check_left(
    conn: Connection,
    tenant_id: str,
    consumer_id: str,
    coupons: dict[str, Coupon],
    by_code: dict[str, Programme],
    cuts: Sequence[Cut],
) -> None:
    for code, coupon in sorted(coupons.items()):
        if coupon.used_count >= coupon.max_uses:
            raise CouponExhaustedError(f"Coupon {code} was used before.")
    counts = Counter(programme.programme_id for programme in by_code.values())
    cents: Counter[str] = Counter()
    for cut in cuts:
        cents[by_code[cut.code].programme_id] += cut.cents
    for programme in {p.programme_id: p for p in by_code.values()}.values():
        name, terms = programme.programme_id, programme.terms
        over_count = programme.spent_count + counts[name] > terms.budget_count
        if over_count or programme.spent_cents + cents[name] > terms.budget_cents:
            raise CouponExhaustedError("The budget of this coupon's programme is used up.")
        row = conn.execute(
            "select count(*) from coupons.redemption where tenant_id = %s and programme_id = %s"
            " and consumer_id = %s and state <> 'given_back'",
            (tenant_id, name, consumer_id),
        ).fetchone()
        if (row[0] if row else 0) + counts[name] > terms.per_consumer_count:
            raise CouponExhaustedError(
                f"A consumer may use {terms.per_consumer_count} coupons of this programme, no more."
            )
