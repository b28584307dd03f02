"""`/v1/calendar`: in whose time zone the days and months of the tenant begin."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get, put
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.transactions import note, tenant_transaction
from serving.db.calendar import CalendarError, ZoneStaysError, set_zone, zone_of
from serving.problems import ApiError, invalid_parameter
from serving.security import Role, Scope


class Calendar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calendar of a tenant."""

    time_zone: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z0-9_+\-/]+(?!\n)$",
            examples=["Asia/Shanghai"],
            description="Name of the IANA data base; UTC until one is set.",
        ),
    ]


@get(
    "/calendar",
    opt={
        "scope": Scope.SETTLEMENT_READ,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR}),
        "owner": None,
    },
    tags=["Settlement"],
    summary="The tenant's time zone",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_calendar(request: Request[Any, Any, Any]) -> Calendar:
    """In it are told days of budgets, months of statements and tiers, Mondays of pay-outs, years of tax."""
    principal = principal_of(request)
    with tenant_transaction(request) as conn:
        found = zone_of(conn, principal.tenant_id).key
        note(request, conn, "calendar.read", "tenant", principal.tenant_id)
    return Calendar(time_zone=found)


@put(
    "/calendar",
    opt={"scope": Scope.SETTLEMENT_APPROVE, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Settlement"],
    summary="Set the tenant's time zone",
    responses=problem_responses(409),
    sync_to_thread=True,
)
def put_calendar(request: Request[Any, Any, Any], data: Calendar) -> Calendar:
    """Before its first month is closed; after that another one is 409 `period-closed`."""
    principal = principal_of(request)
    try:
        with tenant_transaction(request) as conn:
            set_zone(conn, principal.tenant_id, data.time_zone)
            details = {"time_zone": data.time_zone}
            note(request, conn, "calendar.set", "tenant", principal.tenant_id, details=details)
    except ZoneStaysError as error:
        raise ApiError(409, "period-closed", "The period is closed", str(error)) from error
    except CalendarError as error:
        raise invalid_parameter("time_zone", str(error)) from error
    return data


CALENDAR_ROUTES = (get_calendar, put_calendar)
"""Handlers of this resource, for the application."""
