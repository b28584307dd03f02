"""A piece of work in a process of its own: its random state, threads and memory end with it.

Nothing heavy is imported here: the child sets its thread counts before it imports what it runs.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from pipelines.console.progress import Stage

Result = TypeVar("Result")

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}
"""Two trainings side by side fill two cores; more threads would only wait for each other."""

_running: set[Any] = set()


class ChildDiedError(Exception):
    """A process ended without an answer; the message says what was asked and what may have happened."""


def run_apart(work: Callable[..., Result], *arguments: object, stage: Stage | None = None) -> Result:
    """Run a function in a fresh process and hand back what it returns.

    Args:
        work: A function of a module, found by its name.
        arguments: What it is called with; they are pickled.
        stage: Is told what the work says on the logger `muyun.progress`.

    Returns:
        The function's result, pickled on the way.

    Raises:
        ChildDiedError: The process was killed, by lack of memory for example.
        Exception: What the function raised.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    call = (work.__module__, work.__qualname__, pickle.dumps(arguments))
    process = context.Process(target=_answer, args=(sender, *call), daemon=True)
    process.start()
    sender.close()
    _running.add(process)
    try:
        kind, content = _last_word(receiver, stage)
    except EOFError:
        process.join()
        raise ChildDiedError(
            f"the process of {work.__module__}.{work.__qualname__} ended without an answer "
            f"(exit code {process.exitcode}); -9 mostly means that memory ran out: "
            "set MUYUN_EXECUTOR=in_process"
        ) from None
    finally:
        receiver.close()
        process.join()
        _running.discard(process)
    if kind == "raised":
        raise content
    result: Result = content
    return result


def stop_all() -> None:
    """End every process that `run_apart` waits for."""
    for process in list(_running):
        process.kill()


def _last_word(receiver: Connection, stage: Stage | None) -> tuple[str, Any]:
    while True:
        kind, content = receiver.recv()
        if kind != "said":
            return kind, content
        if stage is not None:
            stage(content)


def _answer(sender: Connection, module: str, name: str, arguments: bytes) -> None:
    """The child: one thread a library, no Ctrl-C of its own, an end when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(ONE_THREAD)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _forward_progress(sender)
    try:
        answer = "done", getattr(import_module(module), name)(*pickle.loads(arguments))
        payload = pickle.dumps(answer)
    except Exception as error:  # noqa: BLE001 - it is raised again on the other side
        payload = _picklable(error)
    sender.send_bytes(payload)


def _picklable(error: Exception) -> bytes:
    try:
        payload = pickle.dumps(("raised", error))
        pickle.loads(payload)
    except Exception:  # noqa: BLE001 - an exception of any library, with any constructor
        return pickle.dumps(("raised", RuntimeError(f"{type(error).__name__}: {error}")))
    return payload


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


class _Forward(logging.Handler):
    """Hands log records to the parent as texts."""

    def __init__(self, sender: Connection) -> None:
        super().__init__()
        self._sender = sender

    def emit(self, record: logging.LogRecord) -> None:
        self._sender.send(("said", record.getMessage()))


def _forward_progress(sender: Connection) -> None:
    logger = logging.getLogger("muyun.progress")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(_Forward(sender))
