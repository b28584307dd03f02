"""Suppliers, merchants and agents of the lake as parties of settlement, and the tree of the agents.

What the lake does not say of a party (verified, under contract, a natural person, a store of one's own, who
brought a consumer) is decided by the party's id and stays the same in every run.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import psycopg

from pipelines.lake.tables import Lake
from pipelines.replay.bulk import insert
from pipelines.replay.selection import share
from serving.settlement.sharing.snapshot import Parties, Party

_TIERS = ("none", "bronze", "silver", "gold", "diamond")
_DEEPEST = 3


@dataclass(frozen=True)
class Agents:
    """The agents of a replay in memory.

    Attributes:
        by_id: Every active agent as the settlement sees it.
        inviters: Inviter of each agent; None at the top.
        stores: Agents that run an agent store.
        referrers: Agent whom a consumer follows, in the shop of that agent only.
        merchants: Shop of each agent.
    """

    by_id: dict[str, Party]
    inviters: dict[str, str | None]
    stores: frozenset[str]
    referrers: dict[str, str]
    merchants: dict[str, str]

    def parties(self, order: dict[str, object]) -> Parties:
        """Who may be paid from an order, as `serving.agents.order_parties` finds it order by order."""
        agent_id = order["agent_id"]
        selling = self.by_id.get(str(agent_id)) if agent_id is not None else None
        seller = selling or merchant_party(str(order["merchant_id"]))
        referrer = self.referrers.get(str(order["consumer_id"]))
        if referrer is None or self.merchants.get(referrer) != order["merchant_id"]:
            referrer = selling.party_id if selling else None
        chain: list[Party] = []
        while referrer is not None and referrer in self.by_id and len(chain) < _DEEPEST:
            chain.append(self.by_id[referrer])
            referrer = self.inviters[referrer]
        return Parties(
            seller=seller,
            upline=tuple(chain),
            seller_scheme="agent_store" if selling and selling.party_id in self.stores else "direct",
            is_first_purchase=bool(order["is_first_purchase"]),
        )


def merchant_party(merchant_id: str) -> Party:
    """A merchant as a seller: a verified company under contract."""
    return Party("merchant", merchant_id, has_contract=True, is_verified=True)


def load_parties(connection: psycopg.Connection, lake: Lake) -> int:
    """Write suppliers, merchants and agents; parties that are known stay as they are."""
    suppliers = _companies("supplier", lake.read("suppliers"), pl.col("is_active"))
    merchants = _companies("merchant", lake.read("merchants"), pl.lit(True))
    agents = lake.read("agents").sort("agent_id")
    people = agents.select(
        pl.lit("agent").alias("party_type"),
        pl.col("agent_id").alias("party_id"),
        pl.col("agent_id").alias("name"),
        _region(),
        pl.Series(
            "is_natural_person",
            [_is_person(agent) for agent in agents["agent_id"]],
            dtype=pl.Boolean,
        ),
        pl.Series(
            "has_contract",
            [not _is_person(agent) for agent in agents["agent_id"]],
            dtype=pl.Boolean,
        ),
        pl.Series(
            "is_verified",
            [_is_verified(agent) for agent in agents["agent_id"]],
            dtype=pl.Boolean,
        ),
        "is_active",
        "joined_on",
    )
    return sum(insert(connection, "parties.party", frame) for frame in (suppliers, merchants, people))


def load_agents(connection: psycopg.Connection, lake: Lake, *, refers: bool) -> Agents:
    """Write the tree of the agents, level by level, and who brought which consumer.

    Args:
        connection: Inside a transaction of the tenant.
        lake: The accepted tables.
        refers: Whether some consumers get an agent who brought them; only where the agents are generated.
    """
    agents = lake.read("agents").sort("agent_id")
    depths = levels_of(dict(agents.select("agent_id", "inviter_agent_id").iter_rows()))
    stores = frozenset(
        agent
        for agent, tier in agents.select("agent_id", "tier").iter_rows()
        if tier in ("silver", "gold", "diamond") and share(agent, "store") < 20
    )
    kept = agents.with_columns(
        # A relation deeper than the cap is not paid: who stands deeper joins without an inviter.
        inviter_agent_id=pl.Series(
            [
                inviter if depths[agent] > 1 else None
                for agent, inviter in agents.select("agent_id", "inviter_agent_id").iter_rows()
            ],
            dtype=pl.String,
        ),
        tier=pl.when(pl.col("tier").is_in(_TIERS)).then("tier").otherwise(pl.lit("none")),
        depth=pl.Series([depths[agent] for agent in agents["agent_id"]], dtype=pl.Int64),
        runs_store=pl.col("agent_id").is_in(list(stores)),
    )
    for _, level in sorted(kept.partition_by("depth", as_dict=True).items()):
        rows = level.select(
            "agent_id", "merchant_id", "inviter_agent_id", pl.lit(1).alias("depth"), "tier", _region(),
            "runs_store", "joined_on",
        )  # fmt: skip
        insert(connection, "agents.agent", rows)
    # What stands in the database counts: tiers move at the close of a month.
    tiers: dict[str, str] = dict(connection.execute("select agent_id, tier from agents.agent").fetchall())
    active = kept.filter("is_active")
    found = Agents(
        by_id={
            agent: Party(
                "agent",
                agent,
                tier=tiers[agent],
                is_natural_person=_is_person(agent),
                has_contract=not _is_person(agent),
                is_verified=_is_verified(agent),
            )
            for agent in active["agent_id"]
        },
        inviters=dict(kept.select("agent_id", "inviter_agent_id").iter_rows()),
        stores=stores,
        referrers=_referrers(lake, active) if refers else {},
        merchants=dict(kept.select("agent_id", "merchant_id").iter_rows()),
    )
    registered = dict(lake.read("consumers", ("consumer_id", "registered_at")).iter_rows())
    insert(
        connection,
        "agents.referral",
        pl.DataFrame(
            [
                {
                    "consumer_id": consumer,
                    "agent_id": agent,
                    "merchant_id": found.merchants[agent],
                    "referred_at": registered[consumer],
                }
                for consumer, agent in sorted(found.referrers.items())
            ]
        ),
    )
    return found


def _companies(party_type: str, frame: pl.DataFrame, is_active: pl.Expr) -> pl.DataFrame:
    return frame.select(
        pl.lit(party_type).alias("party_type"),
        pl.col(f"{party_type}_id").alias("party_id"),
        "name",
        _region(),
        pl.lit(False).alias("is_natural_person"),
        pl.lit(True).alias("has_contract"),
        pl.lit(True).alias("is_verified"),
        is_active.alias("is_active"),
        "joined_on",
    )


def _region() -> pl.Expr:
    return pl.when(pl.col("region_code") != "unknown").then("region_code").alias("region_code")


def _is_person(agent_id: str) -> bool:
    return share(agent_id, "person") < 80


def _is_verified(agent_id: str) -> bool:
    return share(agent_id, "verified") < 95


def levels_of(inviters: dict[str, str | None]) -> dict[str, int]:
    """Level of each agent from 1; who would stand deeper than the cap begins at 1 again."""
    depths: dict[str, int] = {}
    for agent in inviters:
        chain = []
        at: str | None = agent
        while at is not None and at not in depths:
            chain.append(at)
            at = inviters.get(at)
        level = depths[at] if at is not None else 0
        for one in reversed(chain):
            level = level % _DEEPEST + 1
            depths[one] = level
    return depths


def _referrers(lake: Lake, active: pl.DataFrame) -> dict[str, str]:
    """One consumer in five was brought by an agent of the home merchant."""
    of_merchant: dict[str, list[str]] = {}
    for merchant, agent in active.select("merchant_id", "agent_id").iter_rows():
        of_merchant.setdefault(merchant, []).append(agent)
    found = {}
    for consumer, merchant in lake.read("consumers", ("consumer_id", "merchant_id")).iter_rows():
        candidates = of_merchant.get(merchant, [])
        if candidates and share(consumer, "referred") < 20:
            found[consumer] = candidates[share(consumer, "referrer") % len(candidates)]
    return found
