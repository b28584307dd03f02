"""What the simulated channel remembers: payments, refunds, pay-outs, splits, and the money that is left.

One lock guards everything; nothing is sent here. `faults` makes it misbehave on purpose.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone

from serving.channels.facts import (
    BillLine,
    PayoutWanted,
    Progress,
    ReceiverWanted,
    RefundWanted,
    SplitReturnWanted,
    SplitWanted,
    UnfreezeWanted,
)
from serving.channels.fees import contract_fee
from serving.channels.requests import FREED_AFTER
from serving.channels.simulated.messages import Message

_CHINA = timezone(timedelta(hours=8))


class RefusedByBankError(Exception):
    """The channel will not do it; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass
class Faults:
    """How the channel misbehaves.

    Attributes:
        busy: So many of the next requests are answered 503 before anything is done.
        silent: So many of the next requests are done and then answered 503: the caller cannot know.
        slow: Refunds, pay-outs and splits are accepted first; `Bank.finish` and `finish_split` end them.
        failing: References (ours) of what ends as failed.
    """

    busy: int = 0
    silent: int = 0
    slow: bool = False
    failing: set[str] = field(default_factory=set)


@dataclass
class _Split:
    payment_id: str
    account: str
    amount_cents: int
    progress: Progress = Progress.ACCEPTED
    returned_cents: int = 0


class Bank:
    """The channel's own books.

    Args:
        fee_bps: What it keeps of a payment; returned in proportion with refunds.
        clock: Business time of what it does.
        opening_cents: Money that the account holds at the beginning.
        split_max_bps: What may be split of a payment; above 0 payments are frozen until they are split or
            unfrozen, `FREED_AFTER` at most, and what is frozen cannot be paid out.
    """

    def __init__(
        self,
        fee_bps: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        opening_cents: int = 0,
        split_max_bps: int = 0,
    ) -> None:
        self.faults = Faults()
        self.fee_bps = fee_bps
        self.split_max_bps = split_max_bps
        self.received: dict[str, int] = {}
        self.clock = clock
        self._lock = threading.RLock()
        self._balance = opening_cents
        self._payments: dict[str, Message] = {}
        self._others: dict[tuple[str, str], Message] = {}
        self._payees: dict[str, str] = {}
        self._refunded: dict[str, int] = {}
        self._frozen: dict[str, int] = {}
        self._splits: dict[str, _Split] = {}
        self._split_of: dict[str, int] = {}
        self._returned: dict[str, int] = {}
        self._lines: list[BillLine] = []

    @property
    def frozen_cents(self) -> int:
        """What of it waits to be split or unfrozen, fen."""
        with self._lock:
            return sum(self._frozen.values())

    @property
    def balance_cents(self) -> int:
        """What the account holds now, fen, before fees."""
        with self._lock:
            return self._balance

    def pay(
        self,
        order_ref: str,
        amount_cents: int,
        *,
        payment_id: str | None = None,
        currency: str = "CNY",
        paid_at: datetime | None = None,
    ) -> Message:
        """A buyer pays; the notice about it."""
        with self._lock:
            message = Message(
                notice_id=_new_id("n"),
                kind="payment",
                id=payment_id or _new_id("pay"),
                reference=order_ref,
                amount_cents=amount_cents,
                currency=currency,
                occurred_at=paid_at or self.clock(),
            )
            if message.id not in self._payments:
                self._payments[message.id] = message
                if currency == "CNY":
                    self._balance += amount_cents
                    self._frozen[message.id] = amount_cents if self.split_max_bps else 0
                    self._line(message, contract_fee(amount_cents, self.fee_bps))
            return message

    def charge_back(self, payment_id: str, amount_cents: int, at: datetime | None = None) -> Message:
        """The buyer's bank takes a payment back; the notice about it."""
        with self._lock:
            self._paid(payment_id)
            self._balance -= amount_cents
            message = Message(
                notice_id=_new_id("n"),
                kind="chargeback",
                id=_new_id("cb"),
                reference=payment_id,
                amount_cents=amount_cents,
                occurred_at=at or self.clock(),
            )
            self._line(message, 0)
            return message

    def return_payout(self, reference: str, failure: str, at: datetime | None = None) -> Message:
        """A transfer that had arrived comes back; the notice about it."""
        with self._lock:
            known = self._others["payout", reference]
            self._balance += known.amount_cents
            message = _next(
                known, progress=Progress.RETURNED, failure=failure, occurred_at=at or self.clock()
            )
            self._others["payout", reference] = message
            self._lines.append(
                BillLine("payout_return", reference, known.amount_cents, 0, message.occurred_at)
            )
            return message

    def refund(self, wanted: RefundWanted) -> Message:
        """Give a part of a payment back, once per reference."""
        with self._lock:
            known = self._same("refund", wanted.reference, wanted.amount_cents)
            if known is not None:
                return known
            payment = self._paid(wanted.payment_id)
            before = self._refunded.get(payment.id, 0)
            if before + wanted.amount_cents > payment.amount_cents:
                raise RefusedByBankError("AMOUNT_EXCEEDED", "more than what was paid")
            if wanted.amount_cents > self._balance:
                raise RefusedByBankError("NOT_ENOUGH", "the account does not hold that much")
            message = self._begun("refund", wanted.reference, wanted.amount_cents)
            if message.progress is not Progress.FAILED:
                self._refunded[payment.id] = before + wanted.amount_cents
                self._balance -= wanted.amount_cents
                frozen = self._frozen.get(payment.id, 0)
                self._frozen[payment.id] = frozen - min(frozen, wanted.amount_cents)
                fee = contract_fee(payment.amount_cents, self.fee_bps)
                returned = fee * (before + wanted.amount_cents) // payment.amount_cents
                self._line(message, fee * before // payment.amount_cents - returned)
            return message

    def pay_out(self, wanted: PayoutWanted) -> Message:
        """Send money to a payee, once per reference."""
        with self._lock:
            known = self._same("payout", wanted.reference, wanted.amount_cents)
            if known is not None:
                if self._payees[wanted.reference] != wanted.account:
                    raise RefusedByBankError("REFERENCE_USED", "the reference stands for another payee")
                return known
            self._free_what_is_old()
            if wanted.amount_cents > self._balance - sum(self._frozen.values()):
                raise RefusedByBankError("NOT_ENOUGH", "the account does not hold that much free")
            message = self._begun("payout", wanted.reference, wanted.amount_cents)
            self._payees[wanted.reference] = wanted.account
            if message.progress is not Progress.FAILED:
                self._balance -= wanted.amount_cents
                self._line(message, 0)
            return message

    def finish(self, kind: str, reference: str, progress: Progress = Progress.DONE) -> Message:
        """End what was accepted; the notice about it."""
        with self._lock:
            known = self._others[kind, reference]
            failure = "ended by the channel" if progress is Progress.FAILED else None
            if progress is Progress.FAILED and known.progress is Progress.ACCEPTED:
                self._balance += known.amount_cents
            message = _next(known, progress=progress, failure=failure, occurred_at=self.clock())
            self._others[kind, reference] = message
            return message

    def add_receiver(self, wanted: ReceiverWanted) -> None:
        """Be ready to send parts of payments to an account."""
        with self._lock:
            self.received.setdefault(wanted.account, 0)

    def split(self, wanted: SplitWanted) -> Progress:
        """Send a part of what is frozen to another account, once per reference."""
        with self._lock:
            known = self._splits.get(wanted.reference)
            if known is not None:
                if (known.account, known.amount_cents) != (wanted.account, wanted.amount_cents):
                    raise RefusedByBankError("REFERENCE_USED", "the reference stands for another part")
                return known.progress
            self._check_split(wanted)
            self._frozen[wanted.payment_id] -= wanted.amount_cents
            self._balance -= wanted.amount_cents
            of_payment = self._split_of.get(wanted.payment_id, 0)
            self._split_of[wanted.payment_id] = of_payment + wanted.amount_cents
            known = _Split(wanted.payment_id, wanted.account, wanted.amount_cents)
            self._splits[wanted.reference] = known
            if not self.faults.slow:
                self.finish_split(wanted.reference)
            return known.progress

    def finish_split(self, reference: str, progress: Progress = Progress.DONE) -> None:
        """End a split that was accepted; what failed is frozen again."""
        with self._lock:
            known = self._splits[reference]
            known.progress = progress
            if progress is Progress.FAILED:
                self._frozen[known.payment_id] += known.amount_cents
                self._balance += known.amount_cents
                self._split_of[known.payment_id] -= known.amount_cents
                return
            self.received[known.account] += known.amount_cents
            self._lines.append(BillLine("split", reference, known.amount_cents, 0, self.clock()))

    def _free_what_is_old(self) -> None:
        before = self.clock() - FREED_AFTER
        for payment_id, payment in self._payments.items():
            if payment.occurred_at <= before:
                self._frozen[payment_id] = 0

    def _check_split(self, wanted: SplitWanted) -> None:
        payment = self._paid(wanted.payment_id)
        if wanted.reference in self.faults.failing:
            raise RefusedByBankError("RECEIVER_INVALID", "the receiver's account is closed")
        if wanted.account not in self.received:
            raise RefusedByBankError("NO_RECEIVER", "that account is no receiver")
        if wanted.amount_cents > self._frozen.get(payment.id, 0):
            raise RefusedByBankError("NOT_ENOUGH", "less than that is frozen")
        most = payment.amount_cents * self.split_max_bps // 10_000
        if self._split_of.get(payment.id, 0) + wanted.amount_cents > most:
            raise RefusedByBankError("RATE_EXCEEDED", "more than the contract lets be split")

    def return_split(self, wanted: SplitReturnWanted) -> Progress:
        """Fetch a part of a split back, once per reference."""
        with self._lock:
            if wanted.reference not in self._returned:
                known = self._splits.get(wanted.split_reference)
                if (
                    known is None
                    or known.progress is not Progress.DONE
                    or known.account != wanted.account
                    or known.amount_cents - known.returned_cents < wanted.amount_cents
                ):
                    raise RefusedByBankError("NO_SUCH_SPLIT", "that was not split to that account")
                if wanted.reference in self.faults.failing:
                    raise RefusedByBankError("NOT_ENOUGH", "the receiver does not hold that much")
                known.returned_cents += wanted.amount_cents
                self._balance += wanted.amount_cents
                self._returned[wanted.reference] = wanted.amount_cents
                self.received[known.account] -= wanted.amount_cents
                line = BillLine("split_return", wanted.reference, wanted.amount_cents, 0, self.clock())
                self._lines.append(line)
            return Progress.DONE

    def unfreeze(self, wanted: UnfreezeWanted) -> Progress:
        """Free the rest of a payment."""
        with self._lock:
            self._paid(wanted.payment_id)
            if wanted.reference in self.faults.failing:
                raise RefusedByBankError("NOT_NOW", "the payment is looked at")
            self._frozen[wanted.payment_id] = 0
            return Progress.DONE

    def payment(self, payment_id: str) -> Message | None:
        """A payment, or None."""
        with self._lock:
            return self._payments.get(payment_id)

    def other(self, kind: str, reference: str) -> Message | None:
        """A refund or a pay-out by our reference, or None."""
        with self._lock:
            return self._others.get((kind, reference))

    def bill(self, day: date) -> list[BillLine]:
        """What happened on a day in China."""
        with self._lock:
            return [line for line in self._lines if line.occurred_at.astimezone(_CHINA).date() == day]

    def _paid(self, payment_id: str) -> Message:
        payment = self._payments.get(payment_id)
        if payment is None:
            raise RefusedByBankError("NO_SUCH_PAYMENT", "there is no such payment")
        return payment

    def _same(self, kind: str, reference: str, amount_cents: int) -> Message | None:
        known = self._others.get((kind, reference))
        if known is not None and known.amount_cents != amount_cents:
            raise RefusedByBankError("REFERENCE_USED", "the reference stands for another amount")
        return known

    def _begun(self, kind: str, reference: str, amount_cents: int) -> Message:
        progress = Progress.ACCEPTED if self.faults.slow else Progress.DONE
        failure = None
        if reference in self.faults.failing:
            progress, failure = Progress.FAILED, "the payee's account is closed"
        message = Message(
            notice_id=_new_id("n"),
            kind="refund" if kind == "refund" else "payout",
            id=_new_id("ch"),
            reference=reference,
            amount_cents=amount_cents,
            occurred_at=self.clock(),
            progress=progress,
            failure=failure,
        )
        self._others[kind, reference] = message
        return message

    def _line(self, message: Message, fee_cents: int) -> None:
        reference = message.reference if message.kind in ("refund", "payout") else message.id
        self._lines.append(
            BillLine(message.kind, reference, message.amount_cents, fee_cents, message.occurred_at)
        )


def _next(message: Message, *, progress: Progress, failure: str | None, occurred_at: datetime) -> Message:
    """The next notice about a refund or a pay-out."""
    return Message(
        notice_id=_new_id("n"),
        kind=message.kind,
        id=message.id,
        reference=message.reference,
        amount_cents=message.amount_cents,
        occurred_at=occurred_at,
        progress=progress,
        failure=failure,
    )


def _new_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(8)}"
