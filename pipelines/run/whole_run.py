"""What is written down of the last run in which every step and check passed.

With it goes the state in which the embedded PostgreSQL came to rest, as long as nobody wrote since a look
that found nothing new: such a server need not be started to look again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipelines.lake.files import atomic_path
from pipelines.settings import Settings
from serving.db.at_rest import next_transaction_at_rest, rest_of
from serving.db.embedded import embedded_postgres

FILE = "whole_run.json"
"""Beside the records of the steps."""
IN_DATABASE = frozenset({"database", "served", "held"})
"""Parts of a run's mark that only the database tells."""


def read_whole_run(settings: Settings) -> dict[str, Any] | None:
    """What was written down of the last whole run; None when it cannot be read."""
    try:
        found = json.loads((settings.state_dir / FILE).read_text())
        return found if found["mark"].keys() >= IN_DATABASE else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_whole_run(settings: Settings, found: Mapping[str, Any]) -> None:
    """Write it whole or not at all."""
    with atomic_path(settings.state_dir / FILE) as temporary:
        temporary.write_text(json.dumps(found, indent=1))


def forget_whole_run(settings: Settings) -> None:
    """A run begins: until it has ended well, nothing is whole."""
    (settings.state_dir / FILE).unlink(missing_ok=True)


def has_whole_run(settings: Settings) -> bool:
    """Whether a run ended well here, so that it is worth a look whether it still stands."""
    return (settings.state_dir / FILE).exists()


def remember_rest(settings: Settings) -> None:
    """The embedded server has stopped: write down how, if nobody wrote since a look found nothing new."""
    found = read_whole_run(settings)
    if settings.database_url is not None or found is None or "next_transaction" not in found:
        return
    cluster = embedded_postgres(settings.serving)
    rest = rest_of(cluster)
    if rest == found.get("rest") or next_transaction_at_rest(cluster) != found["next_transaction"]:
        return
    write_whole_run(settings, {**found, "rest": rest})


def is_at_rest(settings: Settings) -> bool:
    """Whether the embedded server is stopped and stands as the last look that found nothing new left it."""
    found = read_whole_run(settings)
    if settings.database_url is not None or found is None or found.get("rest") is None:
        return False
    return bool(found["rest"] == rest_of(embedded_postgres(settings.serving)))
