"""`make ui`: Dagster, MLflow, the API with its workers, the docs, each on a loopback port, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.store.store_files import follow_move
from pipelines.console.demo_key import DemoKey
from pipelines.home.lock import holder_of
from pipelines.messages import Texts
from pipelines.settings import REPOSITORY, Settings
from serving.errors import ServingError

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Service:
    """One process of the user interface.

    Attributes:
        name: What it is.
        command: How it is started.
        port: Loopback port, or None when it serves nobody.
        path: Path of its first page.
        setting: The variable that moves it to another port.
    """

    name: str
    command: list[str]
    port: int | None
    path: str = "/"
    setting: str = ""


class PortsTakenError(ServingError):
    """Ports are in use; the message names each with the variable that moves it."""


def services(settings: Settings, api_port: int) -> list[Service]:
    """Every process of `make ui`."""
    binaries = Path(sys.executable).parent
    workspace = str(REPOSITORY / "workspace.yaml")
    store = f"sqlite:///{settings.mlflow_dir / 'mlflow.db'}"
    loopback = ["--host", "127.0.0.1", "--port"]
    return [
        Service(
            "Dagster",
            [str(binaries / "dagster-webserver"), "-w", workspace, *loopback, str(settings.dagster_port)],
            settings.dagster_port,
            "/asset-groups",
            "MUYUN_DAGSTER_PORT",
        ),
        Service("daemon of Dagster", [str(binaries / "dagster-daemon"), "run", "-w", workspace], None),
        Service(
            "MLflow",
            [
                *[str(binaries / "mlflow"), "server", "--backend-store-uri", store, "--workers", "1"],
                *["--default-artifact-root", str(settings.mlflow_dir / "artifacts")],
                *[*loopback, str(settings.mlflow_port)],
            ],
            settings.mlflow_port,
            "/",
            "MUYUN_MLFLOW_PORT",
        ),
        Service("API", [sys.executable, "-m", "serving.server"], api_port, "/v1/docs", "MUYUN_API_PORT"),
        Service("live worker", [sys.executable, "-m", "pipelines.cli", "refresh", "--follow"], None),
        Service("settlement worker", [sys.executable, "-m", "serving.jobs", "work"], None),
        Service("webhook worker", [sys.executable, "-m", "serving.jobs", "deliver"], None),
        Service("journey worker", [sys.executable, "-m", "serving.jobs", "run-journeys"], None),
        Service("channel worker", [sys.executable, "-m", "serving.jobs", "ask-channels"], None),
        Service(
            "docs and report",
            [
                *[sys.executable, "-m", "http.server", str(settings.docs_port), "--bind", "127.0.0.1"],
                *["--directory", str(settings.home / "site")],
            ],
            settings.docs_port,
            "/",
            "MUYUN_DOCS_PORT",
        ),
    ]


def serve(settings: Settings) -> int:
    """Start everything, print the addresses and a key for the API, stop everything on Ctrl-C or TERM.

    Returns:
        0 after a signal; 1 when a service ended by itself.

    Raises:
        PortsTakenError: A port is in use.
    """
    from serving.db.connect import ready_database
    from serving.settings import Settings as ServingSettings

    text = Texts(settings.lang)
    wanted = services(settings, ServingSettings().api_port)
    taken = [s for s in wanted if s.port is not None and not _is_free(s.port)]
    if taken:
        raise PortsTakenError(
            "; ".join(text("ui.port_taken", port=s.port, name=s.name, setting=s.setting) for s in taken)
        )
    follow_move(settings.mlflow_dir)
    if holder_of(settings.home) is None:  # else a run writes the warehouse that the docs describe
        _write_docs(settings)
    _write_site(settings)
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    processes = {
        service.name: subprocess.Popen(
            service.command,
            cwd=REPOSITORY,
            stdout=(logs / f"{service.name.split()[0].lower()}.log").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for service in wanted
    }
    stopped: list[int] = []
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda received, _frame: stopped.append(received))
    try:
        with DemoKey(ready_database(ServingSettings()), settings.tenant) as key:
            for service in wanted:
                if service.port is not None:
                    print(f"{service.name:<18} http://127.0.0.1:{service.port}{service.path}")
            print(text("ui.demo_key", secret=key))
            print(text("ui.demo_key_note"))
            print(f"{text('ui.logs', logs=logs)}\n{text('ui.stop')}", flush=True)
            while not stopped:
                ended = [name for name, process in processes.items() if process.poll() is not None]
                if ended:
                    print(text("ui.ended", names=", ".join(ended), logs=logs), file=sys.stderr)
                    return 1
                time.sleep(0.5)
            return 0
    finally:
        _stop(processes)


def _stop(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for process in processes.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    for process in processes.values():
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    for process in processes.values():  # Dagster's code servers outlive their parents by most of a minute
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _write_site(settings: Settings) -> None:
    """Gather the pages worth reading under one folder: report, dbt docs, Data Docs, each if it exists."""
    site = settings.home / "site"
    site.mkdir(parents=True, exist_ok=True)
    pages = {
        "report": settings.report_file.parent,
        "dbt": settings.dbt_target_dir,
        "quality": settings.data_docs_dir,
    }
    for name, folder in pages.items():
        link = site / name
        link.unlink(missing_ok=True)
        if folder.exists():
            link.symlink_to(os.path.relpath(folder, site))
    entries = {
        "report/index.html": "Report of the last run",
        "dbt/static_index.html": "dbt docs",
        "quality/index.html": "Data Docs (Great Expectations)",
    }
    items = "".join(
        f'<li><a href="{path}">{title}</a></li>' for path, title in entries.items() if (site / path).exists()
    )
    (site / "index.html").write_text(
        f"<!doctype html><meta charset=utf-8><title>Muyun</title><h1>Muyun 牧云</h1><ul>{items}</ul>"
    )


def _write_docs(settings: Settings) -> None:
    """Make the dbt docs of the last build; without a build there is nothing to document yet."""
    if not settings.warehouse_build.exists():
        return
    # Dagster's dbt package takes seconds to import, and every command imports this module.
    from pipelines.warehouse.files import PROJECT_DIR, dbt_environment, dbt_program

    target = settings.dbt_target_dir
    subprocess.run(
        [
            dbt_program(),
            "--quiet",
            "docs",
            "generate",
            "--static",
            "--project-dir",
            str(PROJECT_DIR),
            "--profiles-dir",
            str(PROJECT_DIR),
            "--target-path",
            str(target),
            "--log-path",
            str(target / "logs"),
        ],
        env=os.environ | dbt_environment(settings, "1970-01-01T00:00:00+00:00"),
        check=False,
        stdout=subprocess.DEVNULL,
    )
