"""What consumers write about, counted: topics of a period beside the one before, with examples."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg

from models.feedback.masking import masked

Connection = psycopg.Connection[Any]

SHOWN = 3
"""Examples of a topic."""
_EXAMPLE_LENGTH = 120


@dataclass(frozen=True)
class TopicCount:
    """A topic in a period.

    Attributes:
        topic: What about.
        texts: Texts of the period.
        negative: Of them meant badly.
        before: Texts of the period before, of the same length.
        negative_before: Of them meant badly.
        unanswered: Negative ones of the period without an answer.
        examples: The newest negative ones, else the newest; without what names a person.
    """

    topic: str
    texts: int
    negative: int
    before: int
    negative_before: int
    unanswered: int
    examples: tuple[str, ...]


def topics_of(
    conn: Connection, tenant_id: str, merchant_id: str | None, now: datetime, days: int
) -> list[TopicCount]:
    """Topics by how many texts blame something, the most first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: Of this shop; None: of all.
        now: End of the period.
        days: Its length.
    """
    since = now - timedelta(days=days)
    values = {
        "tenant": tenant_id,
        "merchant": merchant_id,
        "now": now,
        "since": since,
        "before": since - timedelta(days=days),
        "shown": SHOWN,
    }
    return [
        TopicCount(
            topic,
            texts,
            negative,
            before,
            negative_before,
            unanswered,
            tuple(masked(text)[:_EXAMPLE_LENGTH] for text in shown or ()),
        )
        for topic, texts, negative, before, negative_before, unanswered, shown in conn.execute(
            _TOPICS, values
        ).fetchall()
    ]


_TOPICS: LiteralString = """
with told as (
    select topic, sentiment = 'negative' as is_negative, occurred_at > %(since)s as is_now, answer, text,
        occurred_at, number
    from feedback.message
    where tenant_id = %(tenant)s and topic is not null and occurred_at > %(before)s and occurred_at <= %(now)s
        and (%(merchant)s::text is null or merchant_id = %(merchant)s)
), ranked as (
    select topic, text, row_number() over (
        partition by topic order by is_negative desc, occurred_at desc, number desc) as place
    from told where is_now
)
select topic, count(*) filter (where is_now), count(*) filter (where is_now and is_negative),
    count(*) filter (where not is_now), count(*) filter (where not is_now and is_negative),
    count(*) filter (where is_now and is_negative and answer is null),
    (select array_agg(r.text order by r.place) from ranked r
        where r.topic = told.topic and r.place <= %(shown)s)
from told group by topic order by 3 desc, 2 desc, 1
"""
