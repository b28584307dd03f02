"""The planning processes of one API process: few, started when first needed, killed when they are silent."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading

import msgspec

from serving.delivery_routes.contracts import PlannerAnswer, RoutePlan, RoutePlanRequest
from serving.delivery_routes.errors import InvalidRouteRequestError, PlannerBusyError, PlannerFailedError

PROCESSES = 2
WAIT_S = 2.0
"""Longest wait for a process that is at work."""
GRACE_S = 10.0
"""Time beyond the search that a process has to start, to read and to write."""

_REFUSALS = {kind.slug: kind for kind in InvalidRouteRequestError.__subclasses__()}
"""A request is checked where it is laid out, since that takes a library that the API does not load."""


class Planner:
    """Plans routes in processes beside this one."""

    def __init__(self) -> None:
        self._idle: queue.LifoQueue[_Process] = queue.LifoQueue()
        self._all = [_Process() for _ in range(PROCESSES)]
        for process in self._all:
            self._idle.put(process)

    def plan(self, request: RoutePlanRequest) -> RoutePlan:
        """Plan the routes of a request; it takes about its `seconds`.

        Raises:
            InvalidRouteRequestError: The request contradicts itself.
            PlannerBusyError: Every process is at work.
            PlannerFailedError: The process ended or did not answer.
        """
        try:
            process = self._idle.get(timeout=WAIT_S)
        except queue.Empty:
            raise PlannerBusyError(
                f"all {PROCESSES} planning processes are at work; ask again, or plan for fewer seconds"
            ) from None
        try:
            answer = process.ask(msgspec.json.encode(request) + b"\n", request.seconds + GRACE_S)
        finally:
            self._idle.put(process)
        told = msgspec.json.decode(answer, type=PlannerAnswer)
        if told.plan is None:
            raise _REFUSALS.get(told.refusal or "", InvalidRouteRequestError)(told.message)
        return told.plan

    def close(self) -> None:
        """End the processes."""
        for process in self._all:
            process.end()


class _Process:
    """One planning process; it is started when it is first asked, and anew after it failed."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None

    def ask(self, line: bytes, seconds: float) -> bytes:
        running = self._started()
        assert running.stdin is not None
        assert running.stdout is not None
        late = threading.Timer(seconds, running.kill)
        late.start()
        try:
            running.stdin.write(line)
            running.stdin.flush()
            answer = running.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            late.cancel()
        if not answer:
            self.end()
            raise PlannerFailedError(
                f"the planning process gave no plan within {seconds:.0f} s; ask again, or plan fewer stops"
            )
        return answer

    def end(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
            self._running = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._running is None or self._running.poll() is not None:
            self.end()
            self._running = subprocess.Popen(
                [sys.executable, "-m", "serving.delivery_routes"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._running
