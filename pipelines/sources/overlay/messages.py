"""Overlay table `messages`: wake-up messages hung on observed gaps, and monthly marketing messages."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import (
    DAY,
    HOUR,
    MINUTE,
    arrivals,
    finish,
    local_day_start,
    moments,
    picks,
)

_DORMANT_DAYS = 30
_SECOND_AFTER_DAYS = 15
_CAMPAIGN_EVERY_DAYS = 28
_CAMPAIGN_SHARE = 0.5
_MAX_WINBACK, _MAX_CAMPAIGN = 15_000, 44_000
_CHANNELS = {"sms": 0.35, "wecom": 0.45, "push": 0.20}
_KNOWN_AFTER = 48 * HOUR
"""What follows a click is settled after this time; the row arrives then and tells of no later order."""


def messages(context: Context) -> pl.DataFrame:
    """One row per message to a consumer who consents to marketing.

    A wake-up goes out 30 days after an order that no other order has followed, and again 15 days later;
    whether an order comes afterwards plays no part in sending or clicking. outcome: delivered, opened,
    clicked, converted (clicked, and an observed order within 48 hours), opted_out (nothing is sent
    afterwards).
    """
    truths = context.truths
    rng = context.rng("messages")
    consented = context.observed.consumers.filter("consent_marketing").select("consumer_id").unique()
    orders = (
        context.observed.sorted_orders.join(consented, on="consumer_id", how="semi")
        .sort("consumer_id", "placed_at", "order_id")
        .with_columns(
            at=pl.col("placed_at").to_physical(),
            following=pl.col("placed_at").to_physical().shift(-1).over("consumer_id"),
        )
    )
    sent = pl.concat([_winback(context, orders, rng), _campaign(context, orders, rng)])
    sent = sent.filter(pl.col("at") <= context.end).sort("at", "consumer_id", "journey")
    n = sent.height
    click_rate = np.where(
        (sent["journey"] == "wake_up").to_numpy(),
        truths.winback_response_share,
        truths.campaign_response_share,
    )
    draw = rng.random(n)
    outcome = np.select(
        [draw < truths.opt_out_share, draw < truths.opt_out_share + click_rate, rng.random(n) < 0.30],
        ["opted_out", "clicked", "opened"],
        "delivered",
    )
    delay = rng.uniform(MINUTE, 24 * HOUR, n).astype(np.int64)
    sent = sent.with_columns(
        outcome=pl.Series(outcome.tolist(), dtype=pl.String),
        channel=picks(rng, _CHANNELS, n),
        settled=pl.Series(np.where(outcome == "clicked", _KNOWN_AFTER, delay) + sent["at"].to_numpy()),
    )
    sent = _until_opt_out(sent)
    later = orders.select("consumer_id", order_at="at").sort("order_at")
    sent = sent.sort("at").join_asof(
        later, left_on="at", right_on="order_at", by="consumer_id", strategy="forward", check_sortedness=False
    )
    bought = (pl.col("outcome") == "clicked") & (pl.col("order_at") - pl.col("at") <= _KNOWN_AFTER)
    rows = sent.sort("at", "consumer_id", "journey").with_columns(
        outcome=pl.when(bought).then(pl.lit("converted")).otherwise("outcome")
    )
    rows = rows.with_columns(
        sent_at=moments(rows["at"].to_numpy()),
        received_at=moments(arrivals(rng, rows["settled"].to_numpy(), 5 * MINUTE)),
    )
    return finish(
        "messages",
        rows,
        as_of=context.as_of,
        order_by=["sent_at", "consumer_id", "journey"],
        key="message_id",
        key_prefix="msg",
    )


def _winback(context: Context, orders: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return consumer_id, journey, at: first and second wake-ups, the latest ones when there are too many."""
    parts = []
    for days in (_DORMANT_DAYS, _DORMANT_DAYS + _SECOND_AFTER_DAYS):
        day = local_day_start(orders["at"].to_numpy() + (days + 1) * DAY, context.utc_offset_hours)
        at = day + 9 * HOUR + rng.integers(0, 11 * HOUR, orders.height)
        silent = (orders["following"].is_null() | (orders["following"] > pl.Series(at))).to_numpy()
        keep = np.nonzero(silent & (at <= context.end))[0]
        parts.append(
            pl.DataFrame(
                {"consumer_id": orders["consumer_id"].gather(keep), "at": at[keep]},
                schema={"consumer_id": pl.String, "at": pl.Int64},
            )
        )
    found = pl.concat(parts).sort("at", "consumer_id").tail(_MAX_WINBACK)
    return found.select("consumer_id", "at", journey=pl.lit("wake_up"))


def _campaign(context: Context, orders: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return consumer_id, journey, at: every four weeks, about half of those who have ordered before."""
    known = orders.group_by("consumer_id").agg(since=pl.col("at").min()).sort("consumer_id")
    if known.height == 0:
        return pl.DataFrame(schema={"consumer_id": pl.String, "at": pl.Int64, "journey": pl.String})
    start = int(local_day_start(orders["at"].sort().head(1).to_numpy(), context.utc_offset_hours)[0])
    rounds = max(0, (context.end - start) // (_CAMPAIGN_EVERY_DAYS * DAY))
    share = min(_CAMPAIGN_SHARE, _MAX_CAMPAIGN / max(rounds * known.height * 1.05, 1.0))
    number, consumer = np.nonzero(rng.random((rounds, known.height)) < share)
    at = (
        start + (number + 1) * _CAMPAIGN_EVERY_DAYS * DAY + 10 * HOUR + rng.integers(0, 8 * HOUR, len(number))
    )
    keep = at > known["since"].to_numpy()[consumer]
    return pl.DataFrame(
        {"consumer_id": known["consumer_id"].gather(consumer[keep]), "at": at[keep]}
    ).with_columns(journey=pl.lit("campaign"))


def _until_opt_out(sent: pl.DataFrame) -> pl.DataFrame:
    """Drop what would have been sent to a consumer after an opt-out."""
    out = (pl.col("outcome") == "opted_out").cast(pl.Int64)
    earlier = (out.cum_sum() - out).over("consumer_id")
    return sent.filter(earlier == 0)
