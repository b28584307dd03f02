"""Start the real API and ask it what a storefront would ask; the answers go into the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.lake.tables import Lake
from pipelines.settings import REPOSITORY, Settings
from pipelines.stores.publication import score_key
from serving.errors import ServingError

if TYPE_CHECKING:
    import httpx

_START_TIMEOUT_S = 30


@dataclass(frozen=True)
class Answer:
    """One request and what came back.

    Attributes:
        request: Method and path.
        status: HTTP status.
        ms: Milliseconds from sending to the whole body.
        body: The JSON document.
    """

    request: str
    status: int
    ms: float
    body: Any


class ApiNotReadyError(ServingError):
    """The API did not become ready; the message carries what it printed."""


def ask(settings: Settings) -> list[Answer]:
    """Start the API on a free port, ask a handful of questions, stop it.

    Raises:
        ApiNotReadyError: The server did not start.
    """
    import httpx

    with running_api() as (base, key), httpx.Client(base_url=base, headers={"X-API-Key": key}) as client:
        client.get("/health/live")
        return [_ask(client, path) for path in questions(settings)]


def questions(settings: Settings) -> list[str]:
    """Paths about real rows of the current scores, and one unknown consumer."""
    lake = Lake(settings.lake_dir)
    paths = []
    lists = lake.get(score_key("recommendations")).head(1)
    popular = lake.get(score_key("popular_items")).head(1)
    if lists.height:
        row = lists.row(0, named=True)
        paths.append(
            f"/v1/recommendations?consumer_id={row['consumer_id']}&merchant_id={row['merchant_id']}&limit=5"
        )
        paths.append(f"/v1/consumers/{row['consumer_id']}/profile")
        paths.append(f"/v1/consumers/{row['consumer_id']}/rebuy-reminders")
    if popular.height:
        merchant = popular.row(0, named=True)["merchant_id"]
        paths.append(f"/v1/recommendations?consumer_id=somebody-new&merchant_id={merchant}&limit=5")
    prices = lake.get(score_key("prices")).head(1)
    if prices.height:
        row = prices.row(0, named=True)
        paths.append(f"/v1/prices/{row['merchant_id']}/{row['sku_id']}")
    reorders = lake.get(score_key("reorder_suggestions"))
    reorders = reorders.sort("reorder_qty", "sku_id", descending=[True, False])
    if reorders.height:
        paths.append(f"/v1/reorder-suggestions?supplier_id={reorders['supplier_id'][0]}&limit=5")
    paths += ["/v1/wakeup-list?limit=5", "/v1/publications/current", "/health/ready"]
    return paths


@contextmanager
def running_api() -> Iterator[tuple[str, str]]:
    """The API as a process of its own on a free loopback port; yields its address and a key."""
    from serving.db.connect import ready_database
    from serving.security import Scope, issue_key, revoke_key
    from serving.settings import Settings as ServingSettings

    url = ready_database(ServingSettings())
    key = issue_key(url, name="make run", scopes=list(Scope), merchant_id=None)
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server"],
        cwd=REPOSITORY,
        env=os.environ | {"MUYUN_API_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield _address(process), key.secret
    finally:
        process.terminate()
        process.wait(timeout=20)
        revoke_key(url, key.key_id)


def _address(process: subprocess.Popen[str]) -> str:
    """The address that the server announces, once it answers."""
    if process.stdout is None:
        raise ApiNotReadyError("the API has no output to read its address from")
    line = process.stdout.readline()
    address = next((word for word in line.split() if word.startswith("http://")), None)
    if address is None:
        raise ApiNotReadyError(
            f"the API did not start: {line or 'no output'}; run `python -m serving.server` to see why"
        )
    import httpx

    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/health/live", timeout=1).status_code == 200:
                return address
        except httpx.TransportError:
            time.sleep(0.05)
    raise ApiNotReadyError(f"the API at {address} did not answer within {_START_TIMEOUT_S} s")


def _ask(client: httpx.Client, path: str) -> Answer:
    started = time.perf_counter()
    response = client.get(path, timeout=10)
    ms = (time.perf_counter() - started) * 1000
    try:
        body = response.json()
    except json.JSONDecodeError:
        body = response.text[:500]
    return Answer(f"GET {path}", response.status_code, round(ms, 2), body)
