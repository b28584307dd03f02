"""Folders with one fault each, through the file adapter alone; what is right is written down by hand."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs.own_result import Result
from pipelines.lake.tables import Lake
from pipelines.sources.contract import SourceError
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import IngestReport, ingest

AS_OF = dt.datetime(2026, 11, 10, tzinfo=dt.UTC)
TIME_ZONE = "Asia/Shanghai"


@dataclass(frozen=True)
class Right:
    """What is right for one folder.

    Attributes:
        orders: Orders that count as sales.
        revenue: Their net revenue in fen.
        says: The rule, in words.
        refusal: Words that the error must have, where the folder as a whole is refused.
    """

    orders: int
    revenue: int
    says: str
    refusal: tuple[str, ...] = ()


_AS_IT_IS = "three orders of one line of 400 fen, as in the file without the fault"

RIGHT: dict[str, Right] = {
    "one_fault_cr_only": Right(3, 1200, _AS_IT_IS),
    "one_fault_excel_dates": Right(
        2,
        800,
        "a serial date and a date with slashes are read; 02/11/2026 could be two days, so it is refused",
    ),
    "one_fault_gbk_body": Right(3, 1200, _AS_IT_IS),
    "one_fault_gbk_header": Right(
        0,
        0,
        "the Chinese header is read and refused by its names",
        ("products.csv", "商品编号", "muyun.yaml"),
    ),
    "one_fault_hidden": Right(3, 1200, _AS_IT_IS),
    "one_fault_leading_zero": Right(3, 1200, _AS_IT_IS),
    "one_fault_local_now": Right(
        3, 1200, "07:30 local time is past; that order has no line, so it is no sale"
    ),
    "one_fault_money": Right(3, 1200, _AS_IT_IS + "; the lines with odd list prices cost nothing"),
    "one_fault_parquet_float_ids": Right(0, 0, "ids above 2^53 were rounded; no line belongs to the order 3"),
    "one_fault_preamble": Right(3, 1200, _AS_IT_IS),
    "one_fault_qty": Right(
        3, 3600, "3 lines and 6 more of 400 fen: full width, thousands, decimals and a unit behind the number"
    ),
    "one_fault_sci_ids": Right(0, 0, "every id is in scientific notation: two orders would become one"),
    "one_fault_sci_merge": Right(0, 0, "every id is in scientific notation: two orders would become one"),
    "one_fault_semicolon": Right(3, 1200, _AS_IT_IS),
    "one_fault_sub_gz": Right(
        0, 0, "a spreadsheet of two bytes is named, nothing is left out", ("2026-11-05.xlsx",)
    ),
    "one_fault_total_row": Right(3, 1200, _AS_IT_IS + "; the row of totals is no line"),
    "one_fault_tz_mix": Right(5, 2000, "five orders of 400 fen, four at the same moment"),
    "one_fault_updates": Right(2, 800, "the later file cancels the first order"),
    "one_fault_xlsx": Right(0, 0, "the spreadsheet is damaged and named", ("orders.xlsx",)),
}


def try_fault(folder: Path, right: Right) -> Result:
    """Loads a folder into a lake that is thrown away and compares."""
    started = time.monotonic()
    reports: list[IngestReport] = []
    problem, untyped = "", 0
    read: set[str] = set()
    revenue, orders = 0, 0
    with tempfile.TemporaryDirectory(prefix="muyun-own-") as home:
        lake = Lake(Path(home) / "lake")
        lake.create()
        source = Files(folder, not_after=AS_OF, time_zone=TIME_ZONE)
        try:
            for table in source.tables():
                reports.append(ingest(source, table, lake, as_of=AS_OF, window=None, loaded_at=AS_OF))
                read |= set(source.found(table))
            revenue, orders = _sales(lake)
        except SourceError as error:
            problem = str(error)
        except Exception:  # noqa: BLE001  counted: a user must never see one
            untyped = 1
            traceback.print_exc()
    told = " ".join([problem, *(note for report in reports for note in report.notes)])
    if problem and not all(word in problem for word in right.refusal or ("nothing is wrong with it",)):
        problem = f"refused for another reason than the right one: {problem}"
        orders, revenue = -1, -1
    skipped = [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and str(path.relative_to(folder)) not in read and path.name not in told
    ]
    return Result(
        folder=folder.name,
        seconds=time.monotonic() - started,
        rows_lost=sum(abs(r.received - r.accepted - r.quarantined) for r in reports),
        revenue_error=abs(revenue - right.revenue),
        orders_error=abs(orders - right.orders),
        silent_skips=0 if problem else len(skipped),
        untyped_errors=untyped,
        remark=problem or f"{right.says}",
    )


def _sales(lake: Lake) -> tuple[int, int]:
    """Net revenue of the paid orders, and how many of them have a line that was sold."""
    paid = lake.read("orders", ("order_id", "state")).filter(state="paid")
    lines = lake.read("order_lines", ("order_id", "qty_milli", "net_paid_cents")).join(
        paid, on="order_id", how="semi"
    )
    sold = lines.filter(lines["qty_milli"] > 0)["order_id"].n_unique()
    return int(lines["net_paid_cents"].sum()), sold
