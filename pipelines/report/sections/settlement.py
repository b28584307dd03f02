"""Where the money of settled orders went: shares, statements, agents, stock. Read from the warehouse."""

from __future__ import annotations

import polars as pl

from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Facts, Figure, Figures, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import amount, count, plain_name
from pipelines.report.origins import Origin

_PARTIES = 15
_AGENTS = 15
_BOOKS = ("settlement_legs", "ledger_entries")


def section(evidence: Evidence) -> Section:
    """Money by kind of share, what platform accounts hold, the largest payees, the best agents."""
    origin = evidence.origins.of(*_BOOKS)
    return Section(
        "settlement",
        "Orders and settlement",
        "Every settled line is shared out by the plan in force when it was paid; each share is an entry of a "
        "ledger that sums to zero. Orders of the last days were replayed where they came from the data.",
        origin,
        _blocks(evidence, origin),
    )


def _blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    legs = evidence.settled_shares()
    if legs is None or not legs.height:
        return [
            Note(
                "No order was settled: none was placed through the API, none replayed (MUYUN_REPLAY_DAYS).",
                is_gap=True,
            )
        ]
    accounts = evidence.closing_balances()
    agents = evidence.agent_months()
    return [
        _facts(evidence, legs, accounts),
        *_done(evidence),
        Figures([_shares(evidence, legs, origin), _states(evidence, legs, origin)]),
        _platform(evidence, accounts, origin),
        _payees(evidence, accounts, origin),
        *_agents(evidence, agents),
    ]


def _facts(evidence: Evidence, legs: pl.DataFrame, accounts: pl.DataFrame) -> Facts:
    currency = evidence.currency
    kept = int(legs["net_cents"].sum())
    return Facts(
        [
            (
                "orders settled",
                count(legs["orders"].to_list()[0]),
                f"{count(int(legs['legs'].sum()))} shares",
            ),
            ("captured less refunded", amount(kept, currency), currency),
            ("refunded shares", amount(int(legs["reversed_cents"].sum()), currency), currency),
            (
                "statements",
                count(accounts.select("party_type", "party_id").n_unique()),
                "parties with an account",
            ),
        ]
    )


def _done(evidence: Evidence) -> list[Block]:
    """What this run's replay and its day of settlement work did."""
    replayed = evidence.lake.read_report("operations/replay")
    if replayed is None:
        return []
    months = ", ".join(replayed["closed_months"]) or "no month"
    return [
        Note(
            f"The last replay brought {count(replayed['orders'])} orders with {count(replayed['lines'])} "
            "lines through payment, accrual, shipping and release, with "
            f"{count(replayed['refunds'])} refunds and {count(replayed['payouts'])} transfers to parties; "
            f"it closed {months} and counted stock of {count(replayed['stock_rows'])} offers."
        )
    ]


def _shares(evidence: Evidence, legs: pl.DataFrame, origin: Origin) -> Figure:
    by_kind = (
        legs.group_by("leg_kind")
        .agg(pl.col("net_cents").sum())
        .sort("net_cents", "leg_kind", descending=True)
    )
    return Figure(
        svg.bars(
            [
                svg.Bar(plain_name(kind), max(cents, 0), amount(cents, evidence.currency), "model")
                for kind, cents in by_kind.iter_rows()
            ],
            "Where the money went",
            label_width=120,
        ),
        f"Where the money went by kind of share, {evidence.currency}",
        origin,
        "Subsidies are what the platform added; they are negative and have no bar.",
    )


def _states(evidence: Evidence, legs: pl.DataFrame, origin: Origin) -> Figure:
    by_state = (
        legs.group_by("leg_state")
        .agg(pl.col("net_cents").sum())
        .sort("net_cents", "leg_state", descending=True)
    )
    return Figure(
        svg.bars(
            [
                svg.Bar(plain_name(state), max(cents, 0), amount(cents, evidence.currency), "model")
                for state, cents in by_state.iter_rows()
            ],
            "Where the shares stand",
            label_width=120,
        ),
        f"Where the shares stand, {evidence.currency}",
        origin,
        "Pending shares wait for receipt and the days after it; released ones can be paid out.",
    )


def _platform(evidence: Evidence, accounts: pl.DataFrame, origin: Origin) -> Table:
    own = accounts.filter(pl.col("party_type") == "platform").sort("account_kind")
    return Table(
        [Column("account", True), Column("opening"), Column("moved"), Column("closing")],
        [
            [plain_name(kind), *(amount(cents, evidence.currency) for cents in money)]
            for kind, *money in own.select(
                "account_kind", "opening_cents", "moved_cents", "closing_cents"
            ).iter_rows()
        ],
        f"Accounts of the platform in the last month, {evidence.currency}",
        origin,
        "Money at the payment channel is an asset and stands negative; all accounts together sum to zero.",
    )


def _payees(evidence: Evidence, accounts: pl.DataFrame, origin: Origin) -> Table:
    parties = (
        accounts.filter(pl.col("party_type") != "platform")
        .group_by("party_type", "party_id")
        .agg(
            *(
                pl.col("closing_cents").filter(pl.col("account_kind").str.ends_with(kind)).sum().alias(kind)
                for kind in ("_pending", "_locked", "_available", "receivable")
            ),
            pl.col("paid_cents").sum(),
        )
        .sort("_pending", "party_type", "party_id", descending=[True, False, False])
        .head(_PARTIES)
    )
    return Table(
        [
            Column("party", True), Column("id", True), Column("pending"), Column("locked"),
            Column("available"), Column("owed back"), Column("paid out"),
        ],
        [
            [kind, party, *(amount(cents, evidence.currency) for cents in money)]
            for kind, party, *money in parties.iter_rows()
        ],
        f"The {count(parties.height)} parties with most money pending, {evidence.currency}",
        origin,
    )  # fmt: skip


def _agents(evidence: Evidence, agents: pl.DataFrame) -> list[Block]:
    if not agents.height:
        return [Note("No agent sold anything.", is_gap=True)]
    shown = agents.head(_AGENTS)
    return [
        Table(
            [
                Column("agent", True), Column("tier", True), Column("orders"), Column("sold"),
                Column("settled customers, best month"), Column("accrued"), Column("released"),
                Column("reversed"),
            ],
            [
                [agent, tier, count(orders), amount(sold, evidence.currency), count(customers),
                 *(amount(cents, evidence.currency) for cents in money)]
                for agent, tier, orders, sold, customers, *money in shown.iter_rows()
            ],
            f"The {count(shown.height)} of {count(agents.height)} agents who earned most, "
            f"{evidence.currency}",
            evidence.origins.of("agents", *_BOOKS),
        )
    ]  # fmt: skip
