"""Replays past orders of the lake through orders and settlement in bulk, so that the books have life.

`selection` decides what is replayed and reads nothing but the lake; `parties`, `catalogue` and `orders` write
rows; `days` lets the time pass: refunds, releases, a pay-out, the close of a month. `run` is the whole of it.
Money is moved by `serving.settlement` alone; no Dagster here.
"""

from __future__ import annotations

from pipelines.replay.run import ReplayReport, replay

__all__ = ["ReplayReport", "replay"]
