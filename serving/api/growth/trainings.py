"""`/v1/trainings`: seats by churn risk, margin and measured lift, and by lot; what a seat brought."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from msgspec import Meta, Struct

from models.reviews.lift import Lift
from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.orders.contracts import Id
from serving.reviews import trainings
from serving.security import Role, Scope

_OPERATORS = frozenset({Role.OPERATOR})
_READERS = frozenset({Role.OPERATOR, Role.AUDITOR})


class TrainingBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training whose seats are to be given."""

    training_id: Id
    course: Annotated[Id, Meta(description="What is taught; trainings of one course are measured together.")]
    title: Annotated[str, Meta(min_length=1, max_length=100, examples=["Selling in live streams"])]
    party_type: Literal["agent", "merchant"]
    month: Annotated[
        str,
        Meta(
            pattern=r"^(20|21)[0-9][0-9]-(0[1-9]|1[0-2])(?!\n)$",
            examples=["2026-12"],
            description="When it takes place; after the newest month that is over.",
        ),
    ]
    seats: Annotated[int, Meta(ge=1, le=10_000, examples=[40])]
    measured_months: Annotated[int, Meta(ge=1, le=3, description="Months after it that are compared.")] = 1


class LiftView(Struct, frozen=True, kw_only=True):
    """Net sales of a party that was drawn, less those of one that was in the lot and was not."""

    drawn: int
    not_drawn: int
    cents: Annotated[float | None, Meta(description="Null with fewer than ten on a side.")]
    low: float | None
    high: float | None
    share: Annotated[float | None, Meta(description="Of what parties without a seat sold.")]
    word: Annotated[str, Meta(description="`gain`, `loss`, `not_shown` or `too_few`.")]


class TrainingView(Struct, frozen=True, kw_only=True):
    """A training."""

    training_id: str
    course: str
    title: str
    party_type: str
    month: str
    measured_months: int
    measured_until: Annotated[str, Meta(description="Last month that is compared.")]
    seats: int
    by_score: int
    by_lot: int
    not_drawn: int
    seed: Annotated[str, Meta(description="A party's number in the lot is the hash of it and the party.")]
    publication_version: str
    made_at: datetime
    lift_before: Annotated[LiftView, Meta(description="Of the course, when the seats were given.")]
    lift_by_level: dict[str, LiftView]
    lift: Annotated[
        LiftView | None, Meta(description="Of this training; null until its months are over and published.")
    ]


class TrainingPage(Struct, frozen=True, kw_only=True):
    """Trainings by id."""

    trainings: list[TrainingView]
    next_cursor: str | None


class SeatView(Struct, frozen=True, kw_only=True):
    """What came of a candidate."""

    place: int
    party_id: str
    level: str
    churn_risk: float
    worth_cents: Annotated[int, Meta(description="Margin a month; net sales where no cost is known.")]
    lift: float
    score: float
    drawn: Annotated[float | None, Meta(description="Number in the lot; null for a seat by score.")]
    way: Annotated[str, Meta(description="`score`, `lot` or `not_drawn`.")]


class SeatPage(Struct, frozen=True, kw_only=True):
    """Candidates by place."""

    places: list[SeatView]
    next_cursor: str | None


@post(
    "/trainings",
    opt={"scope": Scope.REVIEWS_WRITE, "roles": _OPERATORS, "owner": None},
    tags=["Growth"],
    summary="Give the seats of a training",
    status_code=200,
    responses=problem_responses(404, 409, 422),
    sync_to_thread=True,
)
def post_training(request: Request[Any, Any, Any], data: TrainingBody) -> TrainingView:
    """Half by lot until the course is known to bring a gain; once, and never changed."""
    principal = principal_of(request)
    plan = trainings.Plan(
        data.training_id,
        data.course,
        data.title,
        data.party_type,
        date.fromisoformat(f"{data.month}-01"),
        data.measured_months,
        data.seats,
    )
    with typed_problems(), tenant_transaction(request) as conn:
        made, is_new = trainings.give_seats(
            conn, principal.tenant_id, plan, principal.key_id, now_of(request, conn)
        )
        note(
            request,
            conn,
            "training.give",
            "training",
            made.training_id,
            outcome="done" if is_new else "repeated",
            details={"seed": made.seed, "by_score": made.by_score, "by_lot": made.by_lot},
        )
        return _view(made, trainings.lift_now(conn, principal.tenant_id, made))


@get(
    "/trainings",
    opt={"scope": Scope.REVIEWS_READ, "roles": _READERS, "owner": None},
    tags=["Growth"],
    summary="Trainings",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_trainings(
    request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None
) -> TrainingPage:
    """By id, each with what it brought."""
    tenant = principal_of(request).tenant_id
    position = read_cursor(cursor, "trainings")
    with typed_problems(), tenant_transaction(request) as conn:
        found = trainings.page(conn, tenant, after=str(position.key[0]) if position else "", limit=limit + 1)
        shown = [_view(one, trainings.lift_now(conn, tenant, one)) for one in found[:limit]]
    return TrainingPage(
        trainings=shown,
        next_cursor=cursor_after(found, limit, "trainings", lambda one: [one.training_id]),
    )


@get(
    "/trainings/{training_id:str}",
    opt={"scope": Scope.REVIEWS_READ, "roles": _READERS, "owner": None},
    tags=["Growth"],
    summary="A training and what it brought",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_training(request: Request[Any, Any, Any], training_id: Identifier) -> TrainingView:
    """The lift compares those drawn with those of the same lot who were not."""
    tenant = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        found = trainings.find(conn, tenant, training_id)
        return _view(found, trainings.lift_now(conn, tenant, found))


@get(
    "/trainings/{training_id:str}/places",
    opt={"scope": Scope.REVIEWS_READ, "roles": _READERS, "owner": None},
    tags=["Growth"],
    summary="Who got a seat of a training, how, and who did not",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_places(
    request: Request[Any, Any, Any],
    training_id: Identifier,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> SeatPage:
    """Seats by score, seats by lot, then who was in the lot and was not drawn."""
    tenant = principal_of(request).tenant_id
    position = read_cursor(cursor, "training_places")
    with typed_problems(), tenant_transaction(request) as conn:
        trainings.find(conn, tenant, training_id)
        found = trainings.seats_of(
            conn, tenant, training_id, after=int(position.key[0]) if position else 0, limit=limit + 1
        )
    return SeatPage(
        places=[
            SeatView(**{name: getattr(one, name) for name in SeatView.__struct_fields__})
            for one in found[:limit]
        ],
        next_cursor=cursor_after(found, limit, "training_places", lambda one: [one.place]),
    )


TRAINING_ROUTES = (post_training, list_trainings, get_training, get_places)

_SAME = frozenset(TrainingView.__struct_fields__) & frozenset(trainings.Training.__dataclass_fields__) - {
    "month",
    "lift",
}


def _view(one: trainings.Training, lift: Lift | None) -> TrainingView:
    before = dict(one.lift)
    by_level = before.pop("by_level")
    return TrainingView(
        month=f"{one.month:%Y-%m}",
        measured_until=f"{trainings.last_measured_month(one):%Y-%m}",
        publication_version=one.version,
        lift_before=LiftView(**before),
        lift_by_level={level: LiftView(**found) for level, found in by_level.items()},
        lift=None if lift is None else LiftView(**asdict(lift)),
        **{name: getattr(one, name) for name in _SAME},
    )
