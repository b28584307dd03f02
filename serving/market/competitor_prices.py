"""Observed prices of competitors: reading a batch row by row, and storing each observation once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import msgspec
import psycopg

from serving.batches import fault_of
from serving.errors import ServingError

MOST_OBSERVATIONS = 1_000
"""Observations in one batch."""
CLOCK_TOLERANCE = timedelta(hours=1)
"""How far an observer's clock may run ahead."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+(?!\n)$")]


class CompetitorPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A competitor's unit price, as somebody saw it.

    Attributes:
        sku_id: Our sku.
        competitor: Who asks that price.
        observed_at: When it was seen, with a time zone.
        price_cents: For one unit, in minor units.
        merchant_id: For whose prices it matters; a merchant's key may leave it out.
    """

    sku_id: _Id
    competitor: _Id
    observed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    price_cents: Annotated[int, msgspec.Meta(ge=1, le=10**12)]
    merchant_id: _Id | None = None


class PriceRefusal(StrEnum):
    """Why an observation was not stored."""

    MALFORMED = "malformed"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_FIELD = "invalid_field"
    OBSERVED_IN_FUTURE = "observed_in_future"
    OBSERVED_TOO_LONG_AGO = "observed_too_long_ago"
    MERCHANT_OUT_OF_SCOPE = "merchant_out_of_scope"
    PRICE_CONTRADICTS = "price_contradicts"


class RefusedPrice(msgspec.Struct, frozen=True):
    """One observation that was not stored.

    Attributes:
        index: Its place in the batch, from 0.
        reason: Why.
        message: What to change.
        field: The field at fault, when it is one.
    """

    index: int
    reason: PriceRefusal
    message: str
    field: str | None = None


class PriceReceipt(msgspec.Struct, frozen=True):
    """What became of a batch: `received` = `accepted` + `duplicates` + `refused`.

    Attributes:
        received: Observations in the batch.
        accepted: Stored now.
        duplicates: Known before, or earlier in the batch, with the same price.
        refused: Not stored; each stands in `refusals`.
        refusals: By index.
    """

    received: int
    accepted: int
    duplicates: int
    refused: int
    refusals: list[RefusedPrice]


class PriceBatchError(ServingError):
    """A body is no batch of observations; nothing of it was stored."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A good observation and its place in the batch."""

    index: int
    price: CompetitorPrice


class ReadPrices(NamedTuple):
    """A batch, read: `received` = good + refused."""

    received: int
    good: list[Indexed]
    refused: list[RefusedPrice]


class _Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prices: list[msgspec.Raw]


_BATCH = msgspec.json.Decoder(_Batch)
_ROW = msgspec.json.Decoder(CompetitorPrice)


def read_prices(body: bytes, *, received_at: datetime, only_merchant: str | None) -> ReadPrices:
    """Read a batch and sort its observations into good and refused.

    Args:
        body: JSON `{"prices": [...]}`.
        received_at: Now; an observation of the future is refused.
        only_merchant: The merchant of the key, filled in where a row names none; None for operators.

    Raises:
        PriceBatchError: The body is no such JSON, or holds more than `MOST_OBSERVATIONS`.
    """
    try:
        body.decode("utf-8")
        rows = _BATCH.decode(body).prices
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PriceBatchError(f'the body is not {{"prices": [...]}}: {error}') from error
    if len(rows) > MOST_OBSERVATIONS:
        raise PriceBatchError(
            f"the batch holds {len(rows)} prices; send at most {MOST_OBSERVATIONS} in one request"
        )
    good: list[Indexed] = []
    refused: list[RefusedPrice] = []
    for index, raw in enumerate(rows):
        try:
            price = _ROW.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            fault = fault_of(error)
            refused.append(RefusedPrice(index, PriceRefusal(fault.reason), fault.message, fault.field))
            continue
        refusal = _refusal(index, price, received_at + CLOCK_TOLERANCE, only_merchant)
        if refusal is not None:
            refused.append(refusal)
        else:
            owned = msgspec.structs.replace(price, merchant_id=price.merchant_id or only_merchant)
            good.append(Indexed(index, owned))
    return ReadPrices(len(rows), good, refused)


def store_prices(
    conn: psycopg.Connection[Any], tenant_id: str, batch: ReadPrices, received_at: datetime
) -> PriceReceipt:
    """Store the good observations of a batch, each once, and account for every one of it.

    The first price of a sku, competitor and moment stands; another one for the same is refused.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        batch: As `read_prices` made it.
        received_at: Business time of the receipt.
    """
    first: dict[tuple[str, str, datetime], CompetitorPrice] = {}
    for item in batch.good:
        first.setdefault(_key(item.price), item.price)
    # In the order of their keys: two batches with the same rows then wait for each other, never in a circle.
    rows = [first[key] for key in sorted(first)]
    accepted = _insert(conn, tenant_id, rows, received_at)
    standing = _standing(conn, tenant_id, rows)
    contradicting = [
        RefusedPrice(
            item.index,
            PriceRefusal.PRICE_CONTRADICTS,
            "another price is known for this sku, competitor and moment; send the moment of the new one",
            "price_cents",
        )
        for item in batch.good
        if standing[_key(item.price)] != item.price.price_cents
    ]
    refusals = sorted([*batch.refused, *contradicting], key=lambda refusal: refusal.index)
    return PriceReceipt(
        received=batch.received,
        accepted=accepted,
        duplicates=batch.received - accepted - len(refusals),
        refused=len(refusals),
        refusals=refusals,
    )


def _key(price: CompetitorPrice) -> tuple[str, str, datetime]:
    return price.sku_id, price.competitor, price.observed_at.astimezone(UTC)


def _refusal(
    index: int, price: CompetitorPrice, latest: datetime, only_merchant: str | None
) -> RefusedPrice | None:
    if price.observed_at > latest:
        reason, message, field = (
            PriceRefusal.OBSERVED_IN_FUTURE,
            "it lies in the future; correct the observer's clock",
            "observed_at",
        )
    elif price.observed_at < EARLIEST:
        reason, message, field = (
            PriceRefusal.OBSERVED_TOO_LONG_AGO,
            f"it lies before {EARLIEST.date()}; correct the time",
            "observed_at",
        )
    elif only_merchant is not None and price.merchant_id not in (None, only_merchant):
        reason, message, field = (
            PriceRefusal.MERCHANT_OUT_OF_SCOPE,
            "this key belongs to another merchant",
            "merchant_id",
        )
    else:
        return None
    return RefusedPrice(index, reason, message, field)


def _insert(
    conn: psycopg.Connection[Any], tenant_id: str, rows: Sequence[CompetitorPrice], received_at: datetime
) -> int:
    return conn.execute(
        "insert into market.competitor_price"
        " (tenant_id, sku_id, competitor, observed_at, price_cents, merchant_id, received_at)"
        " select %(tenant)s, s.*, %(received_at)s from unnest(%(skus)s::text[], %(competitors)s::text[],"
        " %(moments)s::timestamptz[], %(prices)s::bigint[], %(merchants)s::text[]) s"
        " on conflict do nothing",
        {
            "tenant": tenant_id,
            "received_at": received_at,
            **_columns(rows),
            "prices": [row.price_cents for row in rows],
            "merchants": [row.merchant_id for row in rows],
        },
    ).rowcount


def _standing(
    conn: psycopg.Connection[Any], tenant_id: str, rows: Sequence[CompetitorPrice]
) -> dict[tuple[str, str, datetime], int]:
    found = conn.execute(
        "select p.sku_id, p.competitor, p.observed_at, p.price_cents from market.competitor_price p"
        " join unnest(%(skus)s::text[], %(competitors)s::text[], %(moments)s::timestamptz[])"
        " s (sku_id, competitor, observed_at) using (sku_id, competitor, observed_at)"
        " where p.tenant_id = %(tenant)s",
        {"tenant": tenant_id, **_columns(rows)},
    )
    return {(row[0], row[1], row[2].astimezone(UTC)): row[3] for row in found}


def _columns(rows: Sequence[CompetitorPrice]) -> dict[str, list[Any]]:
    return {
        "skus": [row.sku_id for row in rows],
        "competitors": [row.competitor for row in rows],
        "moments": [row.observed_at for row in rows],
    }
