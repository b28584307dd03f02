"""`/v1/supply-alarms`: what the supply watch found, what could be done about it, and who does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import psycopg
from litestar import Request, get, post, put
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import loss_rules_of, routing_cost_of
from serving.api.parameters import CursorText, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.orders.contracts import Cents, Id
from serving.security import Principal, Role, Scope
from serving.watch.alarms.life import acknowledge, assign, resolve, service_levels
from serving.watch.alarms.records import Alarm, Whose, alarm_of, alarms_page, steps_of
from serving.watch.alternatives.policies import Policy, policies_of, put_policy
from serving.watch.alternatives.records import alternatives_of
from serving.watch.alternatives.taking import carry_out, decide

_READ = {
    "scope": Scope.WATCH_READ,
    "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.SUPPLIER, Role.MERCHANT}),
    "owner": None,
}
_READ_ALL = {
    "scope": Scope.WATCH_READ,
    "roles": frozenset({Role.OPERATOR, Role.AUDITOR}),
    "owner": None,
}
_WRITE = {"scope": Scope.WATCH_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None}
_ONE = "/supply-alarms/{alarm_id:int}"
_MOST_STEPS = 200
_AlarmId = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="Number of the alarm.")]
_OptionNo = Annotated[int, Parameter(ge=1, le=100, description="Number of the alternative.")]
_Days = Annotated[int, Parameter(ge=1, le=366, description="Alarms opened within so many days.")]
_Reason = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}(?!\n)$", examples=["carrier_confirmed"])]
_Call = Request[Any, Any, Any]


class _Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is taken: a misspelt field is told, not ignored."""


class AlarmView(Struct, frozen=True, kw_only=True):
    """An alarm."""

    alarm_id: int
    kind: Annotated[str, Meta(description="`delay` of a parcel, `capacity` of a supplier or warehouse.")]
    object_id: Annotated[str, Meta(description="The parcel, or whose capacity.")]
    supplier_id: str | None
    order_id: str | None
    state: Annotated[
        str, Meta(description="`open`, `acknowledged`, `assigned`, `resolved` or `cleared` (cause gone).")
    ]
    evidence: Annotated[dict[str, Any], Meta(description="Numbers of the newest judgement.")]
    opened_at: datetime
    acknowledged_at: datetime | None
    assigned_to: str | None
    closed_at: datetime | None
    reason_code: str | None


class AlarmPage(Struct, frozen=True, kw_only=True):
    """Alarms by number."""

    alarms: list[AlarmView]
    next_cursor: str | None


class AlarmStep(Struct, frozen=True, kw_only=True):
    """A step of an alarm's life."""

    event: str
    happened_at: datetime
    details: dict[str, Any]


class AlternativeView(Struct, frozen=True, kw_only=True):
    """What could be done."""

    option_no: int
    kind: Annotated[
        str,
        Meta(
            description="`other_supplier` (cheapest), `other_warehouse` (cheapest from another region),"
            " `faster` (earliest, whatever it costs), `transfer` (from another warehouse of the same"
            " supplier; units that do not lie there are transferred) or `later_date` (all stays)."
        ),
    ]
    moved_lines: int
    transferred_qty: Annotated[int, Meta(description="Units that a `transfer` has brought elsewhere.")]
    lines: Annotated[int, Meta(description="Lines that the alarm concerns.")]
    cost_change_cents: Cents
    arrival_change_days: Annotated[
        float | None,
        Meta(description="Against staying and waiting; of `later_date` how much later than promised."),
    ]
    is_takeable: Annotated[bool, Meta(description="False where goods have left.")]
    taken_at: datetime | None


class AlarmDetails(Struct, frozen=True, kw_only=True):
    """An alarm with its life and what could be done; alternatives are for operators and auditors."""

    alarm: AlarmView
    steps: list[AlarmStep]
    alternatives: list[AlternativeView]


class AssignAlarm(_Body, frozen=True, kw_only=True):
    """Who looks after it."""

    assigned_to: Annotated[str, Meta(min_length=1, max_length=128, description="A name of yours.")]


class ResolveAlarm(_Body, frozen=True, kw_only=True):
    """Why nothing more is to be done."""

    reason_code: _Reason


class ServiceLevelView(Struct, frozen=True, kw_only=True):
    """How alarms of a kind were looked after: seen within an hour, closed within a day."""

    kind: str
    opened: int
    open_now: int
    oldest_open_hours: float | None
    seen_in_time: int
    closed_in_time: int
    median_hours_to_close: float | None


class ServiceLevels(Struct, frozen=True, kw_only=True):
    """By kind."""

    levels: list[ServiceLevelView]


class AlarmPolicy(_Body, frozen=True, kw_only=True):
    """Whether lines of a category go to another supplier by themselves when theirs fails."""

    category_id: Annotated[Id, Meta(description="With all below it; `*`: every one without a policy.")]
    mode: Literal["auto", "ask"]
    max_extra_cents: Annotated[Cents, Meta(description="`auto`: most that a line may cost more.")] = 0


class AlarmPolicies(Struct, frozen=True, kw_only=True):
    """Policies by category."""

    policies: list[AlarmPolicy]


@get(
    "/supply-alarms",
    opt=_READ,
    tags=["Supply"],
    summary="Alarms of the supply watch",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_alarms(
    request: _Call,
    kind: Annotated[Literal["delay", "capacity"] | None, Parameter(description="Only these.")] = None,
    is_open: Annotated[bool | None, Parameter(description="Only open or only closed ones.")] = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> AlarmPage:
    """By number. A supplier sees its own, a merchant those of its orders' parcels."""
    principal = principal_of(request)
    position = read_cursor(cursor, "supply_alarms")
    with typed_problems(), tenant_transaction(request) as conn:
        found = alarms_page(
            conn,
            principal.tenant_id,
            whose_of(principal),
            kind=kind,
            is_open=is_open,
            after=int(position.key[0]) if position else 0,
            limit=limit + 1,
        )
    shown = found[:limit]
    return AlarmPage(
        alarms=[_view(one) for one in shown],
        next_cursor=cursor_after(found, limit, "supply_alarms", lambda one: [one.alarm_id]),
    )


@get(
    _ONE,
    opt=_READ,
    tags=["Supply"],
    summary="An alarm with its life and alternatives",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_alarm(request: _Call, alarm_id: _AlarmId) -> AlarmDetails:
    """What was judged, who did what, and what could be done."""
    with typed_problems(), tenant_transaction(request) as conn:
        return _details(request, conn, alarm_id)


@get(
    "/supply-alarm-levels",
    opt=_READ_ALL,
    tags=["Supply"],
    summary="Ages and service levels of alarms",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_service_levels(request: _Call, days: _Days = 30) -> ServiceLevels:
    """Of the alarms opened within some days, by kind."""
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        found = service_levels(conn, principal_of(request).tenant_id, now - timedelta(days=days), now)
    return ServiceLevels(levels=[ServiceLevelView(**asdict(one)) for one in found])


@post(
    _ONE + "/acknowledge",
    opt=_WRITE,
    tags=["Supply"],
    summary="Somebody has seen an alarm",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_acknowledge(request: _Call, alarm_id: _AlarmId) -> AlarmView:
    """Seen before, nothing changes."""
    return _act(
        request,
        alarm_id,
        "acknowledge",
        lambda conn, who, now: acknowledge(conn, who.tenant_id, alarm_id, who.key_id, now),
    )


@post(
    _ONE + "/assign",
    opt=_WRITE,
    tags=["Supply"],
    summary="Somebody looks after an alarm",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_assign(request: _Call, alarm_id: _AlarmId, data: AssignAlarm) -> AlarmView:
    """Who looks after it has seen it."""
    return _act(
        request,
        alarm_id,
        "assign",
        lambda conn, who, now: assign(conn, who.tenant_id, alarm_id, data.assigned_to, who.key_id, now),
    )


@post(
    _ONE + "/resolve",
    opt=_WRITE,
    tags=["Supply"],
    summary="Close an alarm with a reason",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_resolve(request: _Call, alarm_id: _AlarmId, data: ResolveAlarm) -> AlarmView:
    """While its cause stands, no other alarm of its kind and object opens."""
    return _act(
        request,
        alarm_id,
        "resolve",
        lambda conn, who, now: resolve(conn, who.tenant_id, alarm_id, data.reason_code, who.key_id, now),
    )


@post(
    _ONE + "/alternatives/{option_no:int}/take",
    opt=_WRITE,
    tags=["Supply"],
    summary="Take an alternative",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_take(request: _Call, alarm_id: _AlarmId, option_no: _OptionNo) -> AlarmDetails:
    """Lines go to the suppliers named, order by order; what those cannot take any more stays.

    Sent again it goes on where it was interrupted; nothing is done twice.
    """
    principal = principal_of(request)
    with typed_problems():
        with tenant_transaction(request) as conn:
            now = now_of(request, conn)
            decide(conn, principal.tenant_id, alarm_id, option_no, principal.key_id, now)
            note(request, conn, "supply_alarm.take", "supply_alarm", str(alarm_id))
        carry_out(
            lambda: tenant_transaction(request),
            principal.tenant_id,
            now,
            loss_rules_of(request),
            routing_cost_of(request),
        )
        with tenant_transaction(request) as conn:
            return _details(request, conn, alarm_id)


@get(
    "/supply-alarm-policies",
    opt=_READ_ALL,
    tags=["Supply"],
    summary="Which categories re-route by themselves",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_alarm_policies(request: _Call) -> AlarmPolicies:
    """By category; without a policy a person takes an alternative."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = policies_of(conn, principal_of(request).tenant_id)
    return AlarmPolicies(policies=[AlarmPolicy(**asdict(one)) for one in found])


@put(
    "/supply-alarm-policies",
    opt=_WRITE,
    tags=["Supply"],
    summary="State a category's policy",
    responses=problem_responses(),
    sync_to_thread=True,
)
def put_alarm_policy(request: _Call, data: AlarmPolicy) -> AlarmPolicy:
    """It counts for the alarms that open from now on."""
    with typed_problems(), tenant_transaction(request) as conn:
        policy = Policy(data.category_id, data.mode, data.max_extra_cents)
        put_policy(conn, principal_of(request).tenant_id, policy, now_of(request, conn))
        note(request, conn, "supply_alarm_policy.state", "category", data.category_id)
    return data


ALARM_ROUTES = (
    list_alarms,
    get_alarm,
    get_service_levels,
    post_acknowledge,
    post_assign,
    post_resolve,
    post_take,
    get_alarm_policies,
    put_alarm_policy,
)
"""Handlers of this resource, for the application."""


def _act(
    request: _Call,
    alarm_id: int,
    verb: str,
    act: Callable[[psycopg.Connection[Any], Principal, datetime], Alarm],
) -> AlarmView:
    with typed_problems(), tenant_transaction(request) as conn:
        alarm = act(conn, principal_of(request), now_of(request, conn))
        note(request, conn, f"supply_alarm.{verb}", "supply_alarm", str(alarm_id))
    return _view(alarm)


def whose_of(principal: Principal) -> Whose:
    """What the key of a party may see."""
    if principal.role is Role.SUPPLIER:
        return Whose(supplier_id=principal.party_id)
    if principal.role is Role.MERCHANT:
        return Whose(merchant_id=principal.party_id)
    return Whose()


def _details(request: _Call, conn: psycopg.Connection[Any], alarm_id: int) -> AlarmDetails:
    principal = principal_of(request)
    alarm = alarm_of(conn, principal.tenant_id, alarm_id, whose_of(principal))
    steps = steps_of(conn, principal.tenant_id, alarm_id, limit=_MOST_STEPS)
    # Other suppliers' prices and stock are none of a party's business.
    sees_all = principal.role in (Role.OPERATOR, Role.AUDITOR)
    options = alternatives_of(conn, principal.tenant_id, alarm_id) if sees_all else []
    return AlarmDetails(
        alarm=_view(alarm),
        steps=[
            AlarmStep(event=one.event, happened_at=one.happened_at, details=dict(one.details))
            for one in steps
        ],
        alternatives=[
            AlternativeView(
                option_no=one.option_no,
                kind=one.kind,
                moved_lines=len(one.moves),
                transferred_qty=sum(
                    move["qty"] for move in one.moves if move.get("brought_days") is not None
                ),
                lines=one.lines,
                cost_change_cents=one.cost_change_cents,
                arrival_change_days=one.arrival_change_days,
                is_takeable=one.is_takeable,
                taken_at=one.taken_at,
            )
            for one in options
        ],
    )


def _view(alarm: Alarm) -> AlarmView:
    return AlarmView(
        **{name: getattr(alarm, name) for name in AlarmView.__struct_fields__ if name != "evidence"},
        evidence=dict(alarm.evidence),
    )
