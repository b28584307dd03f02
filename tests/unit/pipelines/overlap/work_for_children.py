"""Functions that tests run in a process of their own."""

import logging
import os
import random
import signal

from models.errors import InsufficientDataError


def draw(seed: int, count: int) -> list[float]:
    random.seed(seed)
    return [random.random() for _ in range(count)]


def thread_settings() -> dict[str, str]:
    return {name: os.environ[name] for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")}


def refuse() -> None:
    raise InsufficientDataError("too few weeks")


class OddError(Exception):
    """Cannot be made anew from its message."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def raise_odd() -> None:
    raise OddError(1, 2)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def speak() -> str:
    logger = logging.getLogger("muyun.progress")
    logger.info("%d of %d", 1, 2)
    logger.info("%d of %d", 2, 2)
    return "done"
