"""What every adapter of a payment channel can do. The adapters: `wechat`, `alipay`, `simulated`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from serving.channels.facts import (
    BillLine,
    Notice,
    PaymentFact,
    PayoutFact,
    PayoutWanted,
    Progress,
    ReceiverWanted,
    RefundFact,
    RefundWanted,
    SplitReturnWanted,
    SplitWanted,
    UnfreezeWanted,
)

CALENDAR = ZoneInfo("Asia/Shanghai")
"""In whose days channels write their bills."""


@dataclass(frozen=True)
class Account:
    """An account at a channel, with its secrets in clear.

    Attributes:
        tenant_id: Whose.
        channel_id: Names it in addresses; unique over all tenants.
        adapter: Which channel: a name of `registry.ADAPTERS`.
        merchant_number: What the channel calls the account.
        app_id: What the channel calls the application, where it asks for one.
        api_url: Where the channel answers.
        notify_url: Where the channel sends notices to; empty leaves it to the channel's own settings.
        fee_bps: What the contract says the channel keeps of a payment.
        public_keys: The channel's public keys (PEM, certificate or key) by serial.
        secrets: By name, as `registry.SECRETS` asks for them.
        is_active: An ended account believes no notice and sends nothing.
        split_max_bps: What the contract lets us split of a payment; above 0 the channel holds payments until
            they are split or unfrozen.
    """

    tenant_id: str
    channel_id: str
    adapter: str
    merchant_number: str
    app_id: str
    api_url: str
    notify_url: str
    fee_bps: int
    public_keys: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    is_active: bool = True
    split_max_bps: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The answer that tells a channel that its notice was taken in."""

    media_type: str
    body: bytes


class Adapter(Protocol):
    """One channel account in its own language.

    Every request carries our reference: asking again with the same reference does the same thing once.
    Calls raise `ChannelUnavailableError` when the same may be asked again, `ChannelRefusedError` when not.

    Attributes:
        bill_kinds: What its bills tell of, of the kinds of `facts.BillLine`.
        bill_ready_after: How long after the end of a day its bill is complete.
    """

    bill_kinds: ClassVar[frozenset[str]]
    bill_ready_after: ClassVar[timedelta]

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """Verify, decrypt and read a notice.

        Args:
            headers: Of the request, names in lower case.
            body: As it was sent.
            now: Wall clock (UTC): a notice may be 5 minutes off it.

        Raises:
            NoticeRefusedError: It does not prove that the channel sent it now.
        """

    def acknowledgement(self) -> Acknowledgement:
        """What the channel wants to hear once a notice is booked."""

    def query_payment(self, payment_id: str) -> PaymentFact | None:
        """What the channel knows of a payment; None when it was not paid."""

    def request_refund(self, wanted: RefundWanted) -> RefundFact:
        """Ask for a refund, once per reference."""

    def query_refund(self, wanted: RefundWanted) -> RefundFact | None:
        """How far a refund is; None when the channel does not know it."""

    def request_payout(self, wanted: PayoutWanted) -> PayoutFact:
        """Ask for a transfer to a payee, once per reference."""

    def query_payout(self, wanted: PayoutWanted) -> PayoutFact | None:
        """How far a transfer is; None when the channel does not know it."""

    def add_receiver(self, wanted: ReceiverWanted) -> None:
        """Make the channel ready to send parts of payments to an account; a known one again does nothing."""

    def split(self, wanted: SplitWanted) -> Progress:
        """Send a part of a frozen payment to another account, once per reference."""

    def return_split(self, wanted: SplitReturnWanted) -> Progress:
        """Fetch a part of a split back, once per reference."""

    def unfreeze(self, wanted: UnfreezeWanted) -> Progress:
        """Free the rest of a payment, once per reference."""

    def bill(self, day: date) -> Sequence[BillLine]:
        """What the channel did on a day of `CALENDAR`, of `bill_kinds`; empty when it did nothing."""
