"""Errors of the HTTP API as RFC 9457 problem documents. Which request fails is decided elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import psycopg
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap

from serving.db.retries import reason_of
from serving.errors import DatabaseUnavailableError, KeyConflictError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:muyun:problem:"
LOST_TRANSACTION = "lost_transaction"
"""Where the state of a request says why PostgreSQL ended its transaction; `serving.api.retries` reads it."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one parameter."""

    parameter: str
    message: str


class DecidedBefore(msgspec.Struct, frozen=True):
    """Who was first in a lost race: by which key, when, and what was done."""

    by: str
    at: datetime
    what: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as RFC 9457 describes it, with the request id and, where there is one, the remedy."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    remedy: str | None = None
    errors: list[FieldError] | None = None
    decided: DecidedBefore | None = None


class ApiError(Exception):
    """An expected failure of a request.

    Attributes:
        status: HTTP status.
        slug: Last part of the problem type, e.g. `merchant-not-found`.
        title: Short text that is the same for every occurrence.
        detail: What happened to this request.
        remedy: What the caller or the operator can do.
        errors: Faulty parameters.
        headers: Extra response headers.
        decided: Who was first, when the request lost a race.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        remedy: str | None = None,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
        decided: DecidedBefore | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.remedy = remedy
        self.errors = errors
        self.headers = headers or {}
        self.decided = decided


def not_found(slug: str, what: str, name: str) -> ApiError:
    """404 for a thing that the current publication does not know."""
    return ApiError(404, f"{slug}-not-found", f"{what} not found", f"{what} {name!r} is not published.")


def invalid_parameter(parameter: str, message: str) -> ApiError:
    """422 for one parameter."""
    return ApiError(
        422,
        "invalid-parameter",
        "Invalid parameter",
        f"{parameter}: {message}",
        errors=[FieldError(parameter, message)],
    )


def no_publication() -> ApiError:
    """503 while nothing was ever published."""
    return ApiError(
        503,
        "no-publication",
        "Nothing is published yet",
        "No version of the scores is published.",
        remedy="Run the publish step (`make run`), then ask again.",
        headers={"Retry-After": "5"},
    )


def exception_handlers() -> ExceptionHandlersMap:
    """Exception type to handler, for the application."""
    return {
        ApiError: _api_error,
        psycopg.errors.DeadlockDetected: _lost_transaction,
        psycopg.errors.SerializationFailure: _lost_transaction,
        psycopg.DataError: _bad_data,
        DatabaseUnavailableError: _database_unavailable,
        KeyConflictError: _key_conflict,
        ValidationException: _validation,
        HTTPException: _http_exception,
        Exception: _unexpected,
    }


def _respond(request: Request[Any, Any, Any], error: ApiError) -> Response[bytes]:
    problem = Problem(
        type=TYPE_PREFIX + error.slug,
        title=error.title,
        status=error.status,
        detail=error.detail,
        instance=request.url.path,
        request_id=request.scope["state"].get("request_id", ""),
        remedy=error.remedy,
        errors=error.errors,
        decided=error.decided,
    )
    return Response(
        msgspec.json.encode(problem),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )


def _api_error(request: Request[Any, Any, Any], error: ApiError) -> Response[bytes]:
    return _respond(request, error)


def _database_unavailable(
    request: Request[Any, Any, Any], error: DatabaseUnavailableError
) -> Response[bytes]:
    structlog.get_logger().warning("database_unavailable", reason=str(error))
    return _respond(
        request,
        ApiError(
            503,
            "database-unavailable",
            "The database does not answer",
            "The request needs PostgreSQL, which does not answer right now.",
            remedy="Start PostgreSQL (`python -m serving.db.embedded start`, or the server of "
            "MUYUN_DATABASE_URL). The API recovers by itself when it is back.",
            headers={"Retry-After": "1"},
        ),
    )


def _lost_transaction(request: Request[Any, Any, Any], error: psycopg.OperationalError) -> Response[bytes]:
    request.scope["state"][LOST_TRANSACTION] = reason_of(error)
    return _respond(
        request,
        ApiError(
            503,
            "busy",
            "Too much at once",
            "Other requests held what this one needed, time after time; nothing was changed.",
            remedy="Send the same request again.",
            headers={"Retry-After": "1"},
        ),
    )


def _bad_data(request: Request[Any, Any, Any], error: psycopg.DataError) -> Response[bytes]:
    """Free texts are not looked through for the one character that PostgreSQL keeps in none."""
    is_nul = isinstance(error, psycopg.errors.UntranslatableCharacter) or "NUL (0x00)" in str(error)
    if not is_nul:
        return _unexpected(request, error)
    return _respond(
        request,
        ApiError(
            422,
            "invalid-parameter",
            "Invalid parameter",
            "A text holds the character U+0000, which is kept nowhere; nothing was changed.",
            remedy="Leave it out.",
        ),
    )


def _key_conflict(request: Request[Any, Any, Any], error: KeyConflictError) -> Response[bytes]:
    return _respond(
        request,
        ApiError(
            409,
            "idempotency-conflict",
            "The key stands for another body",
            str(error),
            remedy="Send the first body again, or another body under a new key.",
        ),
    )


def _validation(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    extra = error.extra if isinstance(error.extra, list) else []
    found = [
        FieldError(str(item.get("key", "")), str(item.get("message", "")))
        for item in extra
        if isinstance(item, dict)
    ]
    detail = "; ".join(f"{item.parameter}: {item.message}" for item in found) or error.detail
    return _respond(
        request, ApiError(422, "invalid-parameter", "Invalid parameter", detail, errors=found or None)
    )


def _http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    headers = dict(error.headers or {})
    if isinstance(error, MethodNotAllowedException):
        detail = f"{request.method} is not possible here; see /v1/docs for what is."
        return _respond(
            request, ApiError(405, "method-not-allowed", "Method not allowed", detail, headers=headers)
        )
    if isinstance(error, NotFoundException):
        return _respond(
            request,
            ApiError(
                404,
                "route-not-found",
                "No such resource",
                "There is no resource at this path.",
                remedy="See /v1/docs for the resources.",
            ),
        )
    if error.status_code == 400:
        # The framework answers a body that it cannot read with 400; here everything faulty is 422.
        return _respond(request, ApiError(422, "malformed-body", "The body cannot be read", error.detail))
    return _respond(
        request,
        ApiError(error.status_code, "http-error", "Request refused", error.detail, headers=headers),
    )


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    structlog.get_logger().error(
        "unexpected_error", request_id=request.scope["state"].get("request_id"), exc_info=error
    )
    return _respond(
        request,
        ApiError(
            500,
            "internal-error",
            "Internal error",
            "The request failed for a reason that is not the caller's.",
            remedy="Give the request_id to the operator, who finds the cause in the log.",
        ),
    )
