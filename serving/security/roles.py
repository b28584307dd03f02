"""Roles and scopes: what a key may do at all. Which route asks for what stands at the route."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """Who a key speaks for."""

    OPERATOR = "operator"
    AUDITOR = "auditor"
    SUPPLIER = "supplier"
    MERCHANT = "merchant"
    AGENT = "agent"


class Scope(StrEnum):
    """What a key may do."""

    RECOMMENDATIONS = "recommendations:read"
    PRICES = "prices:read"
    REORDER = "reorder:read"
    WAKEUP = "wakeup:read"
    WAKEUP_CONTROL = "wakeup:control"
    PROFILES = "profiles:read"
    PUBLICATIONS = "publications:read"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    STOCK_WRITE = "stock:write"
    FULFILMENT_READ = "fulfilment:read"
    FULFILMENT_WRITE = "fulfilment:write"
    PAYMENTS_WRITE = "payments:write"
    AFTER_SALES_WRITE = "after_sales:write"
    SETTLEMENT_READ = "settlement:read"
    SETTLEMENT_RUN = "settlement:run"
    SETTLEMENT_APPROVE = "settlement:approve"
    LEDGER_READ = "ledger:read"
    LEDGER_POST = "ledger:post"
    RECONCILIATION_RUN = "reconciliation:run"
    AGENTS_READ = "agents:read"
    AGENTS_WRITE = "agents:write"
    SCENES_READ = "scenes:read"
    SCENES_WRITE = "scenes:write"
    INVITATIONS_WRITE = "invitations:write"
    EVENTS_WRITE = "events:write"
    PLANS_WRITE = "plans:write"
    COUPONS_READ = "coupons:read"
    COUPONS_WRITE = "coupons:write"
    AUDIT_READ = "audit:read"
    WEBHOOKS_WRITE = "webhooks:write"
    PERSONAL_READ = "personal:read"
    CONSENTS_WRITE = "consents:write"
    ERASURE_RUN = "erasure:run"
    IDENTITY_WRITE = "identity:write"
    COMPETITOR_PRICES_WRITE = "competitor_prices:write"
    SEGMENTS = "segments:read"
    GRADES = "grades:read"
    QUALITY_READ = "quality:read"
    QUALITY_WRITE = "quality:write"
    SUPERVISION_WRITE = "supervision:write"
    APPROVALS_READ = "approvals:read"
    APPROVALS_DECIDE = "approvals:decide"
    PURCHASES_WRITE = "purchases:write"
    OBSERVATIONS_WRITE = "observations:write"
    JOURNEYS_READ = "journeys:read"
    JOURNEYS_WRITE = "journeys:write"
    EXPERIMENTS_READ = "experiments:read"
    EXPERIMENTS_WRITE = "experiments:write"
    CHANNEL_TESTS_READ = "channel_tests:read"
    CHANNEL_TESTS_WRITE = "channel_tests:write"
    LINKS_READ = "links:read"
    LINKS_WRITE = "links:write"
    COMMUNITIES_READ = "communities:read"
    COMMUNITIES_WRITE = "communities:write"
    FEEDBACK_READ = "feedback:read"
    FEEDBACK_WRITE = "feedback:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    REVIEWS_READ = "reviews:read"
    REVIEWS_WRITE = "reviews:write"
    MATERIALS_READ = "materials:read"
    MATERIALS_WRITE = "materials:write"
    WATCH_READ = "watch:read"
    WATCH_WRITE = "watch:write"


PARTY_ROLES = frozenset({Role.SUPPLIER, Role.MERCHANT, Role.AGENT})
"""Roles whose keys belong to one party; the others see every party of their tenant."""

ROLE_SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.OPERATOR: frozenset(Scope),
    # Reads everything about money and conduct, changes nothing, and sees no consumer's profile or name.
    Role.AUDITOR: frozenset(
        {
            Scope.PRICES,
            Scope.REORDER,
            Scope.GRADES,
            Scope.PUBLICATIONS,
            Scope.ORDERS_READ,
            Scope.FULFILMENT_READ,
            Scope.SETTLEMENT_READ,
            Scope.LEDGER_READ,
            Scope.AGENTS_READ,
            Scope.COUPONS_READ,
            Scope.SCENES_READ,
            Scope.AUDIT_READ,
            Scope.QUALITY_READ,
            Scope.WATCH_READ,
            Scope.APPROVALS_READ,
            Scope.JOURNEYS_READ,
            Scope.EXPERIMENTS_READ,
            Scope.CHANNEL_TESTS_READ,
            Scope.MEMBERS_READ,
            Scope.REVIEWS_READ,
            Scope.MATERIALS_READ,
        }
    ),
    Role.SUPPLIER: frozenset(
        {
            Scope.REORDER,
            Scope.GRADES,
            Scope.PUBLICATIONS,
            Scope.ORDERS_READ,
            Scope.STOCK_WRITE,
            Scope.FULFILMENT_READ,
            Scope.FULFILMENT_WRITE,
            Scope.AFTER_SALES_WRITE,
            Scope.SETTLEMENT_READ,
            Scope.COUPONS_READ,
            Scope.COUPONS_WRITE,
            Scope.WEBHOOKS_WRITE,
            Scope.OBSERVATIONS_WRITE,
            Scope.QUALITY_READ,
            Scope.SUPERVISION_WRITE,
            Scope.WATCH_READ,
            Scope.APPROVALS_READ,
        }
    ),
    Role.MERCHANT: frozenset(
        {
            Scope.RECOMMENDATIONS,
            Scope.PRICES,
            Scope.REORDER,
            Scope.WAKEUP,
            Scope.WAKEUP_CONTROL,
            Scope.PROFILES,
            Scope.PUBLICATIONS,
            Scope.ORDERS_READ,
            Scope.ORDERS_WRITE,
            Scope.FULFILMENT_READ,
            Scope.AFTER_SALES_WRITE,
            Scope.SETTLEMENT_READ,
            Scope.AGENTS_READ,
            Scope.AGENTS_WRITE,
            Scope.COUPONS_READ,
            Scope.COUPONS_WRITE,
            Scope.INVITATIONS_WRITE,
            Scope.LINKS_READ,
            Scope.LINKS_WRITE,
            Scope.SCENES_READ,
            Scope.SCENES_WRITE,
            Scope.EVENTS_WRITE,
            Scope.COMMUNITIES_READ,
            Scope.COMMUNITIES_WRITE,
            Scope.FEEDBACK_READ,
            Scope.FEEDBACK_WRITE,
            Scope.REVIEWS_READ,
            Scope.MATERIALS_READ,
            Scope.MATERIALS_WRITE,
            Scope.WEBHOOKS_WRITE,
            Scope.COMPETITOR_PRICES_WRITE,
            Scope.QUALITY_READ,
            Scope.SUPERVISION_WRITE,
            Scope.WATCH_READ,
            Scope.APPROVALS_READ,
        }
    ),
    Role.AGENT: frozenset(
        {
            Scope.PUBLICATIONS,
            Scope.ORDERS_READ,
            Scope.SETTLEMENT_READ,
            Scope.AGENTS_READ,
            Scope.EVENTS_WRITE,
            Scope.APPROVALS_READ,
            Scope.INVITATIONS_WRITE,
            Scope.LINKS_READ,
            Scope.LINKS_WRITE,
            Scope.REVIEWS_READ,
            Scope.MATERIALS_READ,
            Scope.SCENES_READ,
            Scope.SCENES_WRITE,
        }
    ),
}
"""Scopes that a key of a role may be given; `issue_key` refuses others."""
