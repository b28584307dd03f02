"""Settlement of the tiny lake's orders: legs and the ledger entries behind them, booked by a plain loop.

Every third order is settled: each line pays its supplier, the agent a-1 and the platform; some lines are
refunded in part or in full, before or after the release; some of what the agent got is paid out. Nothing here
calls the settlement code.
"""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

Row = dict[str, Any]
Move = tuple[str, str, str, int]


class Books:
    """Collects entries; each transaction must sum to zero, which the tests of the marts rely on."""

    def __init__(self) -> None:
        self.entries: list[Row] = []
        self._transactions = 0

    def book(
        self, kind: str, at: dt.datetime, order: str | None, moves: list[tuple[str, str, str, int]]
    ) -> None:
        """A transaction of (account kind, party type, party, fen); zeros are left out."""
        moves = [move for move in moves if move[3]]
        if not moves:
            return
        self._transactions += 1
        self.entries += [
            {
                "entry_id": f"{self._transactions}-{number}",
                "transaction_id": str(self._transactions),
                "entry_no": number,
                "transaction_kind": kind,
                "order_id": order,
                "account_kind": account,
                "party_type": party_type,
                "party_id": party,
                "unit": "CNY",
                "amount": amount,
                "booked_at": at,
            }
            for number, (account, party_type, party, amount) in enumerate(moves, start=1)
        ]


def legs_and_entries(
    orders: list[Row], lines: list[Row], suppliers: dict[str, str]
) -> tuple[list[Row], list[Row]]:
    """The rows of `settlement_legs` and `ledger_entries`.

    Args:
        orders: Orders of the lake.
        lines: Their lines.
        suppliers: Supplier of each sku.
    """
    draw, books, legs = random.Random(7), Books(), []
    for order in orders[::3]:
        own = [line for line in lines if line["order_id"] == order["order_id"]]
        settled = [_settle(order, line, suppliers[line["sku_id"]], len(legs), legs) for line in own]
        captured = sum(line["net_paid_cents"] for line in own)
        moves = [("channel_frozen", "platform", "platform", -captured)]
        moves += [(_pending(leg), *_payee(leg), leg["amount_cents"]) for shares in settled for leg in shares]
        books.book("accrual", order["placed_at"], order["order_id"], moves)
        for shares in settled:
            after = draw.choice((None, "before", "after", "after"))
            if after == "before":
                _refund(books, order, shares, draw, order["placed_at"] + dt.timedelta(days=2))
            if draw.random() < 0.7:
                _release(books, order, shares, order["placed_at"] + dt.timedelta(days=9))
            if after == "after":
                _refund(books, order, shares, draw, order["placed_at"] + dt.timedelta(days=12))
    books.book(
        "payout",
        dt.datetime(2017, 3, 1, 4, 59, tzinfo=dt.UTC),
        None,
        [("agent_available", "agent", "a-1", -50), ("payout_in_transit", "platform", "platform", 50)],
    )
    return legs, books.entries


def _settle(order: Row, line: Row, supplier: str, number: int, legs: list[Row]) -> list[Row]:
    net = line["net_paid_cents"]
    shares = [("supplier", "supplier", supplier, net // 2), ("direct", "agent", "a-1", net // 5)]
    shares.append(("platform", "platform", "platform", net - net // 2 - net // 5))
    made = [
        {
            "leg_id": str(number + position),
            "order_id": order["order_id"],
            "line_no": line["line_no"],
            "supplier_id": supplier,
            "leg_kind": kind,
            "scenario": 3,
            "plan_id": "cn_strict",
            "plan_version": 1,
            "payee_type": payee_type,
            "payee_id": payee,
            "level": 0,
            "wanted_cents": cents,
            "amount_cents": cents,
            "reversed_cents": 0,
            "rounding_cents": 0,
            "forfeited_cents": 0,
            "explanation": "by hand",
            "leg_state": "pending",
            "is_unfrozen": False,
            "is_replaced": False,
            "accrued_at": order["placed_at"],
        }
        for position, (kind, payee_type, payee, cents) in enumerate(shares)
    ]
    legs += made
    return made


def _pending(leg: Row) -> str:
    return "platform_fee" if leg["payee_type"] == "platform" else f"{leg['payee_type']}_pending"


def _payee(leg: Row) -> tuple[str, str]:
    return leg["payee_type"], leg["payee_id"]


def _release(books: Books, order: Row, shares: list[Row], at: dt.datetime) -> None:
    moves, channel = [], 0
    for leg in shares:
        left = leg["amount_cents"] - leg["reversed_cents"]
        channel += left - leg["rounding_cents"]
        leg |= {"leg_state": "released", "released_at": at, "is_unfrozen": True}
        if leg["payee_type"] != "platform":
            moves.append((_pending(leg), *_payee(leg), -left))
            moves.append((f"{leg['payee_type']}_available", *_payee(leg), left))
    moves.append(("channel_frozen", "platform", "platform", channel))
    moves.append(("channel_available", "platform", "platform", -channel))
    books.book("release", at, order["order_id"], moves)


def _refund(books: Books, order: Row, shares: list[Row], draw: random.Random, at: dt.datetime) -> None:
    """Each leg gives back its floored part; the platform's leg carries what no leg gives back."""
    net = sum(leg["amount_cents"] for leg in shares)
    refund = net if draw.random() < 0.3 else draw.randint(1, max(1, net))
    if not net:
        return
    moves, given = [], 0
    for leg in shares:
        part = leg["amount_cents"] * refund // net
        leg["reversed_cents"], given = part, given + part
        account = _pending(leg)
        if leg["leg_state"] == "released" and leg["payee_type"] != "platform":
            account = f"{leg['payee_type']}_available"
        moves.append((account, *_payee(leg), -part))
    shares[-1]["rounding_cents"] = refund - given
    moves.append(("platform_rounding", "platform", "platform", given - refund))
    frozen = "channel_available" if shares[0]["is_unfrozen"] else "channel_frozen"
    moves.append((frozen, "platform", "platform", refund))
    books.book("refund", at, order["order_id"], moves)
