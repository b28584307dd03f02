"""Reviews of the current publication: a party's month, and the months of many by their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import class_row

from models.contracts import PUBLISHED_TABLES
from serving.reviews.errors import ReviewUnknownError
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]

_SNAPSHOT: Final[LiteralString] = current_snapshot("party_reviews")


@dataclass(frozen=True)
class Review:
    """A row of the published table `party_reviews`, with the version that it comes from.

    Attributes are the columns of the table; `peers_do`, `best_skus` and `worst_skus` are parsed.
    """

    version: str
    as_of: datetime
    party_type: str
    party_id: str
    month_start_on: date
    merchant_id: str | None
    level: str
    region_code: str
    tenure: str
    is_active: bool
    is_whole: bool
    order_count: int
    known_order_count: int
    net_sales_cents: int
    settled_cents: int
    paid_cents: int
    refunded_cents: int
    margin_cents: int | None
    costed_cents: int
    buyer_count: int
    new_buyer_count: int
    repeat_buyer_count: int
    customer_count: int
    visitor_count: int
    cart_count: int
    basis: str
    ranked_cents: int
    error_cents: float
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    peers: int
    peers_share: list[str]
    peers_do: dict[str, dict[str, float | None]]
    best_skus: list[dict[str, Any]]
    worst_skus: list[dict[str, Any]]
    state: str
    quiet_months: int | None
    churn_risk: float | None


_COLUMNS = "v.version, v.as_of, " + ", ".join(
    f"r.{column.name}" for column in PUBLISHED_TABLES["party_reviews"].columns
)
_FROM = (
    f"select {_COLUMNS} from scores.party_reviews r cross join"
    " (select p.version, p.as_of from scores.publication p join scores.current_publication c"
    " using (tenant_id, version) where p.tenant_id = %(tenant)s) v"
    f" where r.snapshot_id = {_SNAPSHOT}"
)


def newest_whole_month(conn: Connection, tenant_id: str) -> date:
    """The newest month that is over in the current publication.

    Raises:
        ReviewUnknownError: Nothing with a whole month is published.
    """
    row = conn.execute(
        f"select max(month_start_on) from scores.party_reviews where snapshot_id = {_SNAPSHOT}"
        " and is_whole".encode(),
        {"tenant": tenant_id},
    ).fetchone()
    if row is None or row[0] is None:
        raise ReviewUnknownError("no month that is over is published; run `muyun run` after its last day")
    found: date = row[0]
    return found


def review_of(conn: Connection, tenant_id: str, party_type: str, party_id: str, month: date | None) -> Review:
    """The month of a party.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        party_type: `agent` or `merchant`.
        party_id: The party.
        month: First day of the month; None for the newest one that is over.

    Raises:
        ReviewUnknownError: The publication has none.
    """
    of = month or newest_whole_month(conn, tenant_id)
    with conn.cursor(row_factory=class_row(Review)) as cursor:
        found = cursor.execute(
            f"{_FROM} and r.party_type = %(type)s and r.party_id = %(id)s"
            " and r.month_start_on = %(month)s".encode(),
            {"tenant": tenant_id, "type": party_type, "id": party_id, "month": of},
        ).fetchone()
    if found is None:
        raise ReviewUnknownError(f"nothing of {party_type} {party_id} in {of:%Y-%m} is published")
    return found


def ranking(
    conn: Connection,
    tenant_id: str,
    party_type: str,
    month: date,
    *,
    merchant_id: str | None,
    after: tuple[int, str],
    limit: int,
) -> Sequence[Review]:
    """The ranked of a month, those with the most sales first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        party_type: `agent` or `merchant`.
        month: First day.
        merchant_id: Agents of this merchant only; None for all.
        after: Negative sales and id of the last one shown.
        limit: Rows at most.
    """
    with conn.cursor(row_factory=class_row(Review)) as cursor:
        return cursor.execute(
            f"{_FROM} and r.party_type = %(type)s and r.month_start_on = %(month)s and r.rank is not null"
            " and (%(merchant)s::text is null or r.merchant_id = %(merchant)s)"
            " and (-r.ranked_cents, r.party_id) > (%(after)s, %(after_id)s)"
            " order by r.ranked_cents desc, r.party_id limit %(limit)s".encode(),
            {
                "tenant": tenant_id,
                "type": party_type,
                "month": month,
                "merchant": merchant_id,
                "after": after[0],
                "after_id": after[1],
                "limit": limit,
            },
        ).fetchall()


def unranked(conn: Connection, tenant_id: str, party_type: str, month: date, merchant_id: str | None) -> int:
    """How many parties of a month have too few peers to be ranked."""
    row = conn.execute(
        "select count(*) from scores.party_reviews r"
        f" where r.snapshot_id = {_SNAPSHOT} and r.party_type = %(type)s and r.month_start_on = %(month)s"
        " and r.rank is null and (%(merchant)s::text is null or r.merchant_id = %(merchant)s)".encode(),
        {"tenant": tenant_id, "type": party_type, "month": month, "merchant": merchant_id},
    ).fetchone()
    return int(row[0]) if row else 0
