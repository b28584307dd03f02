"""The last weeks of journeys on the embedded panel: shipped journeys, real guards, made-up reactions.

The panel has no journeys, so their lives are simulated: who enters on which day, what channels tell and who
comes back are drawn by a hash, never by chance. Three effects are planted, of which the verdicts must find
the winner and the loser. Every run of it is marked as simulated. All else is the product: assignment, guards,
outbox, receipts, the ticks and the stop of a journey that loses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, LiteralString

import psycopg

from models.experiments.assignment import draw
from serving.consumers.erased import hold_erasures
from serving.db import locks
from serving.db.calendar import zone_of
from serving.db.operations import Operations
from serving.db.retries import ConnectionFactory, in_transaction
from serving.journeys import outbox, reactions, receipts, results, versions
from serving.journeys.channels.protocol import Answer, Outgoing
from serving.journeys.definition.loading import load, shipped
from serving.journeys.definition.steps import Channel, Journey
from serving.journeys.engine.entering import Candidate, enter
from serving.journeys.engine.ticking import tick
from serving.journeys.errors import JourneyRefusedError
from serving.journeys.reactions import Reaction
from serving.journeys.receipts import Receipt
from serving.orders.coupons import store
from serving.orders.coupons.programme import Share, Terms
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]

SEED = "replay-1"
DAYS = 28
"""Length of the weeks that journeys live through."""
ENTRY_DAYS = 12
"""People enter within the first days, so that every goal has had its time."""
_HOURS = (10, 15, 20)
"""Local hours at which a round is made."""
_CHANNELS: tuple[Channel, ...] = ("sms", "wecom", "mini_program", "email")
_FAILED_SHARE, _CLICKED_SHARE, _OPTED_OUT_SHARE = 0.03, 0.15, 0.005
_BY = "replay"


@dataclass(frozen=True)
class Planted:
    """An effect that the simulation has.

    Attributes:
        share: Of those who got nothing, how many reach the goal.
        told_share: Of those to whom something was sent.
        verdict: What the page must say.
    """

    share: float
    told_share: float
    verdict: Literal["gain", "loss"] | None


PLANTED: Mapping[str, Planted] = {
    "dormant_wakeup": Planted(0.06, 0.36, "gain"),
    "coupon_ending": Planted(0.32, 0.10, "loss"),
    "points_expiring": Planted(0.20, 0.20, None),
}
"""A winner, a loser, and one that does nothing; by journey that ships. Ours, not measured anywhere."""

_PROGRAMMES: Mapping[str, dict[str, Any]] = {
    "wakeup_199_50": {"kind": "threshold", "off_cents": 5_000, "min_goods_cents": 19_900},
    "newcomer_99_30": {"kind": "threshold", "off_cents": 3_000, "min_goods_cents": 9_900},
    "birthday": {"kind": "threshold", "off_cents": 2_000, "min_goods_cents": 6_000},
    "second_order_20": {"kind": "percentage", "off_bps": 2_000, "cap_cents": 5_000},
}
_BUDGET_CENTS, _BUDGET_COUNT = 5_000_000, 1_000


@dataclass(frozen=True)
class JourneysReplayed:
    """What a replay of journeys did.

    Attributes:
        journeys: Journeys that were put into force.
        refused: Those that could not be, and why.
        runs: Runs that were simulated.
        messages: Messages that went out.
        verdicts: What the verdict page says of the planted ones.
        missed: Planted effects that it does not find.
    """

    journeys: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    runs: int = 0
    messages: int = 0
    verdicts: Mapping[str, str] | None = None
    missed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The figures, with lists instead of tuples."""
        told = asdict(self)
        return {**told, **{name: list(told[name]) for name in ("journeys", "refused", "missed")}}


_CONSUMERS: LiteralString = f"""
select p.consumer_id, exists (
    select from scores.segment_members m where m.snapshot_id = {current_snapshot("segment_members")}
        and m.segment = 'dormant' and m.left_on is null and m.consumer_id = p.consumer_id)
from scores.profiles p where p.snapshot_id = {current_snapshot("profiles")}
"""


class Simulated:
    """A provider that takes messages and fails a few, always the same ones."""

    def send(self, message: Outgoing) -> Answer:
        """See `Gateway`."""
        if draw(SEED, "failed", message.consumer_id, message.channel) < _FAILED_SHARE:
            return Answer("refused", "simulated")
        return Answer("sent" if message.channel == "sms" else "delivered")


def replay_journeys(url: str, *, tenant_id: str, as_of: datetime) -> JourneysReplayed:
    """Let the shipped journeys live through the last weeks; a tenant whose journeys have lived is left alone.

    Args:
        url: Address of the migrated operational database, with published segments.
        tenant_id: Whose consumers.
        as_of: Business time (UTC).
    """
    since = as_of - timedelta(days=DAYS)
    with Operations(url, size=2) as operations:
        transactions = partial(operations.transaction, tenant_id)
        in_force: list[str] = []
        refused: list[str] = []
        with transactions() as conn:
            is_new = not versions.page(conn, tenant_id, after="", limit=1)
            moments = _rounds(conn, tenant_id, since, as_of)
            entries = _entries(conn, tenant_id)
        if is_new:
            in_force, refused = _put_into_force(transactions, tenant_id, since, as_of)
            told = {journey_id: load(text) for journey_id, text in shipped().items() if journey_id in PLANTED}
            for now in moments:
                _round(transactions, tenant_id, now, since, entries, told)
        with transactions() as conn:
            return _report(conn, tenant_id, as_of, in_force, refused)


def _put_into_force(
    transactions: ConnectionFactory, tenant_id: str, since: datetime, as_of: datetime
) -> tuple[list[str], list[str]]:
    """Open the programmes that shipped journeys name, and put each journey into force that may run."""
    done, refused = [], []
    with transactions() as conn:
        for name, kind in _PROGRAMMES.items():
            terms = Terms(
                **kind,
                funders=(Share(party_type="platform", party_id="", share_bps=10_000),),
                budget_cents=_BUDGET_CENTS,
                budget_count=_BUDGET_COUNT,
                valid_from=since,
                valid_to=as_of + timedelta(days=90),
            )
            store.open_programme(conn, tenant_id, "platform", "", name, terms, _BY, since)
    for journey_id, text in shipped().items():
        try:
            with transactions() as conn:
                made_version = versions.put_forward(conn, tenant_id, text, _BY, since)
                versions.put_into_force(conn, tenant_id, journey_id, made_version.version, since)
        except JourneyRefusedError as error:
            refused.append(f"{journey_id}: {'; '.join(map(str, error.refusals))}")
        else:
            done.append(journey_id)
    return done, refused


def _entries(conn: Connection, tenant_id: str) -> dict[str, list[tuple[str, int]]]:
    """Who enters which planted journey on which day of the window.

    The dormant are those of the last publication; for the two notices every consumer stands in for one whose
    coupon or points end, half of them each: the panel has too few.
    """
    rows = conn.execute(_CONSUMERS, {"tenant": tenant_id})
    found: dict[str, list[tuple[str, int]]] = {journey_id: [] for journey_id in PLANTED}
    for consumer_id, is_dormant in sorted(rows.fetchall()):
        day = int(draw(SEED, "day", consumer_id) * ENTRY_DAYS)
        if is_dormant:
            found["dormant_wakeup"].append((consumer_id, day))
        notice = "coupon_ending" if draw(SEED, "notice", consumer_id) < 0.5 else "points_expiring"
        found[notice].append((consumer_id, day))
    return found


def _rounds(conn: Connection, tenant_id: str, since: datetime, as_of: datetime) -> list[datetime]:
    zone = zone_of(conn, tenant_id)
    days = [(since + timedelta(days=day)).astimezone(zone) for day in range(DAYS + 1)]
    moments = [day.replace(hour=hour, minute=0, second=0, microsecond=0) for day in days for hour in _HOURS]
    return [moment for moment in moments if since < moment <= as_of]


def _round(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    since: datetime,
    entries: Mapping[str, Sequence[tuple[str, int]]],
    told: Mapping[str, Journey],
) -> None:
    """People enter, runs move, messages go out; channels tell of them; who lost is stopped."""
    day = (now - since).days
    wanted = {
        journey_id: [Candidate(who, f"replay:{on}") for who, on in found if on == day]
        for journey_id, found in entries.items()
    }
    entered = any(wanted.values()) and in_transaction(
        transactions, lambda conn: _enter(conn, tenant_id, now, wanted)
    )
    tick(transactions, tenant_id, now)
    sent = outbox.hand_over_due(transactions, tenant_id, dict.fromkeys(_CHANNELS, Simulated()), now)
    if entered:
        in_transaction(transactions, lambda conn: _react(conn, tenant_id, now, told))
    if sent.states:
        in_transaction(transactions, lambda conn: _tell(conn, tenant_id, now))
        tick(transactions, tenant_id, now)
    in_transaction(transactions, lambda conn: results.stop_losing(conn, tenant_id, now))


def _enter(conn: Connection, tenant_id: str, now: datetime, wanted: Mapping[str, Sequence[Candidate]]) -> int:
    hold_erasures(conn)
    locks.journeys(conn, tenant_id)
    live = {version.journey.journey_id: version for version in versions.live(conn, tenant_id)}
    return sum(
        enter(conn, tenant_id, live[journey_id], found, now, source="simulated")
        for journey_id, found in wanted.items()
        if journey_id in live and found
    )


def _react(conn: Connection, tenant_id: str, now: datetime, told: Mapping[str, Journey]) -> None:
    """Draw who of those who just entered comes back, and when: the planted effects."""
    rows = conn.execute(
        "select r.journey_id, r.consumer_id, exists (select from journeys.message m where m.tenant_id ="
        " r.tenant_id and m.run_id = r.run_id and m.sent_at is not null) from journeys.run r"
        " where r.tenant_id = %s and r.source = 'simulated' and r.entered_at = %s order by r.run_id",
        (tenant_id, now),
    ).fetchall()
    drawn = []
    for journey_id, consumer_id, was_sent in rows:
        planted, journey = PLANTED[journey_id], told[journey_id]
        share = planted.told_share if was_sent else planted.share
        if draw(SEED, "comes", journey_id, consumer_id) < share:
            after = draw(SEED, "when", journey_id, consumer_id) * (journey.goal_days - 1)
            at = now + timedelta(hours=1) + timedelta(days=after)
            drawn.append(Reaction(f"{journey_id}:{consumer_id}", consumer_id, journey.goal, at))
    reactions.take_in(conn, tenant_id, "simulated", drawn)


def _tell(conn: Connection, tenant_id: str, now: datetime) -> None:
    """What channels tell of the messages of this round: text messages come, some links are opened."""
    rows = conn.execute(
        "select message_id, consumer_id, channel, state from journeys.message where tenant_id = %s"
        " and sent_at = %s order by message_id",
        (tenant_id, now),
    ).fetchall()
    receipts.take(conn, tenant_id, list(_notices(rows, now)), now)


def _notices(rows: Iterable[tuple[int, str, Channel, str]], now: datetime) -> Iterator[Receipt]:
    for message_id, consumer_id, channel, state in rows:
        if state == "sent":
            yield Receipt(f"{SEED}-d{message_id}", channel, message_id, "delivered", now)
        fate = draw(SEED, "fate", consumer_id, channel)
        if state != "failed" and fate < _CLICKED_SHARE:
            yield Receipt(f"{SEED}-c{message_id}", channel, message_id, "clicked", now)
        elif state != "failed" and fate > 1 - _OPTED_OUT_SHARE:
            yield Receipt(f"{SEED}-o{message_id}", channel, message_id, "opted_out", now)


def _report(
    conn: Connection, tenant_id: str, as_of: datetime, in_force: list[str], refused: list[str]
) -> JourneysReplayed:
    row = conn.execute(
        "select count(distinct r.run_id), count(m.message_id) from journeys.run r"
        " left join journeys.message m on m.tenant_id = r.tenant_id and m.run_id = r.run_id"
        " and m.sent_at is not null where r.tenant_id = %s and r.source = 'simulated'",
        (tenant_id,),
    ).fetchone()
    runs, messages = (int(row[0]), int(row[1])) if row else (0, 0)
    verdicts = {}
    if runs:
        for journey_id in PLANTED:
            journey = versions.newest(conn, tenant_id, journey_id).journey
            verdicts[journey_id] = results.verdict_of(conn, tenant_id, journey, as_of).word
    missed = [name for name, word in verdicts.items() if PLANTED[name].verdict not in (None, word)]
    return JourneysReplayed(tuple(in_force), tuple(refused), runs, messages, verdicts, tuple(missed))
