"""The resident worker: a tick every few minutes, until it is told to stop. No Dagster of its own.

Ticks begin at whole multiples of their length by the wall clock. A tick that fails is told and tried again at
the next turn: nothing of it was kept, and what it did not see is still to be seen.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from pipelines.live.log import Tick
from pipelines.live.store import LiveStoreBusyError


def seconds_to_next(now_s: float, every_s: float) -> float:
    """Seconds until the next whole multiple of a tick's length.

    >>> seconds_to_next(now_s=601.0, every_s=300.0)
    299.0
    >>> seconds_to_next(now_s=600.0, every_s=300.0)
    300.0
    """
    return every_s - now_s % every_s


def work(tick: Callable[[], Tick], tell: Callable[[Tick | Exception], None], *, every_s: float) -> None:
    """Tick until SIGTERM or SIGINT; the first one at once.

    Args:
        tick: Does a tick.
        tell: Gets what each tick did, or why it failed.
        every_s: Seconds between the begins of two ticks.
    """
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    while not stop.is_set():
        try:
            tell(tick())
        except LiveStoreBusyError as busy:
            sys.stderr.write(f"{busy}\n")
        except Exception as error:  # noqa: BLE001  the worker outlives every tick that fails
            tell(error)
        stop.wait(seconds_to_next(time.time(), every_s))
