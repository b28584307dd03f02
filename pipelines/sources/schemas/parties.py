"""Who trades: merchants, agents, consumers."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from pipelines.sources.schemas.columns import (
    EARLIEST_BIRTHDAY,
    Accepted,
    at,
    enum,
    flag,
    identifier,
    on,
    small,
    text,
)


class Merchants(Accepted):
    """One row per merchant."""

    merchant_id = identifier("the merchant", "m-1")
    name = text("display name", "Corner shop")
    scene = enum(("enterprise_welfare", "mother_baby", "community", "general"), "kind of shop")
    region_code = text("region of the merchant, 'unknown' if not given", "east")
    joined_on = on("first day on the platform")


class Agents(Accepted):
    """One row per agent."""

    agent_id = identifier("the agent", "a-1")
    merchant_id = identifier(
        "the merchant the agent works for; null for the platform's own", "m-1", nullable=True
    )
    inviter_agent_id = identifier("the agent who invited this one", "a-2", nullable=True)
    tier = text("tier in the commission plan", "gold")
    region_code = text("region of the agent, 'unknown' if not given", "east")
    joined_on = on("first day on the platform")
    is_active = flag("whether the agent still sells")

    @dy.rule()
    def agent_does_not_invite_itself(self) -> pl.Expr:
        """An agent was not invited by itself."""
        return pl.col("inviter_agent_id") != pl.col("agent_id")


class Consumers(Accepted):
    """One row per consumer."""

    consumer_id = identifier("the consumer", "c-1001")
    merchant_id = identifier("the merchant the consumer belongs to", "m-1")
    inviter_id = identifier("the consumer who invited this one", "c-7", nullable=True)
    registered_at = at("when the consumer registered")
    acquisition_channel = text("how the consumer was won", "wecom", nullable=True)
    birthday = on("birthday", nullable=True, earliest=EARLIEST_BIRTHDAY)
    gender = enum(("female", "male", "other", "unknown"), "gender as stated", nullable=True)
    city = text("city as stated", "Hangzhou", nullable=True)
    household_size = small(
        "persons in the household; an open top class holds its lower bound",
        nullable=True,
        low=1,
        unit="persons",
        example="3",
    )
    income_band = text("income band as stated", "35-49K", nullable=True)
    consent_marketing = flag("may be sent marketing")
    consent_profiling = flag("may be profiled")

    @dy.rule()
    def consumer_does_not_invite_itself(self) -> pl.Expr:
        """A consumer was not invited by itself."""
        return pl.col("inviter_id") != pl.col("consumer_id")


class Consents(Accepted):
    """One row per statement of a consumer about a purpose."""

    consumer_id = identifier("who said it", "c-1001")
    purpose = enum(
        ("marketing", "profiling", "cross_merchant"),
        "what was allowed or withdrawn; cross_merchant: lists at a merchant made from purchases at any",
    )
    stated_at = at("when it was said; the latest statement stands, whatever the consumer's row says")
    is_granted = flag("allowed; false withdraws")
    source = text("where it was said", "app_settings", nullable=True)


class IdentityEdges(Accepted):
    """One row per statement that an anonymous visitor is a consumer, from a moment on."""

    anonymous_id = identifier("the visitor, as in events", "dev-9")
    consumer_id = identifier("who it is", "c-1001")
    valid_from = at("from when on, such as the begin of the visit in which the consumer logged in")
    evidence = enum(("login", "verified_contact", "support"), "what shows it; a device alone shows nothing")
    revoked_at = at("when it was cut; its events before stay joined", nullable=True, planned=True)
