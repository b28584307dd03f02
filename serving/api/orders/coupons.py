"""`/v1/coupon-programmes`: opening, consent of the funders, issuing codes. Redeemed at `POST /v1/orders`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import psycopg
from litestar import Request, get, post

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import IdempotencyKey, in_range, order_transaction
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note
from serving.audit import Detail, Outcome
from serving.db.idempotency import once
from serving.orders.coupons import issuing, store
from serving.orders.coupons.contracts import (
    ConsentRequest,
    CouponPage,
    CouponView,
    FunderView,
    IssueCoupons,
    OpenProgramme,
    ProgrammePage,
    ProgrammeView,
)
from serving.orders.coupons.programme import Programme, Share, Terms
from serving.orders.errors import NotFoundError
from serving.security import Principal, Role, Scope

_ISSUERS = frozenset({Role.OPERATOR, Role.MERCHANT})
_FUNDERS = frozenset({Role.OPERATOR, Role.MERCHANT, Role.SUPPLIER})
_READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.SUPPLIER})
_TERMS = tuple(Terms.__struct_fields__)


@post(
    "/coupon-programmes",
    opt={"scope": Scope.COUPONS_WRITE, "roles": _ISSUERS, "owner": None},
    tags=["Coupons"],
    summary="Open a coupon programme",
    responses=problem_responses(409),
    sync_to_thread=True,
)
def open_programme(
    request: Request[Any, Any, Any], data: OpenProgramme, idempotency_key: IdempotencyKey
) -> ProgrammeView:
    """In force once every funder agreed; the issuer agrees to its own share by opening it.

    A merchant's programme holds in its shop. Terms never change: close it and open another.
    """
    principal = principal_of(request)
    issuer = _party(principal)
    with order_transaction(request) as (conn, now):

        def work() -> tuple[int, ProgrammeView]:
            terms = _terms(data, issuer)
            made = store.open_programme(
                conn, principal.tenant_id, *issuer, data.name, terms, _by(principal), now
            )
            return 201, _views(conn, principal, [made])[0]

        operation = f"coupon_programme.open {'/'.join(issuer)}"
        answer = once(conn, principal, operation, idempotency_key, data, work)
        view = msgspec.convert(answer.document, ProgrammeView)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        details: dict[str, Detail] = {"budget_cents": view.budget_cents, "terms_digest": view.terms_digest}
        note(
            request,
            conn,
            "coupon_programme.open",
            "coupon_programme",
            view.programme_id,
            outcome=outcome,
            details=details,
        )
        return view


@get(
    "/coupon-programmes",
    opt={"scope": Scope.COUPONS_READ, "roles": _READERS, "owner": None},
    tags=["Coupons"],
    summary="Coupon programmes by id",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_programmes(
    request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None
) -> ProgrammePage:
    """A party sees those that it issued or bears a share of; operators and auditors see all."""
    principal = principal_of(request)
    position = read_cursor(cursor, "coupon_programmes")
    party = _party(principal) if principal.party_id is not None else None
    with order_transaction(request) as (conn, _):
        after = str(position.key[0]) if position else ""
        found = store.page(conn, principal.tenant_id, party, after=after, limit=limit + 1)
        views = _views(conn, principal, found[:limit])
    following = cursor_after(found, limit, "coupon_programmes", lambda one: [one.programme_id])
    return ProgrammePage(programmes=views, next_cursor=following)


@get(
    "/coupon-programmes/{programme_id:str}",
    opt={"scope": Scope.COUPONS_READ, "roles": _READERS, "owner": None},
    tags=["Coupons"],
    summary="One coupon programme",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_programme(request: Request[Any, Any, Any], programme_id: Identifier) -> ProgrammeView:
    """Its terms with their digest, who agreed to them, and what was spent."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        return _views(conn, principal, [_reachable(conn, principal, programme_id)])[0]


@post(
    "/coupon-programmes/{programme_id:str}/consent",
    opt={"scope": Scope.COUPONS_WRITE, "roles": _FUNDERS, "owner": None},
    tags=["Coupons"],
    summary="Agree to bear a share",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def consent_to_programme(
    request: Request[Any, Any, Any], programme_id: Identifier, data: ConsentRequest
) -> ProgrammeView:
    """A funder's own key agrees to the terms that it read; an operator's agrees for the platform only."""
    principal = principal_of(request)
    party_type, party_id = _party(principal)
    with order_transaction(request) as (conn, now):
        _reachable(conn, principal, programme_id)
        is_new = store.consent(
            conn,
            principal.tenant_id,
            programme_id,
            party_type,
            party_id,
            data.terms_digest,
            _by(principal),
            now,
        )
        note(
            request,
            conn,
            "coupon_programme.consent",
            "coupon_programme",
            programme_id,
            outcome="done" if is_new else "repeated",
            details={"terms_digest": data.terms_digest},
        )
        return _views(conn, principal, [store.find(conn, principal.tenant_id, programme_id)])[0]


@post(
    "/coupon-programmes/{programme_id:str}/close",
    opt={"scope": Scope.COUPONS_WRITE, "roles": _FUNDERS, "owner": None},
    tags=["Coupons"],
    summary="End a coupon programme",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def close_programme(request: Request[Any, Any, Any], programme_id: Identifier) -> ProgrammeView:
    """By its issuer, a funder that takes its consent back, or an operator; what was redeemed stands."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        _reachable(conn, principal, programme_id)
        is_new = store.close(conn, principal.tenant_id, programme_id, _by(principal), now)
        outcome: Outcome = "done" if is_new else "repeated"
        note(
            request,
            conn,
            "coupon_programme.close",
            "coupon_programme",
            programme_id,
            outcome=outcome,
        )
        return _views(conn, principal, [store.find(conn, principal.tenant_id, programme_id)])[0]


@post(
    "/coupon-programmes/{programme_id:str}/coupons",
    opt={"scope": Scope.COUPONS_WRITE, "roles": _ISSUERS, "owner": None},
    tags=["Coupons"],
    summary="Issue coupons",
    responses=problem_responses(404, 409, 410),
    sync_to_thread=True,
)
def issue_coupons(
    request: Request[Any, Any, Any],
    programme_id: Identifier,
    data: IssueCoupons,
    idempotency_key: IdempotencyKey,
) -> CouponPage:
    """By the issuer of the programme, once every funder agreed."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        _issuers_own(conn, principal, programme_id)

        def work() -> tuple[int, CouponPage]:
            ends = None if data.expires_at is None else in_range("expires_at", data.expires_at)
            made = issuing.issue(
                conn,
                principal.tenant_id,
                programme_id,
                now,
                count=data.count,
                consumer_id=data.consumer_id,
                max_uses=data.max_uses,
                expires_at=ends,
            )
            return 201, CouponPage(coupons=[_coupon(coupon, now) for coupon in made], next_cursor=None)

        operation = f"coupon.issue {programme_id}"
        answer = once(conn, principal, operation, idempotency_key, data, work)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        note(
            request,
            conn,
            "coupon.issue",
            "coupon_programme",
            programme_id,
            outcome=outcome,
            details={"count": data.count},
        )
        return msgspec.convert(answer.document, CouponPage)


@get(
    "/coupon-programmes/{programme_id:str}/coupons",
    opt={"scope": Scope.COUPONS_WRITE, "roles": _ISSUERS, "owner": None},
    tags=["Coupons"],
    summary="Coupons of a programme by code",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def list_coupons(
    request: Request[Any, Any, Any],
    programme_id: Identifier,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> CouponPage:
    """For the issuer and operators only: who reads a code can use it."""
    principal = principal_of(request)
    position = read_cursor(cursor, "coupons")
    with order_transaction(request) as (conn, now):
        _issuers_own(conn, principal, programme_id)
        after = str(position.key[0]) if position else ""
        found = issuing.page(conn, principal.tenant_id, programme_id, after=after, limit=limit + 1)
        note(request, conn, "coupon.list", "coupon_programme", programme_id)
    shown = [_coupon(coupon, now) for coupon in found[:limit]]
    following = cursor_after(found, limit, "coupons", lambda one: [one.code])
    return CouponPage(coupons=shown, next_cursor=following)


def _party(principal: Principal) -> tuple[str, str]:
    """Whom the key speaks for here: its party, or else the platform."""
    return ("platform", "") if principal.party_id is None else (str(principal.role), principal.party_id)


def _by(principal: Principal) -> str:
    return f"key:{principal.key_id}"


def _reachable(conn: psycopg.Connection[Any], principal: Principal, programme_id: str) -> Programme:
    """The programme, if the key may know of it; else both look the same.

    Raises:
        NotFoundError: There is none, or none of this party.
    """
    programme = store.find(conn, principal.tenant_id, programme_id)
    if principal.party_id is not None and not programme.concerns(*_party(principal)):
        raise NotFoundError("coupon-programme", programme_id)
    return programme


def _issuers_own(conn: psycopg.Connection[Any], principal: Principal, programme_id: str) -> None:
    programme = store.find(conn, principal.tenant_id, programme_id)
    if principal.party_id is not None and (programme.issuer_type, programme.issuer_id) != _party(principal):
        raise NotFoundError("coupon-programme", programme_id)


def _terms(data: OpenProgramme, issuer: tuple[str, str]) -> Terms:
    shops = tuple(data.merchant_ids)
    if not shops and issuer[0] == "merchant":
        shops = (issuer[1],)
    values = {name: getattr(data, name) for name in _TERMS} | {
        "funders": tuple(
            Share(party_type=share.party_type, share_bps=share.share_bps, party_id=share.party_id or "")
            for share in data.funders
        ),
        "valid_from": in_range("valid_from", data.valid_from),
        "valid_to": in_range("valid_to", data.valid_to),
        "gives_back": tuple(sorted(set(data.gives_back))),
        "merchant_ids": shops,
        "category_ids": tuple(data.category_ids),
        "sku_ids": tuple(data.sku_ids),
    }
    return Terms(**values)


def _views(
    conn: psycopg.Connection[Any], principal: Principal, programmes: list[Programme]
) -> list[ProgrammeView]:
    ids = [programme.programme_id for programme in programmes]
    consents = store.consents_of(conn, principal.tenant_id, ids)
    return [_view(programme, consents) for programme in programmes]


def _view(programme: Programme, consents: dict[tuple[str, str, str], datetime | None]) -> ProgrammeView:
    terms = programme.terms
    shown = {name: getattr(terms, name) for name in _TERMS if name != "funders"}
    lists = {name: list(shown[name]) for name in ("gives_back", "merchant_ids", "category_ids", "sku_ids")}
    return ProgrammeView(
        programme_id=programme.programme_id,
        issuer_type=programme.issuer_type,
        issuer_id=programme.issuer_id or None,
        name=programme.name,
        status=programme.status,
        terms_digest=terms.digest(),
        spent_cents=programme.spent_cents,
        spent_count=programme.spent_count,
        funders=[
            FunderView(
                party_type=share.party_type,
                party_id=share.party_id or None,
                share_bps=share.share_bps,
                consented_at=consents[programme.programme_id, share.party_type, share.party_id],
            )
            for share in terms.funders
        ],
        **(shown | lists),
    )


def _coupon(coupon: issuing.Coupon, now: datetime) -> CouponView:
    values = {name: getattr(coupon, name) for name in issuing.Coupon.__dataclass_fields__}
    return CouponView(**values, state=coupon.state(now))


COUPON_ROUTES = (
    close_programme,
    consent_to_programme,
    get_programme,
    issue_coupons,
    list_coupons,
    list_programmes,
    open_programme,
)
"""Handlers of this resource, for the application."""
