"""From which share of refused rows on a table blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.limits.document import QuarantineLimits
from pipelines.sources.loading.ingest import IngestReport


@dataclass(frozen=True)
class QuarantinedShare:
    """Refused rows of one load of one table.

    Attributes:
        table: Contract table.
        received: Rows of the source.
        refused: Rows in the quarantine.
        admitted: Share above which it is too much.
        is_too_much: Whether the share lies above.
        blocks: Whether it stops the run; a few rows of a small table do not.
    """

    table: str
    received: int
    refused: int
    admitted: float
    is_too_much: bool
    blocks: bool

    @property
    def share(self) -> float:
        """Refused over received rows; 0 where none were received."""
        return self.refused / self.received if self.received else 0.0

    def __str__(self) -> str:
        return (
            f"{self.share:.1%} of {self.table} were refused: {self.refused:,} of {self.received:,} rows "
            f"(admitted: {self.admitted:.1%})"
        )


def quarantined_share(report: IngestReport, limits: QuarantineLimits, default: float) -> QuarantinedShare:
    """Judge the account of a load.

    Args:
        report: The account.
        limits: Shares by table, and how many rows of a small table may be refused.
        default: Share admitted for tables without their own (MUYUN_MAX_QUARANTINED_SHARE).
    """
    admitted = limits.tables.get(report.table, default)
    share = report.quarantined / report.received if report.received else 0.0
    is_too_much = share > admitted
    is_many = report.quarantined >= limits.least_rows or share > limits.always_above
    return QuarantinedShare(
        report.table, report.received, report.quarantined, admitted, is_too_much, is_too_much and is_many
    )


def blocked(
    reports: Iterable[IngestReport], limits: QuarantineLimits, default: float
) -> list[QuarantinedShare]:
    """The loads of which too much was refused, in the order of the reports."""
    shares = (quarantined_share(report, limits, default) for report in reports)
    return [share for share in shares if share.blocks]
