"""`POST /v1/consumers/{id}/consents` and `/erasure`: what a consumer decides, with effect at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, post

from serving.api.answers import erased_problem, principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.parameters import Identifier
from serving.api.transactions import note, tenant_transaction
from serving.consumers.consents import Purpose, Statement, standing, state
from serving.consumers.erased import consumer_digest
from serving.consumers.erasure import erase
from serving.consumers.errors import ConsentContradictsError, ConsumerErasedError, OrdersUnderWayError
from serving.problems import ApiError, invalid_parameter
from serving.scores.profile_cache import LEASE_S
from serving.security import Role, Scope

_OPERATOR = frozenset({Role.OPERATOR})
_AHEAD = timedelta(hours=1)
"""How far the sender's clock may be ahead: a statement of the far future would silence all later ones."""


class ConsentBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A consent, or its withdrawal."""

    purpose: Annotated[
        Purpose,
        msgspec.Meta(
            description="`marketing`: being contacted; `profiling`: automated conclusions from behaviour; "
            "`cross_merchant`: lists at a merchant made from what was bought at any merchant."
        ),
    ]
    granted: Annotated[bool, msgspec.Meta(description="False withdraws.")]
    stated_at: Annotated[
        datetime, msgspec.Meta(tz=True, description="When the consumer said so; the latest stands.")
    ]
    source: Annotated[
        str, msgspec.Meta(min_length=1, max_length=64, description="Where, e.g. `app_settings`.")
    ]


class ConsentAnswer(msgspec.Struct, frozen=True):
    """What stands now; `is_new` is false for a statement that was known."""

    consumer_id: str
    is_new: bool
    standing: Annotated[
        dict[str, bool], msgspec.Meta(description="Purpose to whether it is allowed, where it was stated.")
    ]


class ErasureAnswer(msgspec.Struct, frozen=True):
    """What an erasure did; again is safe and finds what came late."""

    is_new: bool
    pseudonym: Annotated[str, msgspec.Meta(description="The name that rows about money have since.")]
    removed_rows: int
    anonymised_rows: int


@post(
    "/consumers/{consumer_id:str}/consents",
    opt={"scope": Scope.CONSENTS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Consumers"],
    summary="State a consent or its withdrawal",
    status_code=200,
    responses=problem_responses(409, 410),
    sync_to_thread=True,
)
def post_consent(
    request: Request[Any, Any, Any], consumer_id: Identifier, data: ConsentBody
) -> ConsentAnswer:
    """Statements are kept for ever and the latest one stands, in whatever order they arrive.

    A withdrawal holds from the answer on, for every reader: what it forbids is `withheld` in profiles, and
    lists leave the consumer out. The same statement again changes nothing.
    """
    tenant_id = principal_of(request).tenant_id
    with _problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        if data.stated_at > now + _AHEAD:
            raise invalid_parameter("stated_at", f"it lies in the future of {now.isoformat()}")
        statement = Statement(consumer_id, data.purpose, data.granted, data.stated_at, data.source)
        is_new = state(conn, tenant_id, statement, now)
        stands = standing(conn, tenant_id, consumer_id)
        note(
            request,
            conn,
            "consent.state",
            "consumer",
            consumer_digest(tenant_id, consumer_id),
            outcome="done" if is_new else "repeated",
            details={"purpose": data.purpose, "granted": data.granted},
        )
    _until_every_process_knows()
    return ConsentAnswer(consumer_id, is_new, stands)


@post(
    "/consumers/{consumer_id:str}/erasure",
    opt={"scope": Scope.ERASURE_RUN, "roles": _OPERATOR, "owner": None},
    tags=["Consumers"],
    summary="Erase a person",
    status_code=200,
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_erasure(request: Request[Any, Any, Any], consumer_id: Identifier) -> ErasureAnswer:
    """Removes the person from profiles, lists, consents, events and recipients; it cannot be undone.

    Rows about money stay under a pseudonym. Later publications, deltas and events of the person are kept out
    by a tombstone that holds only a digest. Orders that are not received yet must be ended before.
    """
    tenant_id = principal_of(request).tenant_id
    with _problems(), tenant_transaction(request) as conn:
        done = erase(conn, tenant_id, consumer_id, now_of(request, conn))
        note(
            request,
            conn,
            "consumer.erase",
            "consumer",
            consumer_digest(tenant_id, consumer_id),
            outcome="done" if done.is_new else "repeated",
            details={"removed": done.removed, "anonymised": done.anonymised},
        )
    _until_every_process_knows()
    return ErasureAnswer(done.is_new, done.pseudonym, done.removed, done.anonymised)


def _until_every_process_knows() -> None:
    """After the commit: wait until no process may still answer from what it remembers."""
    time.sleep(LEASE_S)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except ConsentContradictsError as error:
        raise ApiError(409, "consent-contradicts", "Contradicting statements", str(error)) from error
    except ConsumerErasedError as error:
        raise erased_problem(error) from error
    except OrdersUnderWayError as error:
        raise ApiError(
            409,
            "orders-under-way",
            "Orders are under way",
            str(error),
            remedy="Have them received, or cancel them; then erase.",
        ) from error


CONSUMER_DECISION_ROUTES = (post_consent, post_erasure)
