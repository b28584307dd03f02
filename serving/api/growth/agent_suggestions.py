"""`/v1/agents/{agent_id}/suggestions`: goods for the customers of an agent, without naming anybody."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from litestar import Request, get
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.parameters import Identifier
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.reviews.suggesting import suggestions_for
from serving.security import Role, Scope


class AgentSuggestion(Struct, frozen=True, kw_only=True):
    """A sku to speak about."""

    merchant_id: str
    sku_id: str
    customers: Annotated[
        int, Meta(description="Customers of the agent in whose list it stands; five at least.")
    ]
    of_customers: Annotated[int, Meta(description="Customers of the agent at the shop who have a list.")]
    reason_code: Annotated[str, Meta(description="Why it stands in most of those lists.")]


class AgentSuggestions(Struct, frozen=True, kw_only=True):
    """Twenty a shop at most, the most common first: no pages."""

    agent_id: str
    suggestions: list[AgentSuggestion]


@get(
    "/agents/{agent_id:str}/suggestions",
    opt={
        "scope": Scope.REVIEWS_READ,
        "roles": frozenset({Role.OPERATOR, Role.MERCHANT, Role.AGENT}),
        "owner": None,
    },
    tags=["Growth"],
    summary="Goods for the customers of an agent",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_agent_suggestions(request: Request[Any, Any, Any], agent_id: Identifier) -> AgentSuggestions:
    """From the published lists of those who bought through the agent; a merchant sees those at its shop."""
    principal = principal_of(request)
    if principal.role is Role.AGENT:
        principal.require_owner("agent", agent_id)
    with typed_problems(), tenant_transaction(request) as conn:
        found = suggestions_for(conn, principal.tenant_id, agent_id, principal.merchant_id)
        note(request, conn, "agent.suggest", "agent", agent_id, details={"skus": len(found)})
    return AgentSuggestions(agent_id=agent_id, suggestions=[AgentSuggestion(**asdict(one)) for one in found])
