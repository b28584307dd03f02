"""The typed errors of agents."""

from __future__ import annotations

from serving.errors import ServingError


class AgentsError(ServingError):
    """What was asked of an agent cannot be done; nothing was changed."""


class UnknownAgentError(AgentsError):
    """There is no such agent."""


class AgentConflictError(AgentsError):
    """The agent, referral or violation exists already and says something else."""


class JoinRefusedError(AgentsError):
    """The inviter or manager cannot be one: unknown, ended, or of another merchant."""


class InvitationRefusedError(AgentsError):
    """An invitation is over, was bound before, or is none of this tenant."""


class UnknownSceneError(AgentsError):
    """There is no such scene for the one who asks."""


class SceneRefusedError(AgentsError):
    """A scene cannot be opened, agreed to or named: time, shop, holder or agreement do not fit."""


class RelationDepthError(AgentsError):
    """The relation would go deeper than three levels, counting the top (P12)."""


class RegionTakenError(AgentsError):
    """The region is protected for another agent in that time (P9)."""


class MonthCloseError(AgentsError):
    """A month cannot be closed: it is not over, or a later one is closed already (P8)."""


class ReviewError(AgentsError):
    """There is no such open review."""
