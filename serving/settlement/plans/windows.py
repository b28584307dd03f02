"""The waiting times between payment, receipt, release and the unfreezing of the payment channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.rules import ReleaseRule


@dataclass(frozen=True, slots=True)
class Windows:
    """Waiting times of a plan.

    Attributes:
        auto_receipt: From shipping to the receipt that nobody confirmed.
        wait: From receipt to release.
        deadline: From payment to the deadline job.
        channel: From payment to the day on which the channel gives the money free by itself.

    Source: common rules, release.
    """

    auto_receipt: timedelta = timedelta(days=10)
    wait: timedelta = timedelta(days=7)
    deadline: timedelta = timedelta(days=25)
    channel: timedelta = timedelta(days=30)


STANDARD = Windows()


def windows_of(plan: PlanVersion) -> Windows:
    """The waiting times that a plan sets; the standard ones where it has no rule for them."""
    rule = plan.only(ReleaseRule)
    if rule is None:
        return STANDARD
    return Windows(
        timedelta(days=rule.auto_receipt_days),
        timedelta(days=rule.wait_days_after_receipt),
        timedelta(days=rule.deadline_days),
        timedelta(days=rule.channel_unfreeze_days),
    )
