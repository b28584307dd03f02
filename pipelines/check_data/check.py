"""The whole check of a folder: look, suggest, try, and say what is missing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from pipelines.check_data.costs import Cost, costs_of
from pipelines.check_data.look import Look, look_at
from pipelines.check_data.suggest import Suggestion, suggest
from pipelines.check_data.trial import Trial, try_load
from pipelines.limits.document import QuarantineLimits
from pipelines.limits.quarantined import blocked
from pipelines.messages import Texts
from pipelines.sources.contract import TABLES, SourceError, contract_table
from pipelines.sources.files import Files
from pipelines.sources.files.form import Dialect
from pipelines.sources.files.landed import LandedStream, landed_beside
from pipelines.sources.mapping.document import (
    FILE_NAME,
    SUGGESTED_NAME,
    Mapping,
    load_mapping,
    parse_document,
)


@dataclass(frozen=True)
class Check:
    """What was found out about a folder.

    Attributes:
        folder: The folder.
        looks: Its files.
        feeds: For each file the tables it feeds.
        has_document: Whether it has a `muyun.yaml` of its own.
        suggestion: The document that its files ask for.
        written: Where the suggestion was written; None if it was not.
        trial: What a load would do, under its own document or else under the suggested one.
        costs: What the missing tables cost.
        time_zone: Of times without an offset.
        currency: Of every amount.
        blockers: Why a run would not work; empty if it would.
    """

    folder: Path
    looks: tuple[Look, ...]
    feeds: dict[str, tuple[str, ...]]
    has_document: bool
    suggestion: Suggestion
    written: Path | None
    trial: Trial
    costs: tuple[Cost, ...]
    time_zone: str
    currency: str
    blockers: tuple[str, ...]

    @property
    def works(self) -> bool:
        """Whether a run on this folder would work."""
        return not self.blockers


def check(
    folder: Path,
    *,
    as_of: dt.datetime,
    default_zone: str,
    default_currency: str,
    limits: QuarantineLimits,
    refused_share: float,
    texts: Texts,
    feeds: Path | None = None,
) -> Check:
    """Checks a folder and writes a first document next to its files.

    Args:
        folder: The folder.
        as_of: Business time; later history would be refused.
        default_zone: Zone of times without an offset where the document names none.
        default_currency: Currency where the document names none.
        limits: From which refused rows on a table stops a run.
        refused_share: Share of refused rows that a run admits for tables that the limits do not name.
        texts: The language.
        feeds: Where the connectors that it names have landed what they brought; None: nowhere.

    Raises:
        SourceError: The folder does not exist.
    """
    if not folder.is_dir():
        raise SourceError(f"the folder {folder} does not exist; name the folder that holds your files")
    own, landed, problem = _own_document(folder, feeds)
    said = own or Mapping()
    looks = look_at(folder, Dialect(*said.text_form("")), said.document.connectors)
    suggestion = suggest(looks)
    written = _write(folder, suggestion.text)
    has_document = own is None or own.path is not None
    mapping = own if own is not None and own.path is not None else _suggested(suggestion)
    if problem is not None:
        trial, fed = Trial(problem=problem), {}
    else:
        source = Files(folder, not_after=as_of, time_zone=default_zone, mapping=mapping, landed=landed)
        trial = try_load(source, as_of)
        fed = _feeds(mapping, looks, folder)
    supplied = {table for tables in fed.values() for table in tables} | {one.table for one in landed}
    missing = [name for name in TABLES if name not in supplied and not contract_table(name).is_book]
    return Check(
        folder=folder,
        looks=looks,
        feeds=fed,
        has_document=has_document,
        suggestion=suggestion,
        written=written,
        trial=trial,
        costs=costs_of(missing, texts),
        time_zone=mapping.rules_for("orders", default_zone).time_zone,
        currency=mapping.document.currency or default_currency,
        blockers=_blockers(trial, limits, refused_share, texts),
    )


def _own_document(
    folder: Path, feeds: Path | None
) -> tuple[Mapping | None, tuple[LandedStream, ...], str | None]:
    """The folder's own document, an empty one without a path if it has none; what landed; what is wrong."""
    try:
        return load_mapping(folder), landed_beside(folder, feeds) if feeds is not None else (), None
    except SourceError as error:
        return None, (), str(error)


def _suggested(suggestion: Suggestion) -> Mapping:
    return Mapping(parse_document(suggestion.text))


def _write(folder: Path, text: str) -> Path | None:
    """Writes the document, beside the folder's own one if there is one that differs; None if it cannot."""
    target = folder / FILE_NAME
    try:
        if target.exists():
            if target.read_text(encoding="utf-8", errors="replace") == text:
                return None
            target = folder / SUGGESTED_NAME
        target.write_text(text, encoding="utf-8")
    except OSError:
        return None
    return target


def _feeds(mapping: Mapping, looks: tuple[Look, ...], folder: Path) -> dict[str, tuple[str, ...]]:
    named = {table: mapping.files(folder, table) for table in TABLES}
    return {
        look.name: tuple(
            table
            for table, paths in named.items()
            if (look.path in paths if paths is not None else look.table == table)
        )
        for look in looks
    }


def _blockers(trial: Trial, limits: QuarantineLimits, refused_share: float, texts: Texts) -> tuple[str, ...]:
    if trial.problem is not None:
        return tuple(trial.problem.splitlines())
    reports = {report.table: report for report in trial.reports}
    nothing = [
        texts("check.nothing", table=table)
        for table in ("products", "orders", "order_lines")
        if table in reports and not reports[table].accepted
    ]
    return (*nothing, *map(str, blocked(trial.reports, limits, refused_share)))
