"""Progress on standard error: one line when a step begins, one when it ends."""

from __future__ import annotations

import sys
import time

_STARTED = time.monotonic()


def announce(key: str) -> None:
    """Say that a step begins."""
    sys.stderr.write(f"[{time.monotonic() - _STARTED:6.1f}s] {key} ...\n")
    sys.stderr.flush()


def report(key: str, rows: object, note: str) -> None:
    """Say how a step ended."""
    count = f"{rows:,} rows, " if isinstance(rows, int) else ""
    sys.stderr.write(f"[{time.monotonic() - _STARTED:6.1f}s] {key}: {count}{note}\n")
    sys.stderr.flush()
