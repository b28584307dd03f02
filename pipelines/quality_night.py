"""A night of the quality brake: what was delivered, what was complained about, which levels follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import duckdb
import polars as pl
import psycopg

from models.feedback.contracts import Topic
from models.supply.brake.config import BrakeConfig
from models.supply.brake.estimates import estimate
from models.supply.brake.ladder import Estimate, Level, level_of
from pipelines.lake.tables import Lake
from pipelines.stores.brake import ESTIMATES, FROZEN, LEVELS
from pipelines.warehouse.delivered import delivered_lines, with_texts
from serving.db.operations import Operations
from serving.db.retries import in_transaction
from serving.feedback.records import blamed
from serving.orders.webhooks.recall_notices import tell_of_recalls
from serving.quality.judging import Finding, Judged, judge
from serving.quality.levels import InForce, all_in_force, counted_from, frozen_suppliers, newest_change
from serving.quality.records import BATCHES, SUPPLIERS

_ON_THE_WAY = timedelta(days=60)
"""So long before its delivery a line may have been ordered."""
_BLAME = (Topic.QUALITY, Topic.SAFETY)
"""What a buyer's text has to blame to count as a complaint. That a text tells of harm is a model's guess: it
counts as any complaint does, and stops nothing by itself."""
_NUMBERS = (
    "mean", "above", "line", "prior_mean", "prior_source", "orders", "units", "matured_units", "complaints",
    "safety",
)  # fmt: skip


@dataclass(frozen=True)
class Night:
    """What a night found and did.

    Attributes:
        judged: What became of the levels.
        estimates: Columns of `models.supply.brake.estimates.ESTIMATES`.
        findings: What they ask for.
        in_force: What is held since.
        frozen: Suppliers whose offers do not route.
        newest_change: Number of the newest change of a level.
    """

    judged: Judged
    estimates: pl.DataFrame
    findings: list[Finding]
    in_force: list[InForce]
    frozen: list[str]
    newest_change: int

    @property
    def too_low(self) -> list[str]:
        """Skus that the ladder holds lower than their finding asks."""
        return sorted(
            finding.sku_id
            for finding in self.findings
            if finding.level > self.judged.levels.get(finding.sku_id, finding.level)
        )

    @property
    def without_prior(self) -> list[str]:
        """Categories that are judged by what is usual on the whole platform, or by the default."""
        borrowed = self.estimates.filter(pl.col("prior_source") != "category")
        return borrowed["category_id"].unique().sort().to_list()


def judge_night(
    connection: duckdb.DuckDBPyConnection, url: str, tenant_id: str, config: BrakeConfig, as_of: datetime
) -> Night:
    """Judge every sku that was delivered in the window, and put the levels into force in one transaction.

    Args:
        connection: The published warehouse.
        url: Address of the migrated operational database.
        tenant_id: Whose skus.
        config: Settings.
        as_of: Business time, aware UTC.
    """
    frame = delivered_lines(
        connection,
        since=as_of - timedelta(days=config.prior_days) - _ON_THE_WAY,
        as_of=as_of,
        quality_reasons=config.quality_reasons,
        safety_reasons=config.safety_reasons,
    )
    with Operations(url, size=1) as operations:
        transactions = partial(operations.transaction, tenant_id)
        frame = with_texts(frame, in_transaction(transactions, partial(_blamed, tenant_id, config, as_of)))
        answered = in_transaction(transactions, lambda conn: counted_from(conn, tenant_id))
        estimates = estimate(frame, as_of, config, _frame(answered))
        findings = findings_of(estimates, config, frame)

        def judged(conn: psycopg.Connection) -> Night:
            done = judge(conn, tenant_id, findings, config.rules, as_of)
            tell_of_recalls(conn, tenant_id, as_of)
            return Night(
                done,
                estimates,
                findings,
                all_in_force(conn, tenant_id, as_of),
                frozen_suppliers(conn, tenant_id),
                newest_change(conn, tenant_id),
            )

        return in_transaction(transactions, judged)


def _blamed(
    tenant_id: str, config: BrakeConfig, as_of: datetime, conn: psycopg.Connection
) -> list[tuple[str, str, str, datetime]]:
    return blamed(conn, tenant_id, _BLAME, as_of - timedelta(days=config.prior_days) - _ON_THE_WAY, as_of)


def findings_of(
    estimates: pl.DataFrame, config: BrakeConfig, delivered: pl.DataFrame | None = None
) -> list[Finding]:
    """What the estimates of each sku and of its batches ask for, with the numbers behind it.

    A batch that asks for more than its sku as a whole decides: `batches` names those that do, and a recall
    is of their lines alone.

    Args:
        estimates: Columns of `models.supply.brake.estimates.ESTIMATES`, the row of a sku before its batches.
        config: Settings.
        delivered: The lines that a recall of a batch may be of; None: none.
    """
    found: dict[str, Finding] = {}
    for row in estimates.iter_rows(named=True):
        level, reason = level_of(
            Estimate(row["mean"], row["above"], row["line"], row["orders"], row["complaints"], row["safety"]),
            config.rules,
        )
        sku_id, batch_id = row["sku_id"], row["batch_id"]
        numbers = {name: _rounded(row[name]) for name in _NUMBERS}
        evidence = {**numbers, SUPPLIERS: row["suppliers"]}
        if batch_id is None:
            found[sku_id] = Finding(sku_id, level, reason, evidence)
        elif level > found[sku_id].level:
            found[sku_id] = Finding(sku_id, level, reason, {**evidence, BATCHES: [batch_id]})
        elif level == found[sku_id].level and BATCHES in found[sku_id].evidence:
            found[sku_id] = _also(found[sku_id], batch_id, row["suppliers"])
    return [_with_lines(finding, delivered) for finding in found.values()]


def _also(finding: Finding, batch_id: str, suppliers: list[str]) -> Finding:
    """A finding that another batch asks for as well; its numbers stay those of the first."""
    known = finding.evidence
    blamed = sorted({*known[SUPPLIERS], *suppliers})
    return replace(finding, evidence={**known, SUPPLIERS: blamed, BATCHES: [*known[BATCHES], batch_id]})


def _with_lines(finding: Finding, delivered: pl.DataFrame | None) -> Finding:
    if finding.level < Level.RECALL or BATCHES not in finding.evidence or delivered is None:
        return finding
    of_them = pl.col("batch_id").is_in(finding.evidence[BATCHES])
    lines = delivered.filter(pl.col("sku_id") == finding.sku_id, of_them).select("order_id", "line_no")
    return replace(finding, lines=tuple(lines.sort("order_id", "line_no").iter_rows()))


def keep_night(lake: Lake, night: Night) -> None:
    """Keep what lists, prices, reorders and the report read of a night."""
    lake.put(ESTIMATES, night.estimates)
    lake.put(FROZEN, pl.DataFrame({"supplier_id": night.frozen}, schema={"supplier_id": pl.String}))
    rows = [(one.sku_id, int(one.level), one.reason_code) for one in night.in_force]
    schema = {"sku_id": pl.String, "level": pl.Int64, "reason_code": pl.String}
    lake.put(LEVELS, pl.DataFrame(rows, schema=schema, orient="row"))


def _frame(answered: dict[str, datetime]) -> pl.DataFrame:
    return pl.DataFrame(
        list(answered.items()),
        schema={"sku_id": pl.String, "counted_from": pl.Datetime("us", "UTC")},
        orient="row",
    )


def _rounded(value: float | int | str) -> float | int | str:
    return round(value, 6) if isinstance(value, float) else value
