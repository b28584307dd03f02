"""The jobs of `python -m serving.jobs`: each calls one function of the core and says what it did.

When they run and with which arguments is the scheduler's affair; see `__main__` for the command line.
"""

from __future__ import annotations

import argparse
import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psycopg

from serving.agents.composition_review import review_month
from serving.agents.deposit_postings import top_up_due
from serving.agents.region_records import review_diversions
from serving.approvals.asking import ask_or_act
from serving.approvals.expiry import run_clock
from serving.approvals.records import Approval
from serving.channels.accounts import NewAccount, add_account, change_account
from serving.channels.simulated.adapter import ADAPTER as SIMULATED
from serving.channels.simulated.bank import Bank
from serving.channels.simulated.messages import SERIAL, new_keys
from serving.channels.simulated.server import SimulatedChannel
from serving.db import calendar, idempotency
from serving.db.operations import Operations
from serving.db.urls import first_line, libpq_url
from serving.errors import DatabaseUnavailableError
from serving.experiments.results import end_due
from serving.jobs.day import Alarms, close_tiers, last_month, work_day
from serving.jobs.effects import EFFECTS, alone_cents
from serving.jobs.pay_outs import Transfers
from serving.journeys.channels.installed import gateways_of
from serving.journeys.rounds import make_round
from serving.ledger import chain, invariants, roller
from serving.orders import settling
from serving.orders.clock import BusinessClock
from serving.orders.fulfilment.receipts import confirm_receipts_due
from serving.orders.fulfilment.routing_review import review_routing
from serving.orders.paying.misfits import sort_misfits
from serving.orders.paying.payments import pay_free_orders
from serving.orders.placing.cancelling import expire_unpaid
from serving.orders.placing.points_payment import give_back_due
from serving.orders.promotions.ending import end_groups_due
from serving.orders.webhooks.delivery import HttpSender, deliver_due
from serving.orders.webhooks.webhook_addresses import address_rules
from serving.privacy.data_keys import Vault
from serving.purchasing.placing import order_suggested
from serving.settings import Settings
from serving.settlement import payouts
from serving.settlement.beside.fees import release_fees_due
from serving.settlement.books import referral_unlock
from serving.settlement.channel import bill as channel_bill
from serving.settlement.channel import simulator as channel_simulator
from serving.settlement.channel.bill_breaks import hold_breaks
from serving.settlement.channel.daily_bills import take_bills
from serving.settlement.channel.reconciliation import BreakType, Reconciliation, reconcile
from serving.settlement.channel.requests import send_due
from serving.settlement.control.holds import expire_holds
from serving.settlement.plans.assignments import LegalReview, put_into_force
from serving.settlement.plans.store import ALL_OTHERS
from serving.settlement.reports.statements import Period, close_period
from serving.transfers.suggesting import ask_suggested


class JobFailedError(Exception):
    """The job ran and found something wrong; what it found was printed."""


@dataclass(frozen=True)
class Job:
    """What a job runs with: the tenant whose turn it is, all that are walked, and the job's own arguments."""

    settings: Settings
    url: str
    operations: Operations
    tenant_id: str
    tenants: tuple[str, ...]
    now: datetime
    options: argparse.Namespace

    def transactions(self) -> Any:
        """A transaction of the tenant."""
        return self.operations.transaction(self.tenant_id)


@dataclass(frozen=True)
class Command:
    """A job: what it does in a line, its function, its own arguments (as `add_argument` takes them).

    `turns`: `every` tenant has a turn unless one is named; a job with ids runs for `one`, that of
    `MUYUN_TENANT` unless another is named; what belongs to the whole server runs `once`.
    """

    help: str
    run: Callable[[Job], Iterator[str]]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    turns: Literal["every", "one", "once"] = "every"


def _expire(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        # A worker begins once and goes round for days: the clock is read each time.
        now = job.options.as_of or BusinessClock(job.settings).now(conn, job.tenant_id)
    if free := pay_free_orders(job.transactions, job.tenant_id, now):
        yield f"{free} orders that cost nothing taken for paid"
    yield f"{expire_unpaid(job.transactions, job.tenant_id, now, _unpaid(job))} unpaid orders cancelled"
    alarms = Alarms()
    yield str(end_groups_due(job.transactions, job.tenant_id, now, alarms.take))
    yield from _stopped(alarms.told())


def _unpaid(job: Job) -> timedelta:
    return timedelta(minutes=job.settings.unpaid_minutes)


def _receipts(job: Job) -> Iterator[str]:
    alarms = Alarms()
    done = confirm_receipts_due(job.transactions, job.tenant_id, job.now, alarm=alarms.take)
    yield f"{done} receipts confirmed"
    yield from _stopped(alarms.told())


def _release(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        expired = expire_holds(conn, job.tenant_id, job.now)
    alarms = Alarms()
    done = settling.release_due(job.transactions, job.tenant_id, job.now, alarm=alarms.take)
    unlocked = referral_unlock.unlock_due(job.transactions, job.tenant_id, job.now, alarms.take)
    yield f"{expired} holds expired"
    yield f"{done.sub_orders} sub-orders, {done.legs} legs released, {done.paid_cents} fen to parties"
    yield f"three-for-one: {unlocked}"
    yield from _stopped(alarms.told())


def _deadline(job: Job) -> Iterator[str]:
    alarms = Alarms()
    waiting = settling.unfreeze_due(job.transactions, job.tenant_id, job.now, alarm=alarms.take)
    for share in waiting:
        yield str(share)
    yield f"{len(waiting)} shares left the channel's freeze and wait with the platform"
    yield from _stopped(alarms.told())


def _stopped(told: Sequence[str]) -> Iterator[str]:
    """Alarms fail a job once everything else is done."""
    yield from told
    if told:
        raise JobFailedError(f"{len(told)} things are stopped; everything else was done")


def _payouts(job: Job) -> Iterator[str]:
    options = job.options
    wanted = Transfers(
        batch_id=options.batch_id,
        adapter=options.adapter,
        threshold_cents=options.threshold_cents,
        party_types=payouts.PAYEES,
    )
    with job.transactions() as conn:
        ask = wanted.ask(conn, job.tenant_id, job.now)
        made: list[payouts.Payout] | Approval
        if ask is None:
            made = wanted.prepare(conn, job.tenant_id, job.now)
        else:
            made = ask_or_act(
                conn,
                job.tenant_id,
                ask,
                "payouts",
                job.now,
                alone_cents=alone_cents(job.settings, ask),
                act=lambda: wanted.prepare(conn, job.tenant_id, job.now),
            )
    if isinstance(made, Approval):
        yield (
            f"{ask.suggestion['count'] if ask else 0} pay-outs, {made.value_cents} fen: approval"
            f" {made.approval_id} is {made.state} and needs {made.approvals_needed} persons"
        )
    else:
        yield f"{len(made)} pay-outs, {sum(payout.amount_cents for payout in made)} fen"


def _approvals(job: Job) -> Iterator[str]:
    done = run_clock(job.transactions, EFFECTS, job.tenant_id, job.now)
    yield f"{done.expired} requests expired, {done.woken} woken, {done.in_effect} took effect"
    yield from done.refused
    if done.refused:
        raise JobFailedError(f"{len(done.refused)} approved requests could not take effect")


def _tiers(job: Job) -> Iterator[str]:
    closed = close_tiers(job.transactions, job.tenant_id, job.now)
    yield f"{closed} agents closed for {Period.of(last_month(job.transactions, job.tenant_id, job.now))}"


def _composition(job: Job) -> Iterator[str]:
    month = last_month(job.transactions, job.tenant_id, job.now)
    done = review_month(job.transactions, job.tenant_id, month, job.now)
    yield f"{done.agents} agents reviewed for {Period.of(month)}, payment of {done.held} held"


def _diversion(job: Job) -> Iterator[str]:
    yield f"{review_diversions(job.transactions, job.tenant_id, job.now)} orders held for diversion"


def _setup(job: Job) -> Iterator[str]:
    options = job.options
    review = None
    if options.review_id is not None:
        review = LegalReview(
            options.review_id, options.signed_by, options.signed_at or job.now, options.reference
        )
    with job.transactions() as conn:
        if options.time_zone is not None:
            calendar.set_zone(conn, job.tenant_id, options.time_zone)
        elif not calendar.is_settled(conn, job.tenant_id):
            calendar.set_zone(conn, job.tenant_id, job.settings.time_zone)
        made = put_into_force(
            conn,
            job.tenant_id,
            job.now,
            document=None if options.document is None else Path(options.document).read_text(encoding="utf-8"),
            review=review,
            merchant_id=options.merchant,
            effective_at=options.effective_at,
        )
    whom = f"merchant {made.merchant_id}" if made.merchant_id else "every merchant without a plan of its own"
    yield f"plan {made.plan_id} settles {whom} of tenant {job.tenant_id} from {made.effective_at.isoformat()}"


def _fees(job: Job) -> Iterator[str]:
    yield f"{release_fees_due(job.transactions, job.tenant_id, job.now)} shares of fees released"


def _deposits(job: Job) -> Iterator[str]:
    yield f"{top_up_due(job.transactions, job.tenant_id, job.now)} fen from releases into deposits"


def _points(job: Job) -> Iterator[str]:
    yield f"{give_back_due(job.transactions, job.tenant_id, job.now)} points given back"


def _routing(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        yield str(review_routing(conn, job.tenant_id, job.now - timedelta(days=job.options.days), job.now))


def _day(job: Job) -> Iterator[str]:
    settings = job.settings
    done = work_day(
        job.transactions,
        job.tenant_id,
        job.now,
        Vault.of(settings),
        unpaid=_unpaid(job),
        bill_days=settings.bill_days,
    )
    for part in fields(done):
        if part.name not in ("violations", "stopped"):
            yield f"{part.name}: {getattr(done, part.name)}"
    yield from done.violations
    if done.violations:
        raise JobFailedError(f"{len(done.violations)} violations of the invariants")
    yield from _stopped(done.stopped)


def _roll(job: Job) -> Iterator[str]:
    with psycopg.connect(libpq_url(job.url)) as conn:
        yield f"{roller.roll(conn)} sums of platform accounts moved"


def _forget_keys(job: Job) -> Iterator[str]:
    days = job.settings.idempotency_days
    with psycopg.connect(libpq_url(job.url)) as conn:
        yield f"{idempotency.purge(conn, days)} idempotency keys older than {days} days forgotten"


def _seal(job: Job) -> Iterator[str]:
    with psycopg.connect(libpq_url(job.url)) as conn:
        head = chain.seal(conn)
    # Outside of the database only once the block is committed.
    chain.anchor(head, chain.anchors_of(job.settings.home))
    yield f"block {head.block_no} {head.hash.hex()}"


def _close_period(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        closed = close_period(conn, job.tenant_id, Period.parse(job.options.period), job.now)
    yield f"{closed.period}: {closed.statements} statements{'' if closed.is_new else ', closed before'}"


def _reconcile(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        bill_id = job.options.bill_id
        run = reconcile(
            conn, job.tenant_id, bill_id=bill_id, run_id=job.options.run_id or bill_id, as_of=job.now
        )
        held = hold_breaks(conn, job.tenant_id, run.run_id, job.now)
    yield f"{held} differences wait in suspense"
    yield from _lines_of(run)


def _bills(job: Job) -> Iterator[str]:
    alarms = Alarms()
    vault, days = Vault.of(job.settings), job.settings.bill_days
    done = take_bills(job.transactions, vault, job.tenant_id, job.now, days, alarms.take)
    yield f"{done.taken} bills taken, {done.waiting} wait; {done.held} differences are held in suspense"
    for break_type, count in sorted(done.differences.items()):
        yield f"  {break_type}: {count}"
    yield from alarms.told()
    if alarms.told() or any(found != BreakType.TIMING for found in done.differences):
        raise JobFailedError("bills are not to be had, or differ from the books; everything else was done")


def _load_bill(job: Job) -> Iterator[str]:
    options = job.options
    bill = channel_bill.Bill(
        options.bill_id,
        options.adapter,
        options.bill_from,
        options.bill_to,
        options.channel_id,
        None if options.kinds is None else frozenset(options.kinds),
    )
    with job.transactions() as conn, Path(options.file).open("rb") as file:
        loaded = channel_bill.load_bill(conn, job.tenant_id, bill, iter(partial(file.read, 1 << 20), b""))
    yield f"bill {loaded.bill_id}: {loaded.lines} lines{'' if loaded.is_new else ', loaded before'}"


def _simulate_bill(job: Job) -> Iterator[str]:
    options = job.options
    bill = channel_bill.Bill(options.bill_id, channel_simulator.ADAPTER, options.bill_from, options.bill_to)
    with job.transactions() as conn:
        channel_simulator.simulate_bill(conn, job.tenant_id, bill)
        text = list(channel_simulator.bill_blocks(conn))
        loaded = channel_bill.load_bill(conn, job.tenant_id, bill, text)
        run = reconcile(conn, job.tenant_id, bill_id=loaded.bill_id, run_id=bill.bill_id, as_of=job.now)
    yield "the bill is of a simulated channel: it proves the books against themselves, not against a bank"
    yield from _lines_of(run)


def _lines_of(run: Reconciliation) -> Iterator[str]:
    yield f"{run.lines} lines, {run.records} records, difference {run.difference_cents} fen"
    for break_type, count in run.breaks.items():
        yield f"  {break_type}: {count}"
    if run.breaks:
        raise JobFailedError(
            f"run {run.run_id} of bill {run.bill_id} found {sum(run.breaks.values())} differences"
        )


def _channel_requests(job: Job) -> Iterator[str]:
    """Asks channels by the wall clock, books by business time: a worker goes round for days."""
    with job.transactions() as conn:
        now = job.options.as_of or BusinessClock(job.settings).now(conn, job.tenant_id)
    yield str(send_due(job.operations, Vault.of(job.settings), job.tenant_id, now, datetime.now(UTC)))


def _purchases(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        yield str(order_suggested(conn, job.tenant_id, job.now))


def _transfers(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        yield str(ask_suggested(conn, job.tenant_id, job.now))


def _misfits(job: Job) -> Iterator[str]:
    yield str(sort_misfits(job.transactions, job.tenant_id, job.now))


def _simulated_channel(job: Job) -> Iterator[str]:
    """Serves until it is ended; the account and its keys last as long as the process."""
    keys, ours = new_keys(), new_keys()
    clock = BusinessClock(job.settings)

    def business_time() -> datetime:
        with job.transactions() as conn:
            return clock.now(conn, job.tenant_id)

    number = f"simulated-{secrets.token_hex(4)}"
    bank = Bank(job.options.fee_bps, business_time, split_max_bps=job.options.split_max_bps)
    with SimulatedChannel(keys.private, {number: ours.public}, bank, port=job.options.port) as channel:
        wanted = NewAccount(
            SIMULATED,
            number,
            "",
            channel.url,
            "",
            job.options.fee_bps,
            {SERIAL: keys.public},
            {"private_key": ours.private},
            job.options.split_max_bps,
        )
        with job.transactions() as conn:
            channel_id = add_account(conn, Vault.of(job.settings), job.tenant_id, wanted)
        channel.notify_url = f"{job.options.api_url.rstrip('/')}/v1/channels/{channel_id}/notices"
        yield f"SIMULATED channel {channel_id} on {channel.url}: it moves no money"
        yield f"a buyer pays by: POST {channel.url}/buyer/payments with order_ref and amount_cents, JSON"
        try:
            threading.Event().wait(job.options.for_s)
        finally:
            with job.transactions() as conn:
                change_account(
                    conn,
                    job.tenant_id,
                    channel_id,
                    public_keys=wanted.public_keys,
                    fee_bps=wanted.fee_bps,
                    is_active=False,
                )


def _deliver(job: Job) -> Iterator[str]:
    # The wire runs by the wall clock: receivers refuse old signatures, and delays are real minutes.
    now = datetime.now(UTC)
    sender = HttpSender(job.settings.webhook_deadline_s, address_rules(job.settings))
    yield str(deliver_due(job.operations, Vault.of(job.settings), job.tenant_id, now, sender))


def _journeys(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        now = job.options.as_of or BusinessClock(job.settings).now(conn, job.tenant_id)
    done = make_round(job.transactions, job.tenant_id, gateways_of(job.settings), now)
    yield f"{done.entered.total()} entered, {done.ticked.moved} moved, {done.ticked.ended.total()} ended"
    states = ", ".join(f"{count} {state}" for state, count in sorted(done.sent.states.items()))
    yield f"messages: {states or 'none'}"
    for journey_id in done.lost:
        yield f"journey {journey_id} loses and is stopped"
    if done.agents.asked or done.agents.dropped:
        yield f"silent agents: {done.agents.asked} tasks, {done.agents.dropped} dropped"


def _experiments(job: Job) -> Iterator[str]:
    with job.transactions() as conn:
        now = job.options.as_of or BusinessClock(job.settings).now(conn, job.tenant_id)
        ended = end_due(conn, job.tenant_id, now)
    for experiment_id, reason in ended:
        yield f"experiment {experiment_id} stops: {reason}"


def _rounds(names: tuple[str, ...], job: Job) -> Iterator[str]:
    """Round after round; says what differs from the round before. A database that is away is waited for."""
    said: dict[str, str] = {}
    for number in itertools.count(1):
        for name in names:
            try:
                text = "; ".join(_told(name, job))
            except (DatabaseUnavailableError, psycopg.OperationalError) as error:
                text = f"waits, since PostgreSQL does not answer: {first_line(error)}"
            if said.get(name) != text:
                said[name] = text
                yield f"{name}: {text}"
        if number == job.options.rounds:
            return
        time.sleep(job.options.every_s)


def _told(name: str, job: Job) -> Iterator[str]:
    """What a job says of a round; of every tenant where each has a turn.

    What is stopped waits for somebody and is said; the work of everybody else goes on.
    """
    command = JOBS[name]
    turns = [("", job)]
    if command.turns != "once" and len(job.tenants) > 1:
        turns = [(f"{tenant_id}: ", replace(job, tenant_id=tenant_id)) for tenant_id in job.tenants]
    for whose, turn in turns:
        try:
            for line in command.run(turn):
                yield whose + line
        except JobFailedError as error:
            yield f"{whose}{error}"


def _check(job: Job) -> Iterator[str]:
    with job.operations.transaction(job.tenant_id, repeatable_read=True) as conn:
        found = invariants.check(conn, job.tenant_id)
    for violation in found:
        yield f"{violation.invariant} {violation.rule}: {violation.subject}"
    if found:
        raise JobFailedError(f"{len(found)} violations of the invariants")
    yield "no violation"


def _utc(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone: write it like 2026-01-05T00:00:00+00:00")
    return found


_BILL: dict[str, dict[str, Any]] = {
    "--bill-id": {"required": True},
    "--from": {"dest": "bill_from", "type": _utc, "required": True},
    "--to": {"dest": "bill_to", "type": _utc, "required": True, "help": "first moment not covered"},
}

# A sealed head is at most this round and the time of a seal behind; see the hash chain in docs/settlement.md.
# What receivers of messages do must not delay it: they have a process of their own.
_EVERY_ROUND = ("roll", "seal", "expire-unpaid")
_FOLLOWED: dict[str, dict[str, Any]] = {
    "--every-s": {"type": float, "default": 5.0},
    "--rounds": {"type": int},
}

JOBS: Mapping[str, Command] = {
    "expire-unpaid": Command(
        "cancel orders that nobody paid in time, and groups of buyers that did not fill", _expire
    ),
    "receipts": Command("confirm the receipt of what was shipped long enough ago", _receipts),
    "release": Command("release what has waited long enough; end holds whose time is over", _release),
    "deadline": Command("take out of the channel's freeze what is 25 days old", _deadline),
    "payouts": Command(
        "send what parties have available",
        _payouts,
        {
            "--batch-id": {"required": True},
            "--adapter": {"default": channel_simulator.ADAPTER},
            "--threshold-cents": {"type": int, "default": 1},
        },
    ),
    "approvals": Command("requests expire, snoozes end, what was approved for now takes effect", _approvals),
    "setup": Command(
        "put a plan into force: by default the strict one that ships, for everybody, as soon as may be",
        _setup,
        {
            "--document": {"help": "YAML file of the plan; default: the strict plan that ships"},
            "--merchant": {
                "default": ALL_OTHERS,
                "help": "default: every merchant without a plan of its own",
            },
            "--effective-at": {"type": _utc, "help": "default: as soon as notice allows"},
            "--review-id": {"help": "legal review that the plan names"},
            "--signed-by": {"default": "", "help": "who signed it"},
            "--signed-at": {"type": _utc, "help": "when; default: now"},
            "--time-zone": {"help": "whose months and days count; default: MUYUN_TIME_ZONE"},
            "--reference": {"default": "", "help": "where the signed paper is"},
        },
        turns="one",
    ),
    "tiers": Command("close the tiers of agents for the month before", _tiers),
    "composition": Command("review what agents lived on in the month before", _composition),
    "diversion": Command("score sales into protected regions and hold what passes the limit", _diversion),
    "fees": Command("release shares of fees that have waited long enough", _fees),
    "deposits": Command("top deposits up out of the last releases", _deposits),
    "points": Command("give back the points of cancelled and refunded lines", _points),
    "routing": Command(
        "say what the last orders cost to ship above routing them together, and how near the least that is",
        _routing,
        {"--days": {"type": int, "default": 1}},
    ),
    "day": Command("everything that is due in a day, in its order", _day),
    "roll": Command("roll the sums of platform accounts forward", _roll, turns="once"),
    "seal": Command("seal the hash chain and anchor its head outside the database", _seal, turns="once"),
    "forget-keys": Command("forget idempotency keys that are old enough", _forget_keys, turns="once"),
    "close-period": Command("close a month", _close_period, {"--period": {"required": True}}),
    "bills": Command("fetch the bills of the last complete days from channels and compare them", _bills),
    "load-bill": Command(
        "load a channel's bill from CSV",
        _load_bill,
        {
            **_BILL,
            "--adapter": {"required": True},
            "--channel-id": {"help": "the account that it is of; default: all of the adapter"},
            "--kinds": {
                "nargs": "+",
                "choices": channel_bill.KINDS,
                "help": "what it tells of; default: what bills of that account do",
            },
            "file": {},
        },
        turns="one",
    ),
    "simulate-bill": Command(
        "make, load and compare the bill of the simulated channel", _simulate_bill, _BILL, turns="one"
    ),
    "reconcile": Command(
        "compare a loaded bill with the books",
        _reconcile,
        {"--bill-id": {"required": True}, "--run-id": {}},
        turns="one",
    ),
    "transfers": Command("ask for transfers between warehouses that pay", _transfers),
    "purchases": Command("order at suppliers what is suggested, by the policy of each category", _purchases),
    "journeys": Command("move what is due in journeys, and send what they ask for", _journeys),
    "experiments": Command("stop experiments that are over or do harm", _experiments),
    "channel-requests": Command("ask payment channels for what is due", _channel_requests),
    "misfits": Command("match money in suspense that fits by now, send back what never will", _misfits),
    "simulated-channel": Command(
        "serve a SIMULATED payment channel on loopback, registered with the tenant, until it is ended",
        _simulated_channel,
        {
            "--port": {"type": int, "default": 0},
            "--fee-bps": {"type": int, "default": 60},
            "--split-max-bps": {
                "type": int,
                "default": 0,
                "help": "what may be split of a payment; above 0 payments are held until then",
            },
            "--api-url": {"default": "http://127.0.0.1:8080", "help": "where the API answers"},
            "--for-s": {"type": float, "help": "end by itself after so many seconds"},
        },
        turns="one",
    ),
    "deliver-webhooks": Command("send the messages that are due", _deliver),
    "work": Command(
        "roll, seal, cancel unpaid orders and end groups of buyers every few seconds, until it is ended",
        partial(_rounds, _EVERY_ROUND),
        _FOLLOWED,
        turns="once",
    ),
    "deliver": Command(
        "send the messages that are due every few seconds, until it is ended",
        partial(_rounds, ("deliver-webhooks",)),
        _FOLLOWED,
        turns="once",
    ),
    "run-journeys": Command(
        "move journeys and send their messages every few seconds, until it is ended",
        partial(_rounds, ("journeys", "experiments")),
        _FOLLOWED,
        turns="once",
    ),
    "ask-channels": Command(
        "ask payment channels for what is due every few seconds, until it is ended",
        partial(_rounds, ("channel-requests",)),
        _FOLLOWED,
        turns="once",
    ),
    "check": Command("check the invariants of the books", _check),
}
"""Jobs by the name on the command line."""
