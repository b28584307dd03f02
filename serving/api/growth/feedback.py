"""`/v1/feedback`: what consumers write, its topics and trend, corrections, public answers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from models.feedback.contracts import Sentiment, Topic
from models.feedback.masking import masked
from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import CLOCK_AHEAD, in_range
from serving.api.parameters import CursorText, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.feedback import records, summary
from serving.orders.contracts import Id
from serving.orders.errors import InvalidRequestError
from serving.problems import invalid_parameter
from serving.security import Principal, Role, Scope

_SHOP = frozenset({Role.OPERATOR, Role.MERCHANT})
_Number = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="Number of the text.")]
_Words = Annotated[str, Meta(min_length=1, max_length=2000)]
_TopicFilter = Annotated[Topic | None, Parameter(description="None: any, also what is not sorted yet.")]
_Days = Annotated[
    int, Parameter(ge=1, le=365, description="Length of the period; the one before is as long.")
]


class FeedbackText(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text of a consumer: a review, a complaint, a message of a group."""

    feedback_id: Id
    consumer_id: Id
    text: Annotated[str, Meta(min_length=1, max_length=2000, examples=["苹果收到时烂了一半"])]
    occurred_at: Annotated[datetime, Meta(tz=True)]
    merchant_id: Annotated[Id | None, Meta(description="A merchant's key may leave it out.")] = None
    order_id: Id | None = None
    sku_id: Id | None = None
    rating: Annotated[int, Meta(ge=1, le=5)] | None = None


class FeedbackBatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Texts, in any order."""

    texts: Annotated[list[FeedbackText], Meta(min_length=1, max_length=500)]


class FeedbackReceipt(Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    new: int
    known: Annotated[int, Meta(description="Sent before.")]
    erased: Annotated[int, Meta(description="Of consumers who were erased: nothing of them is kept.")]


class FeedbackView(Struct, frozen=True, kw_only=True):
    """A text, with what was made of it."""

    number: int
    feedback_id: str
    merchant_id: str
    consumer_id: str
    order_id: str | None
    sku_id: str | None
    rating: int | None
    text: Annotated[
        str,
        Meta(description="What names a person is masked, but for an operator's key with `personal:read`."),
    ]
    occurred_at: datetime
    is_verified: Annotated[bool, Meta(description="An order of the consumer recorded here had it.")]
    topic: Annotated[str | None, Meta(description="`unsure`: for a person to say. Null: not sorted yet.")]
    topic_probability: float | None
    sentiment: str | None
    sorted_by: Annotated[str | None, Meta(description="The model with its examples, or `person`.")]
    answer: str | None
    answered_at: datetime | None


class FeedbackPage(Struct, frozen=True, kw_only=True):
    """Texts by number."""

    texts: list[FeedbackView]
    next_cursor: str | None


class TopicView(Struct, frozen=True, kw_only=True):
    """A topic in the period and in the one before."""

    topic: str
    texts: int
    negative: int
    before: int
    negative_before: int
    unanswered: Annotated[int, Meta(description="Negative texts of the period without an answer.")]
    examples: Annotated[
        list[str], Meta(description="Of the period; numbers, addresses, accounts and names are masked.")
    ]


class TopicList(Struct, frozen=True, kw_only=True):
    """Topics, the most blamed first."""

    days: int
    topics: list[TopicView]


class TopicCorrection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a text is about, by a person."""

    topic: Topic
    sentiment: Sentiment


class AnswerRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public answer."""

    text: _Words


@post(
    "/feedback",
    opt={"scope": Scope.FEEDBACK_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Take in what consumers wrote",
    status_code=200,
    responses=problem_responses(409, 422),
    sync_to_thread=True,
)
def post_feedback(request: Request[Any, Any, Any], data: FeedbackBatch) -> FeedbackReceipt:
    """Each text counts once, by its shop and id. Topics follow within a quarter of an hour."""
    principal = principal_of(request)
    named = {(one.merchant_id or principal.merchant_id, one.feedback_id) for one in data.texts}
    if len(named) < len(data.texts):
        raise invalid_parameter("texts", "an id of a shop stands twice; give every text its own")
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        texts = [_written(principal, one, now) for one in data.texts]
        found = records.take_in(conn, principal.tenant_id, texts, now)
        note(request, conn, "feedback.take", "feedback", "batch", details=found._asdict())
    return FeedbackReceipt(new=found.new, known=found.known, erased=found.erased)


@get(
    "/feedback",
    opt={"scope": Scope.FEEDBACK_READ, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="What consumers wrote",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_feedback(
    request: Request[Any, Any, Any],
    topic: _TopicFilter = None,
    sentiment: Sentiment | None = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> FeedbackPage:
    """By number; a merchant sees those of its shop."""
    principal = principal_of(request)
    position = read_cursor(cursor, "feedback")
    with typed_problems(), tenant_transaction(request) as conn:
        found = records.page(
            conn,
            principal.tenant_id,
            merchant_id=principal.merchant_id,
            topic=None if topic is None else str(topic),
            sentiment=None if sentiment is None else str(sentiment),
            after=int(position.key[0]) if position else 0,
            limit=limit + 1,
        )
        if found and _sees_persons(principal):
            note(request, conn, "feedback.read", "feedback", "page", details={"texts": len(found[:limit])})
    return FeedbackPage(
        texts=[_view(principal, one) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "feedback", lambda one: [one.number]),
    )


@get(
    "/feedback/topics",
    opt={"scope": Scope.FEEDBACK_READ, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="What consumers write about",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_topics(request: Request[Any, Any, Any], days: _Days = 28) -> TopicList:
    """Counts of a period beside those of the one before; a merchant sees those of its shop."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        found = summary.topics_of(
            conn, principal.tenant_id, principal.merchant_id, now_of(request, conn), days
        )
    return TopicList(
        days=days,
        topics=[TopicView(**{**asdict(one), "examples": list(one.examples)}) for one in found],
    )


@post(
    "/feedback/{feedback_no:int}/topic",
    opt={"scope": Scope.FEEDBACK_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Say what a text is about",
    status_code=200,
    responses=problem_responses(404, 422),
    sync_to_thread=True,
)
def post_topic(request: Request[Any, Any, Any], feedback_no: _Number, data: TopicCorrection) -> FeedbackView:
    """The model learns it with its next round, and never sorts this text again."""
    principal = principal_of(request)
    if data.topic is Topic.UNSURE:
        raise invalid_parameter("topic", "say what it is about, or `other`")
    with typed_problems(), tenant_transaction(request) as conn:
        records.find(conn, principal.tenant_id, feedback_no, principal.merchant_id)
        records.correct(
            conn, principal.tenant_id, feedback_no, data.topic, data.sentiment, now_of(request, conn)
        )
        details = {"topic": str(data.topic), "sentiment": str(data.sentiment)}
        note(request, conn, "feedback.correct", "feedback", str(feedback_no), details=details)
        found = records.find(conn, principal.tenant_id, feedback_no, principal.merchant_id)
        return _view(principal, found)


@post(
    "/feedback/{feedback_no:int}/answer",
    opt={"scope": Scope.FEEDBACK_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Answer a text in public",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def post_answer(request: Request[Any, Any, Any], feedback_no: _Number, data: AnswerRequest) -> FeedbackView:
    """A later answer takes the place of an earlier one; both stand in the audit log as acts."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        records.find(conn, principal.tenant_id, feedback_no, principal.merchant_id)
        records.answer(
            conn, principal.tenant_id, feedback_no, data.text, principal.key_id, now_of(request, conn)
        )
        note(request, conn, "feedback.answer", "feedback", str(feedback_no))
        found = records.find(conn, principal.tenant_id, feedback_no, principal.merchant_id)
        return _view(principal, found)


def _sees_persons(principal: Principal) -> bool:
    return principal.role is Role.OPERATOR and Scope.PERSONAL_READ in principal.scopes


def _view(principal: Principal, one: records.Feedback) -> FeedbackView:
    text = one.text if _sees_persons(principal) else masked(one.text)
    return FeedbackView(**asdict(one) | {"text": text})


def _written(principal: Principal, one: FeedbackText, now: datetime) -> records.Written:
    merchant_id = one.merchant_id or principal.merchant_id
    if merchant_id is None:
        raise InvalidRequestError("merchant_id", f"feedback {one.feedback_id}: name the shop")
    principal.require_merchant(merchant_id)
    return records.Written(
        one.feedback_id,
        merchant_id,
        one.consumer_id,
        one.order_id,
        one.sku_id,
        one.rating,
        one.text,
        in_range("occurred_at", one.occurred_at, latest=now + CLOCK_AHEAD).astimezone(UTC),
    )


FEEDBACK_ROUTES = (post_feedback, list_feedback, get_topics, post_topic, post_answer)
