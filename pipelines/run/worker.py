"""`python -m pipelines.run.worker [options of celery worker]`: steps of runs under MUYUN_EXECUTOR=celery.

Started on every machine that is to work, with the same settings as the run: the home's folder, the database
and the broker are those of all.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from pipelines.run.environment import RunError, prepare
from pipelines.settings import Settings


def main(arguments: list[str]) -> int:
    """Becomes the worker; 1 when the home or the database cannot be used, 2 when no broker is set."""
    settings = Settings()
    if settings.celery_broker is None:
        print("error: set MUYUN_CELERY_BROKER to the broker's address", file=sys.stderr)
        return 2
    try:
        prepare(settings)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return _become_worker(settings.celery_broker, settings.celery_backend, arguments)


def _become_worker(broker: str, backend: str | None, arguments: list[str]) -> NoReturn:
    celery = str(Path(sys.executable).with_name("celery"))
    results = ["--result-backend", backend] if backend else []
    application = ["--app", "dagster_celery.app", "--broker", broker, *results]
    os.execv(celery, [celery, *application, "worker", "--queues", "dagster", *arguments])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
