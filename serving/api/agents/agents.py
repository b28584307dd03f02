"""`/v1/agents`: who sells for whom, what stands against an agent, and where an agent is protected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import psycopg
from litestar import Request, get, post, put
from litestar.params import Parameter

from serving.agents import errors
from serving.agents.composition_review import reviews_of
from serving.agents.deposit_postings import deposit_due, held_deposit
from serving.agents.party_holds import standing_holds
from serving.agents.region_records import (
    FieldCounts,
    ProtectedRegion,
    protect,
    regions_of,
    review_diversion,
)
from serving.agents.relations import Agent, Joining, downline, find, join, page, upline
from serving.agents.rules import rule_for
from serving.agents.violation_records import (
    Report,
    decide_termination,
    record_violation,
    standing_points,
    violations_of,
    withdraw_violation,
)
from serving.api.agents.agent_documents import (
    AgentDetail,
    AgentLine,
    AgentPage,
    DiversionAnswer,
    DiversionBody,
    JoiningBody,
    ProtectionBody,
    RegionLine,
    TerminationBody,
    ViolationBody,
    ViolationOutcome,
    agent_line,
    composition_lines,
    diversion_answer,
    hold_lines,
    region_lines,
    relative_lines,
    violation_line,
    violation_outcome,
)
from serving.api.answers import erased_problem, principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, OptionalIdentifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.consumers.errors import ConsumerErasedError
from serving.problems import ApiError, invalid_parameter
from serving.security import Role, Scope
from serving.settlement.plans.rules import DepositRule, RegionRule, ViolationRule

_READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.AGENT})
_WRITERS = frozenset({Role.OPERATOR, Role.MERCHANT})
_OPERATORS = frozenset({Role.OPERATOR})
_PROBLEMS: tuple[tuple[type[errors.AgentsError], int, str, str], ...] = (
    (errors.UnknownAgentError, 404, "agent-not-found", "Agent not found"),
    (errors.ReviewError, 409, "no-open-review", "No review is open"),
    (errors.AgentConflictError, 409, "agent-conflict", "It exists with other content"),
    (errors.RegionTakenError, 409, "region-taken", "The region is protected already"),
    (errors.RelationDepthError, 409, "relation-too-deep", "The relation would be too deep"),
    (errors.JoinRefusedError, 409, "relation-refused", "The relation is refused"),
    (errors.UnknownSceneError, 404, "scene-not-found", "Scene not found"),
    (errors.SceneRefusedError, 409, "scene-refused", "The scene is refused"),
    (errors.InvitationRefusedError, 409, "invitation-refused", "The invitation is refused"),
)
ViolationId = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="Number of the violation.")]


def _access(scope: Scope, roles: frozenset[Role], owner: str | None = None) -> dict[str, object]:
    return {"scope": scope, "roles": roles, "owner": owner}


@post(
    "/agents",
    opt=_access(Scope.AGENTS_WRITE, _WRITERS),
    tags=["Agents"],
    summary="Take in an agent",
    responses=problem_responses(409, 410),
    sync_to_thread=True,
)
def post_agent(request: Request[Any, Any, Any], data: JoiningBody) -> AgentLine:
    """The inviter is fixed for good; the same request again changes nothing.

    A merchant's key takes in agents of its merchant; contract, verification and company form are stated by
    operators.
    """
    principal = principal_of(request)
    merchant_id = data.merchant_id or principal.merchant_id
    if principal.role is Role.MERCHANT:
        principal.require_merchant(merchant_id or "")
        if data.has_contract or data.is_verified or not data.is_natural_person:
            raise invalid_parameter(
                "has_contract, is_verified, is_natural_person", "only an operator states them; leave them out"
            )
    values = {name: getattr(data, name) for name in JoiningBody.__struct_fields__}
    with agent_problems(), tenant_transaction(request) as conn:
        agent, is_new = join(conn, principal.tenant_id, Joining(**{**values, "merchant_id": merchant_id}))
        _note(request, conn, "agent.join", agent.agent_id, is_new)
    return agent_line(agent)


@get(
    "/agents",
    opt=_access(Scope.AGENTS_READ, _READERS, "merchant"),
    tags=["Agents"],
    summary="Agents by id",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_agents(
    request: Request[Any, Any, Any],
    merchant_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> AgentPage:
    """Operators and auditors see all, a merchant its own agents, an agent itself."""
    principal = principal_of(request)
    position = read_cursor(cursor, "agents")
    with tenant_transaction(request) as conn:
        found = page(
            conn,
            merchant_id=merchant_id or principal.merchant_id,
            agent_id=principal.party_id if principal.role is Role.AGENT else None,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
        note(request, conn, "agent.list", "agent", "*")
    shown = found[:limit]
    return AgentPage(
        agents=[agent_line(agent) for agent in shown],
        next_cursor=cursor_after(found, limit, "agents", lambda one: [one.agent_id]),
    )


@get(
    "/agents/{agent_id:str}",
    opt=_access(Scope.AGENTS_READ, _READERS),
    tags=["Agents"],
    summary="One agent: tree, deposit, points, holds",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_agent(request: Request[Any, Any, Any], agent_id: Identifier) -> AgentDetail:
    """Everything that stands for and against an agent, each hold with its reason."""
    tenant_id = principal_of(request).tenant_id
    with agent_problems(), tenant_transaction(request) as conn:
        agent = _reachable(request, conn, agent_id)
        now = now_of(request, conn)
        deposits = rule_for(conn, tenant_id, agent, DepositRule, now)
        detail = AgentDetail(
            agent=agent_line(agent),
            upline=relative_lines(upline(conn, agent_id)),
            downline=relative_lines(downline(conn, agent_id)),
            points=standing_points(conn, tenant_id, agent_id, now),
            violations=[violation_line(item) for item in violations_of(conn, tenant_id, agent_id)],
            holds=hold_lines(standing_holds(conn, tenant_id, agent_id, now)),
            deposit_held_cents=held_deposit(conn, agent_id),
            deposit_required_cents=deposit_due(conn, tenant_id, agent_id, deposits, now) if deposits else 0,
            protected_regions=region_lines(regions_of(conn, tenant_id, agent_id)),
            compositions=composition_lines(reviews_of(conn, tenant_id, agent_id)),
        )
        note(request, conn, "agent.read", "agent", agent_id)
    return detail


@post(
    "/agents/{agent_id:str}/violations",
    opt=_access(Scope.AGENTS_WRITE, _OPERATORS),
    tags=["Agents"],
    summary="Report a violation",
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_violation(
    request: Request[Any, Any, Any], agent_id: Identifier, data: ViolationBody
) -> ViolationOutcome:
    """Points by severity, and what follows from their sum: warning, hold, lower tier, review."""
    tenant_id = principal_of(request).tenant_id
    with agent_problems(), tenant_transaction(request) as conn:
        agent = _reachable(request, conn, agent_id)
        now = now_of(request, conn)
        if data.occurred_at > now:
            raise invalid_parameter("occurred_at", "it lies in the future")
        report = Report(agent_id, data.severity, data.reason_code, data.occurred_at, data.reference)
        outcome = record_violation(conn, tenant_id, report, _violation_rule(request, conn, agent), now)
        _note(request, conn, "violation.report", agent_id, outcome.is_new, points=outcome.points)
    return violation_outcome(outcome)


@post(
    "/agents/{agent_id:str}/violations/{violation_id:int}/withdrawal",
    opt=_access(Scope.AGENTS_WRITE, _OPERATORS),
    tags=["Agents"],
    summary="Take a violation back",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_withdrawal(
    request: Request[Any, Any, Any], agent_id: Identifier, violation_id: ViolationId
) -> ViolationOutcome:
    """An appeal was granted: the points end, and so do holds that have no cause any more."""
    principal = principal_of(request)
    with agent_problems(), tenant_transaction(request) as conn:
        agent = _reachable(request, conn, agent_id)
        rule = _violation_rule(request, conn, agent)
        outcome = withdraw_violation(
            conn,
            principal.tenant_id,
            agent_id,
            violation_id,
            rule,
            now_of(request, conn),
            f"key:{principal.key_id}",
        )
        _note(request, conn, "violation.withdraw", agent_id, outcome.is_new, points=outcome.points)
    return violation_outcome(outcome)


@post(
    "/agents/{agent_id:str}/termination",
    opt=_access(Scope.AGENTS_WRITE, _OPERATORS),
    tags=["Agents"],
    summary="Decide the review of a termination",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_termination(
    request: Request[Any, Any, Any], agent_id: Identifier, data: TerminationBody
) -> AgentLine:
    """Ends the review that twelve points open; what was earned until then stays owed either way."""
    principal = principal_of(request)
    with agent_problems(), tenant_transaction(request) as conn:
        decide_termination(
            conn,
            principal.tenant_id,
            agent_id,
            terminate=data.terminate,
            now=now_of(request, conn),
            by=f"key:{principal.key_id}",
        )
        note(
            request,
            conn,
            "agent.decide_termination",
            "agent",
            agent_id,
            details={"terminate": data.terminate},
        )
        agent = _reachable(request, conn, agent_id)
    return agent_line(agent)


@post(
    "/agents/{agent_id:str}/diversion-reviews",
    opt=_access(Scope.AGENTS_WRITE, _OPERATORS),
    tags=["Agents"],
    summary="Review an agent for diversion",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_diversion_review(
    request: Request[Any, Any, Any], agent_id: Identifier, data: DiversionBody
) -> DiversionAnswer:
    """Scores the last 30 days from what an inspector found and what the orders say.

    A score at the plan's limit holds what waits of the agent's orders into others' protected regions.
    """
    tenant_id = principal_of(request).tenant_id
    with agent_problems(), tenant_transaction(request) as conn:
        agent = _reachable(request, conn, agent_id)
        now = now_of(request, conn)
        rule = rule_for(conn, tenant_id, agent, RegionRule, now)
        if rule is None:
            raise _switched_off(agent, "diversion (P9)")
        field = FieldCounts(**{name: getattr(data, name) for name in DiversionBody.__struct_fields__})
        try:
            review = review_diversion(conn, tenant_id, agent, field, rule, now)
        except ValueError as error:
            raise invalid_parameter("counts", str(error)) from error
        details = {"score": review.assessment.score, "held_orders": len(review.held_order_ids)}
        note(request, conn, "agent.review_diversion", "agent", agent_id, details=details)
    return diversion_answer(review)


@put(
    "/agents/{agent_id:str}/protected-regions/{region_code:str}",
    opt=_access(Scope.AGENTS_WRITE, _OPERATORS),
    tags=["Agents"],
    summary="Protect a region for an agent",
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def put_protected_region(
    request: Request[Any, Any, Any], agent_id: Identifier, region_code: Identifier, data: ProtectionBody
) -> RegionLine:
    """A region belongs to one agent at a time; the same start again moves the end."""
    if data.protected_to <= data.protected_from:
        raise invalid_parameter("protected_to", "it must lie after protected_from")
    region = ProtectedRegion(region_code, agent_id, data.protected_from, data.protected_to)
    with agent_problems(), tenant_transaction(request) as conn:
        is_new = protect(conn, principal_of(request).tenant_id, region)
        _note(request, conn, "region.protect", agent_id, is_new, region=region_code)
    return RegionLine(region_code, data.protected_from, data.protected_to)


def _reachable(request: Request[Any, Any, Any], conn: psycopg.Connection[Any], agent_id: str) -> Agent:
    """The agent, if the key may know of it: an agent itself, a merchant its own, the others all.

    Raises:
        UnknownAgentError: There is none, or none for this key; both look the same.
    """
    principal = principal_of(request)
    agent = find(conn, agent_id)
    if agent is not None:
        if principal.role is Role.AGENT and principal.party_id == agent_id:
            return agent
        if principal.role is Role.MERCHANT and principal.party_id == agent.merchant_id:
            return agent
        if principal.role in (Role.OPERATOR, Role.AUDITOR):
            return agent
    raise errors.UnknownAgentError(f"there is no agent {agent_id} for this key")


def _violation_rule(
    request: Request[Any, Any, Any], conn: psycopg.Connection[Any], agent: Agent
) -> ViolationRule:
    rule = rule_for(conn, principal_of(request).tenant_id, agent, ViolationRule, now_of(request, conn))
    if rule is None:
        raise _switched_off(agent, "violation points (P11)")
    return rule


def _switched_off(agent: Agent, what: str) -> ApiError:
    return ApiError(
        409,
        "rule-switched-off",
        "The plan does not know this",
        f"The plan of agent {agent.agent_id} has its rule of {what} switched off.",
        remedy="Publish a plan version with the rule enabled.",
    )


def _note(
    request: Request[Any, Any, Any],
    conn: psycopg.Connection[Any],
    action: str,
    agent_id: str,
    is_new: bool,
    **details: str | int,
) -> None:
    note(
        request,
        conn,
        action,
        "agent",
        agent_id,
        outcome="done" if is_new else "repeated",
        details=details,
    )


@contextmanager
def agent_problems() -> Iterator[None]:
    """Around the transaction of a handler: a refusal rolls it back and becomes a problem document."""
    try:
        with typed_problems():
            yield
    except ConsumerErasedError as error:
        raise erased_problem(error) from error
    except errors.AgentsError as error:
        _, status, slug, title = next(problem for problem in _PROBLEMS if isinstance(error, problem[0]))
        raise ApiError(status, slug, title, str(error)) from error


AGENT_ROUTES = [
    post_agent,
    list_agents,
    get_agent,
    post_violation,
    post_withdrawal,
    post_termination,
    post_diversion_review,
    put_protected_region,
]
