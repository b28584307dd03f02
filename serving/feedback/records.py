"""Texts of consumers: taken in once each, sorted later by the graph, corrected and answered by people.

A text is verified when an order of the consumer that is recorded here had what it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import class_row

from models.feedback.contracts import Topic
from serving.consumers.erased import erased_among, hold_erasures
from serving.db.urls import libpq_url
from serving.feedback.errors import FeedbackConflictError, FeedbackUnknownError

Connection = psycopg.Connection[Any]

BY_A_PERSON = "person"
"""`sorted_by` of a text whose topic somebody corrected."""


class Written(NamedTuple):
    """A text as it comes in.

    Attributes:
        feedback_id: The shop's name of it; the same one again is the same text.
        merchant_id: In whose shop it was written.
        consumer_id: Who wrote it.
        order_id: About which order; None: not said.
        sku_id: About which sku; None: about the shop.
        rating: One to five stars; None: none.
        text: At most 2,000 characters.
        occurred_at: When it was written, aware UTC.
    """

    feedback_id: str
    merchant_id: str
    consumer_id: str
    order_id: str | None
    sku_id: str | None
    rating: int | None
    text: str
    occurred_at: datetime


class TakenIn(NamedTuple):
    """What became of a batch: new texts, those that were known, those of erased consumers."""

    new: int
    known: int
    erased: int


@dataclass(frozen=True)
class Feedback:
    """A text that is kept.

    Attributes:
        number: Its number here.
        feedback_id: The shop's name of it.
        merchant_id: In whose shop.
        consumer_id: Who wrote it.
        order_id: About which order.
        sku_id: About which sku.
        rating: Stars.
        text: What was written.
        occurred_at: When.
        is_verified: Whether the consumer bought it.
        topic: What about; None: not sorted yet.
        topic_probability: How sure the model is.
        sentiment: How meant.
        sorted_by: Which model, or `person`.
        answer: The public answer.
        answered_at: When it was given.
    """

    number: int
    feedback_id: str
    merchant_id: str
    consumer_id: str
    order_id: str | None
    sku_id: str | None
    rating: int | None
    text: str
    occurred_at: datetime
    is_verified: bool
    topic: str | None
    topic_probability: float | None
    sentiment: str | None
    sorted_by: str | None
    answer: str | None
    answered_at: datetime | None


class Verdict(NamedTuple):
    """Topic and sentiment of a text, with how sure the model is of each."""

    number: int
    topic: str
    topic_probability: float
    sentiment: str
    sentiment_probability: float


def take_in(conn: Connection, tenant_id: str, texts: Sequence[Written], now: datetime) -> TakenIn:
    """Keep texts, each once; nothing is kept of a consumer who was erased.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        texts: Shop and id are unique within.
        now: Business time.

    Raises:
        FeedbackConflictError: An id was used for another text.
    """
    hold_erasures(conn)
    gone = erased_among(conn, tenant_id, {one.consumer_id for one in texts})
    kept = sorted(one for one in texts if one.consumer_id not in gone)
    columns = list(zip(*kept, strict=True)) or [()] * len(Written._fields)
    values = {
        "tenant": tenant_id,
        "now": now,
        **{name: list(column) for name, column in zip(Written._fields, columns, strict=True)},
    }
    new = conn.execute(_TAKE, values).rowcount
    # Only now: what somebody else sent under the same id at this moment is known here by now.
    other = conn.execute(_OTHER, values).fetchone()
    if other is not None:
        raise FeedbackConflictError(
            f"feedback {other[0]} was sent with another text; give this one its own id"
        )
    return TakenIn(new, len(kept) - new, len(texts) - len(kept))


def page(
    conn: Connection,
    tenant_id: str,
    *,
    merchant_id: str | None,
    topic: str | None,
    sentiment: str | None,
    after: int,
    limit: int,
) -> list[Feedback]:
    """Texts by number, after the given one.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: Of this shop; None: of all.
        topic: With this topic; None: any, also those that are not sorted.
        sentiment: Meant so; None: any.
        after: Number of the last one seen.
        limit: Most texts.
    """
    with conn.cursor(row_factory=class_row(Feedback)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from feedback.message where tenant_id = %(tenant)s and number > %(after)s"
            " and (%(merchant)s::text is null or merchant_id = %(merchant)s)"
            " and (%(topic)s::text is null or topic = %(topic)s)"
            " and (%(sentiment)s::text is null or sentiment = %(sentiment)s)"
            " order by number limit %(limit)s".encode(),
            {
                "tenant": tenant_id,
                "merchant": merchant_id,
                "topic": topic,
                "sentiment": sentiment,
                "after": after,
                "limit": limit,
            },
        ).fetchall()


def find(conn: Connection, tenant_id: str, number: int, merchant_id: str | None) -> Feedback:
    """A text.

    Raises:
        FeedbackUnknownError: There is none, or it is another merchant's.
    """
    with conn.cursor(row_factory=class_row(Feedback)) as cursor:
        found = cursor.execute(
            f"select {_COLUMNS} from feedback.message where tenant_id = %s and number = %s".encode(),
            (tenant_id, number),
        ).fetchone()
    if found is None or merchant_id not in (None, found.merchant_id):
        raise FeedbackUnknownError(f"there is no feedback {number}")
    return found


def correct(conn: Connection, tenant_id: str, number: int, topic: str, sentiment: str, now: datetime) -> None:
    """A person says what a text is about; the model learns it, and never sorts this one again."""
    conn.execute(
        "update feedback.message set topic = %s, topic_probability = 1, sentiment = %s,"
        " sentiment_probability = 1, sorted_by = %s, sorted_at = %s, xact_id = pg_current_xact_id()"
        " where tenant_id = %s and number = %s",
        (topic, sentiment, BY_A_PERSON, now, tenant_id, number),
    )


def answer(conn: Connection, tenant_id: str, number: int, text: str, by: str, now: datetime) -> None:
    """Answer a text in public; a later answer takes the place of an earlier one."""
    conn.execute(
        "update feedback.message set answer = %s, answered_by = %s, answered_at = %s,"
        " xact_id = pg_current_xact_id()"
        " where tenant_id = %s and number = %s",
        (text, by, now, tenant_id, number),
    )


def unsorted(conn: Connection, tenant_id: str, sorter: str, limit: int) -> list[tuple[int, str]]:
    """Number and text of those that nobody sorted, and of those that another model did not dare to sort.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        sorter: Name of the model that sorts now.
        limit: Most texts, the oldest first.
    """
    return conn.execute(
        "select number, text from feedback.message where tenant_id = %s"
        " and (topic is null or topic = %s and sorted_by <> %s) order by number limit %s",
        (tenant_id, Topic.UNSURE, sorter, limit),
    ).fetchall()


def corrected(conn: Connection, tenant_id: str, most: int) -> list[tuple[str, str, str]]:
    """Text, topic and sentiment as people corrected them lately, the newest first."""
    return conn.execute(
        "select text, topic, sentiment from feedback.message where tenant_id = %s and sorted_by = %s"
        " order by sorted_at desc, number desc limit %s",
        (tenant_id, BY_A_PERSON, most),
    ).fetchall()


def put_verdicts(
    conn: Connection, tenant_id: str, verdicts: Sequence[Verdict], sorter: str, now: datetime
) -> int:
    """Write what a model made of texts; what a person corrected meanwhile stays."""
    columns = list(zip(*verdicts, strict=True)) or [()] * len(Verdict._fields)
    values = {name: list(column) for name, column in zip(Verdict._fields, columns, strict=True)}
    return conn.execute(
        _PUT, {"tenant": tenant_id, "sorter": sorter, "person": BY_A_PERSON, "now": now, **values}
    ).rowcount


def blamed(
    conn: Connection, tenant_id: str, topics: Sequence[str], since: datetime, until: datetime
) -> list[tuple[str, str, str, datetime]]:
    """Order, sku, consumer and first moment of what texts blame; whether they bought it, the caller knows.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        topics: What has to be blamed.
        since: Written after it.
        until: Written, and received, by then.
    """
    return conn.execute(
        "select order_id, sku_id, consumer_id, min(occurred_at) from feedback.message"
        " where tenant_id = %s and sentiment = 'negative' and topic = any(%s)"
        " and order_id is not null and sku_id is not null"
        " and occurred_at > %s and occurred_at <= %s and received_at <= %s group by 1, 2, 3 order by 1, 2, 3",
        (tenant_id, list(topics), since, until, until),
    ).fetchall()


def state_of(url: str) -> str:
    """How many texts of all tenants there are, how many wait for a topic, and when one was sorted last.

    Args:
        url: Address of the migrated database, as the owner of its tables.
    """
    with psycopg.connect(libpq_url(url)) as conn:
        row = conn.execute(
            "select concat_ws(' ', count(*), count(*) filter (where topic is null), max(sorted_at))"
            " from feedback.message"
        ).fetchone()
    assert row is not None
    return str(row[0])


def any_waits(url: str) -> bool:
    """Whether a text of any tenant waits for its topic; as the owner of the tables."""
    with psycopg.connect(libpq_url(url)) as conn:
        row = conn.execute("select exists (select from feedback.message where topic is null)").fetchone()
    return bool(row and row[0])


_COLUMNS = ", ".join(Feedback.__dataclass_fields__)
_ROWS: LiteralString = """unnest(%(feedback_id)s::text[], %(merchant_id)s::text[], %(consumer_id)s::text[],
    %(order_id)s::text[], %(sku_id)s::text[], %(rating)s::smallint[], %(text)s::text[],
    %(occurred_at)s::timestamptz[])
    as t (feedback_id, merchant_id, consumer_id, order_id, sku_id, rating, text, occurred_at)"""
_OTHER: LiteralString = f"""
select t.feedback_id from {_ROWS} join feedback.message m using (merchant_id, feedback_id)
where m.tenant_id = %(tenant)s and (m.consumer_id, m.text, m.order_id, m.sku_id, m.rating)
    is distinct from (t.consumer_id, t.text, t.order_id, t.sku_id, t.rating)
order by 1 limit 1
"""
# Bought is what reached an order of the consumer in this shop: the sku if one is named, else anything.
_TAKE: LiteralString = f"""
insert into feedback.message (tenant_id, feedback_id, merchant_id, consumer_id, order_id, sku_id, rating,
    text, occurred_at, received_at, is_verified)
select %(tenant)s, t.feedback_id, t.merchant_id, t.consumer_id, t.order_id, t.sku_id, t.rating, t.text,
    t.occurred_at, %(now)s, exists (
        select from orders.customer_order o join orders.order_line n using (tenant_id, order_id)
        where o.tenant_id = %(tenant)s and o.order_id = t.order_id and o.consumer_id = t.consumer_id
            and o.merchant_id = t.merchant_id and o.paid_at <= t.occurred_at
            and (t.sku_id is null or n.sku_id = t.sku_id))
from {_ROWS} order by t.merchant_id, t.feedback_id
on conflict (tenant_id, merchant_id, feedback_id) do nothing
"""
_PUT: LiteralString = """
update feedback.message m set topic = v.topic, topic_probability = v.topic_probability,
    sentiment = v.sentiment, sentiment_probability = v.sentiment_probability, sorted_by = %(sorter)s,
    sorted_at = %(now)s, xact_id = pg_current_xact_id()
from unnest(%(number)s::bigint[], %(topic)s::text[], %(topic_probability)s::real[], %(sentiment)s::text[],
    %(sentiment_probability)s::real[])
    as v (number, topic, topic_probability, sentiment, sentiment_probability)
where m.tenant_id = %(tenant)s and m.number = v.number and m.sorted_by is distinct from %(person)s
"""
