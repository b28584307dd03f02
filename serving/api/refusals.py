"""Refusals of approvals, ledger and settlement as problem documents; why is decided there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from serving.approvals import errors as approvals
from serving.communities import errors as communities
from serving.experiments import errors as experiments
from serving.feedback import errors as feedback
from serving.journeys import errors as journeys
from serving.ledger import errors as ledger
from serving.materials import errors as materials
from serving.members import errors as members
from serving.orders.errors import InvalidRequestError, OrdersError
from serving.problems import ApiError, DecidedBefore, FieldError
from serving.purchasing.placing import PurchaseMovedError
from serving.quality import errors as quality
from serving.reviews import errors as reviews
from serving.scores.price_moves import PriceMovedError
from serving.settlement import errors
from serving.settlement.channel import bill as channel_bill
from serving.settlement.channel import reconciliation, suspense
from serving.settlement.reports import statements
from serving.supervision import errors as supervision
from serving.watch.alarms import errors as watch

# Error, status, last part of the problem type, title; the first that fits counts.
_PROBLEMS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (approvals.UnknownApprovalError, 404, "approval-not-found", "No such approval"),
    (approvals.UnknownBatchError, 404, "approval-batch-not-found", "No such batch"),
    (approvals.LostRaceError, 409, "decided-before", "Somebody was faster"),
    (approvals.RequestConflictError, 409, "idempotency-conflict", "The key was used with another body"),
    (approvals.ApprovalExpiredError, 409, "approval-expired", "The request is no longer valid"),
    (approvals.ImpossibleMoveError, 409, "impossible-move", "The state knows no such move"),
    (approvals.OwnRequestError, 403, "own-request", "Whoever asks does not decide"),
    (approvals.SecondPersonError, 403, "second-person-needed", "The second half is another person's"),
    (approvals.NotAllowedError, 403, "decision-not-allowed", "Not this key's decision"),
    (approvals.BatchRefusedError, 422, "batch-refused", "Not a batch"),
    (approvals.SuggestionError, 422, "adjustment-refused", "Not inside the rails of the kind"),
    (PriceMovedError, 409, "price-moved", "The suggestion is another one by now"),
    (PurchaseMovedError, 409, "purchase-moved", "The suggestion is another one by now"),
    (approvals.ApprovalError, 422, "approval-refused", "Not approved"),
    (quality.UnknownCaseError, 404, "case-not-found", "No such improvement case"),
    (quality.UnknownRecallError, 404, "recall-not-found", "No such recall"),
    (quality.SignedBeforeError, 409, "signed-before", "It was signed before"),
    (quality.OverrideRefusedError, 422, "override-refused", "Not an override"),
    (quality.QualityError, 409, "quality-refused", "The quality brake refuses"),
    (supervision.UnknownListingCaseError, 404, "listing-case-not-found", "No such case of supervision"),
    (supervision.OwnCaseError, 403, "own-request", "Whoever speaks does not decide"),
    (supervision.StatementWaitsError, 409, "statement-waits", "An earlier word waits for a decision"),
    (supervision.NothingSaidError, 409, "nothing-to-uphold", "Nothing waits for a decision"),
    (supervision.CaseEndedError, 409, "listing-case-ended", "The case has ended"),
    (supervision.InvoiceRefusedError, 422, "invoice-refused", "Not an invoice"),
    (supervision.InvoiceConflictError, 409, "invoice-conflict", "It was stated with other words"),
    (supervision.DepositRefusedError, 409, "deposit-refused", "Not a deposit"),
    (supervision.SupervisionError, 409, "supervision-refused", "Supervision refuses"),
    (experiments.ExperimentUnknownError, 404, "experiment-not-found", "No such experiment"),
    (experiments.ExperimentRefusedError, 422, "experiment-refused", "The experiment is refused"),
    (experiments.ExperimentChangedError, 409, "experiment-changed", "The id has other words"),
    (experiments.ExperimentOverlapError, 409, "experiment-overlap", "Another experiment has it"),
    (experiments.ExperimentError, 409, "experiment-state", "Not in this state of the experiment"),
    (journeys.JourneyUnknownError, 404, "journey-not-found", "No such journey, version or task"),
    (journeys.JourneyRefusedError, 422, "journey-refused", "The journey is refused"),
    (journeys.JourneyError, 409, "journey-state", "Not in this state of the journey or task"),
    (communities.ForbiddenWordsError, 422, "forbidden-words", "An advertisement must not say so"),
    (communities.CommunityUnknownError, 404, "community-not-found", "No such community"),
    (communities.CommunityConflictError, 409, "community-conflict", "The id was used for something else"),
    (communities.CommunityError, 409, "community-closed", "The community is closed"),
    (feedback.FeedbackUnknownError, 404, "feedback-not-found", "No such feedback"),
    (feedback.FeedbackError, 409, "feedback-conflict", "The id was used for another text"),
    (materials.MaterialUnknownError, 404, "material-not-found", "No such material"),
    (materials.OwnMaterialError, 403, "own-request", "Whoever writes does not release"),
    (materials.MaterialConflictError, 409, "material-conflict", "The id was used for other words"),
    (materials.MaterialError, 409, "material-state", "Not in this state of the material"),
    (reviews.ReviewUnknownError, 404, "review-not-found", "No such review or training"),
    (reviews.TrainingConflictError, 409, "training-conflict", "The id was used for another plan"),
    (reviews.TrainingRefusedError, 422, "training-refused", "The training is refused"),
    (watch.UnknownAlarmError, 404, "alarm-not-found", "No such alarm"),
    (watch.UnknownParcelError, 404, "parcel-not-found", "No such parcel"),
    (watch.UnknownAlternativeError, 404, "alternative-not-found", "No such alternative"),
    (watch.AlarmClosedError, 409, "alarm-closed", "The alarm is closed"),
    (watch.NotTakenError, 409, "alternative-refused", "The alternative cannot be taken"),
    (ledger.IdempotencyConflictError, 409, "idempotency-conflict", "The key was used with another body"),
    (ledger.InsufficientBalanceError, 409, "insufficient-balance", "An account does not hold that much"),
    (ledger.PeriodClosedError, 409, "period-closed", "The period is closed"),
    (ledger.PostingRefusedError, 422, "posting-refused", "Not a transaction"),
    (ledger.LedgerError, 409, "ledger-refused", "The ledger refuses"),
    (errors.PlanRefusedError, 422, "plan-refused", "The plan is refused"),
    (errors.PlanConflictError, 409, "plan-conflict", "It exists with other content"),
    (errors.PlanNotInForceError, 404, "plan-not-found", "No such plan"),
    (errors.UnknownOrderError, 404, "order-not-found", "No such order"),
    (errors.UnknownHoldError, 404, "hold-not-found", "No such hold"),
    (errors.HoldResolvedError, 409, "hold-resolved", "The hold is resolved"),
    (errors.UnknownPayoutError, 404, "payout-not-found", "No such pay-out"),
    (errors.PayoutResolvedError, 409, "payout-resolved", "The pay-out is resolved"),
    (errors.PayoutConflictError, 409, "payout-conflict", "The batch id was used with another body"),
    (errors.FeeConflictError, 409, "idempotency-conflict", "The id was used with another body"),
    (errors.UnknownFeeError, 404, "fee-not-found", "No such fee"),
    (errors.UnknownPartyError, 404, "party-not-found", "No such party"),
    (members.MemberUnknownError, 404, "member-not-found", "No such member"),
    (members.ProgrammeUnknownError, 404, "member-programme-not-found", "No such version of the programme"),
    (members.ProgrammeRefusedError, 422, "member-programme-refused", "The programme is refused"),
    (members.ProgrammeStateError, 409, "member-programme-state", "Not in this state of the version"),
    (members.MembersError, 409, "member-not-at-risk", "There is nothing to give notice of"),
    (statements.UnknownPartyError, 404, "party-not-found", "No such party"),
    (statements.StatementError, 409, "statement-refused", "The month cannot be stated or closed"),
    (channel_bill.BillConflictError, 409, "bill-conflict", "The bill id was used for other content"),
    (channel_bill.BillRefusedError, 422, "bill-refused", "Not a bill"),
    (reconciliation.UnknownBillError, 404, "bill-not-found", "No such bill"),
    (reconciliation.ReconciliationConflictError, 409, "run-conflict", "The run id was used for another bill"),
    (suspense.UnknownMisfitError, 404, "misfit-not-found", "No such misfit"),
    (suspense.MisfitClosedError, 409, "misfit-refused", "The act does not fit"),
    (errors.SettlementError, 422, "settlement-refused", "Settlement refuses"),
)


@contextmanager
def typed_problems() -> Iterator[None]:
    """Around the transaction of a handler: a refusal rolls it back and becomes a problem document.

    Raises:
        ApiError: For whatever those rooms refuse whose errors are caught here.
    """
    try:
        yield
    except (
        approvals.ApprovalError,
        quality.QualityError,
        supervision.SupervisionError,
        experiments.ExperimentError,
        journeys.JourneyError,
        communities.CommunityError,
        feedback.FeedbackError,
        members.MembersError,
        reviews.ReviewError,
        materials.MaterialError,
        watch.AlarmError,
        ledger.LedgerError,
        errors.SettlementError,
    ) as error:
        raise as_problem(error) from error
    except OrdersError as error:
        raise order_problem(error) from error


def order_problem(error: OrdersError) -> ApiError:
    """The problem of what an order refuses."""
    message = error.message if isinstance(error, InvalidRequestError) else str(error)
    faulty = None if error.parameter is None else [FieldError(error.parameter, message)]
    return ApiError(error.status, error.slug, error.title, str(error), remedy=error.remedy, errors=faulty)


def as_problem(error: Exception) -> ApiError:
    """The problem of a refusal; a refused plan lists every reason."""
    status, slug, title = next(
        (status, slug, title) for kind, status, slug, title in _PROBLEMS if isinstance(error, kind)
    )
    reasons = None
    if isinstance(error, errors.PlanRefusedError):
        reasons = [FieldError(r.rule_id or "plan", f"[{r.code}] {r.message}") for r in error.reasons]
    if isinstance(error, journeys.JourneyRefusedError):
        reasons = [FieldError(r.step or "journey", f"[{r.code}] {r.message}") for r in error.refusals]
    decided = remedy = None
    if isinstance(error, approvals.LostRaceError):
        decided = DecidedBefore(error.winner.by, error.winner.at, error.winner.what)
        remedy = "Read it again and decide about what it is now."
    elif isinstance(error, approvals.ImpossibleMoveError):
        remedy = f"Possible from here: {', '.join(error.possible) or 'nothing'}."
    return ApiError(status, slug, title, str(error), errors=reasons, decided=decided, remedy=remedy)
