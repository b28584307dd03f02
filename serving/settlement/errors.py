"""The typed errors of settlement. HTTP mapping lives in `serving.problems`; nothing is raised here."""

from __future__ import annotations

from dataclasses import dataclass

from serving.errors import ServingError


class SettlementError(ServingError):
    """Base of all errors of the settlement engine."""


class RoundingError(SettlementError):
    """An amount, rate or weight that no rounding rule accepts (negative, or out of 0..10000 bps)."""


class SnapshotError(SettlementError):
    """An order snapshot contradicts itself and must not be settled."""


class RefundError(SettlementError):
    """A refund is smaller than what was refunded before, or larger than what was paid."""


class PlanNotInForceError(SettlementError):
    """No version of the plan is in force at the asked moment."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why a plan is refused.

    Attributes:
        code: Stable word for programs, such as `recruiting_trigger`.
        rule_id: The rule it is about, or None for the plan as a whole.
        message: What is wrong and what to do.
    """

    code: str
    rule_id: str | None
    message: str


class PlanRefusedError(SettlementError):
    """A plan was refused; `reasons` holds every reason, not only the first."""

    def __init__(self, plan: str, reasons: tuple[Refusal, ...]) -> None:
        self.plan = plan
        self.reasons = reasons
        lines = "; ".join(f"[{r.code}] {r.rule_id or 'plan'}: {r.message}" for r in reasons)
        super().__init__(f"plan {plan} is refused: {lines}")

    @property
    def codes(self) -> frozenset[str]:
        """The codes of all reasons."""
        return frozenset(reason.code for reason in self.reasons)


class PlanUnreadableError(SettlementError):
    """A stored plan was altered, or this release cannot read it; only its own orders wait."""


class PlanConflictError(SettlementError):
    """A review or an assignment of a plan exists and says something else."""


class UnknownOrderError(SettlementError):
    """An order is not in the tenant's books, or holds no legs for what was asked."""


class AccrualError(SettlementError):
    """Legs cannot be written or replaced as asked; nothing was booked."""


class RefundConflictError(SettlementError):
    """A refund id was used before with another body (L6)."""


class UnknownHoldError(SettlementError):
    """A hold is not in the tenant's books."""


class HoldResolvedError(SettlementError):
    """A hold was resolved before, the other way (L7)."""


class HoldTargetError(SettlementError):
    """A hold names a target that does not exist, or an expiry that has passed."""


class UnknownPayoutError(SettlementError):
    """A pay-out is not in the tenant's books."""


class PayoutResolvedError(SettlementError):
    """A pay-out was resolved before, the other way."""


class PayoutConflictError(SettlementError):
    """A pay-out batch id was used before with another body (L6)."""


class FeeError(SettlementError):
    """A fee, penalty or compensation cannot be booked as asked."""


class FeeConflictError(FeeError):
    """A fee id, or the id of what gives it back, was used before with another body (L6)."""


class UnknownFeeError(FeeError):
    """A fee is not in the tenant's books."""


class UnknownPartyError(SettlementError):
    """A party is not on file, or is not active any more."""


class PointsError(SettlementError):
    """Points cannot be earned or burnt as asked."""
