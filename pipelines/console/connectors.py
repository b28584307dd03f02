"""`muyun connectors`: list the feeds over HTTP, try them, pull them now, print a reference declaration."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pipelines.sources.connectors as package
from pipelines.check_data.try_connector import try_connector
from pipelines.messages import Texts
from pipelines.settings import Settings
from pipelines.sources.connectors.declaration import Connector
from pipelines.sources.connectors.errors import ConnectorError
from pipelines.sources.connectors.rounds import pull_round
from pipelines.sources.connectors.shelf import Shelf
from pipelines.sources.files.landed import connectors_of
from pipelines.sources.mapping.names import nearest

REFERENCES = Path(str(package.__file__)).parent / "reference"
ACTIONS = ("list", "try", "pull", "reference")


def on_connectors(action: str, name: str | None, settings: Settings) -> tuple[str, int]:
    """Runs one of the actions.

    Args:
        action: One of `ACTIONS`.
        name: A connector, or a reference; None: all.
        settings: Name the folder and the home.

    Returns:
        What to print, and the exit status: 0 when every feed answered as it is declared.

    Raises:
        SourceError: There is no such connector, or a declaration is wrong.
    """
    if action == "reference":
        return _reference(name), 0
    texts = Texts(settings.lang)
    connectors = connectors_of(settings.data) if settings.data is not None else ()
    if name is not None:
        known = [one.connector for one in connectors]
        connectors = tuple(one for one in connectors if one.connector == name)
        if not connectors:
            raise ConnectorError(f"no connector is called {name!r}{nearest(name, known)}")
    if not connectors:
        return texts("connectors.none"), 0
    if action == "list":
        return "\n".join(_listed(connectors, settings, texts)), 0
    return _tried(connectors, settings, texts) if action == "try" else _pulled(connectors, settings, texts)


def _reference(name: str | None) -> str:
    files = {path.stem: path for path in sorted(REFERENCES.glob("*.yaml"))}
    if name not in files:
        near = nearest(name or "", files)
        raise ConnectorError(f"there is no reference {name!r}{near}; there are {', '.join(files)}")
    return files[name].read_text(encoding="utf-8").rstrip()


def _listed(connectors: Iterable[Connector], settings: Settings, texts: Texts) -> Iterable[str]:
    for connector in connectors:
        for name, stream in connector.streams.items():
            shelf = Shelf(settings.feeds_dir / connector.connector / name)
            standing = shelf.standing()
            files = len(list(shelf.folder.glob("*.jsonl")))
            yield texts(
                "connectors.listed",
                stream=f"{connector.connector}/{name}",
                table=stream.table,
                files=files,
                landed=standing.landed_at or "-",
                mark=standing.mark or "-",
            )


def _tried(connectors: Iterable[Connector], settings: Settings, texts: Texts) -> tuple[str, int]:
    lines, status = [], 0
    now = settings.as_of or datetime.now(UTC)
    for connector in connectors:
        for tried in try_connector(connector, os.environ, time_zone=settings.zone, as_of=now):
            if tried.problem is not None:
                lines.append(f"{tried.stream}: {tried.problem}")
                status = 1
                continue
            more = texts("connectors.more") if tried.has_more else ""
            lines.append(
                texts(
                    "connectors.tried",
                    stream=tried.stream,
                    table=tried.table,
                    rows=tried.rows,
                    accepted=tried.accepted,
                    more=more,
                )
            )
            lines += [f"  {count:,} x {reason}" for reason, count in tried.reasons.items()]
            status |= bool(tried.reasons)
    return "\n".join(lines), int(status)


def _pulled(connectors: Iterable[Connector], settings: Settings, texts: Texts) -> tuple[str, int]:
    lines, status = [], 0
    for report in pull_round(connectors, settings.feeds_dir, os.environ, now=lambda: datetime.now(UTC)):
        lines.append(
            texts(
                "connectors.pulled",
                stream=report.stream,
                status=texts(f"connectors.{report.status}"),
                rows=report.rows,
                repeated=report.repeated,
            )
        )
        lines += [f"  {line}" for line in (report.problem, *report.drift) if line]
        status |= report.status in ("failed", "outdated") or bool(report.drift)
    return "\n".join(lines), int(status)
