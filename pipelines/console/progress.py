"""Progress on standard error: one line a step with the time to go, and a sign of life in between."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Stage = Callable[[str], None]
"""Is told what a long step does at the moment, as `fit demand_lstm (2 of 7)`."""

SILENCE_S = 8.0
"""After so many seconds without a line, one says what is still at work."""

START, ASK = "start", "api"
"""What a sign of life calls the time before the first step and after the last."""

_ENOUGH_S = 5.0


@dataclass
class Progress:
    """What is known of a run while it runs.

    Attributes:
        words: Texts by name; the command line puts its language's here.
        expected: Seconds that each step will take; empty: no time to go is shown.
        overlap: Steps at work at a time, on average.
        says_begins: Whether a step has a line when it begins as well, for logs of unattended runs.
        write: Where lines go.
        clock: Seconds.
        started: When the run began, by that clock.
    """

    words: Mapping[str, str] = field(
        default_factory=lambda: {
            "to_go": ", about {time} to go",
            "rows": "{rows:,} rows",
            "unchanged": "unchanged",
            "waits": "trained {at}, next due with orders of {day} or at {lines:,} order lines",
            "still": "still at work: {steps}",
            "minutes": "{minutes} min {seconds:02d} s",
            "seconds": "{seconds} s",
        }
    )
    expected: dict[str, float] = field(default_factory=dict)
    overlap: float = 1.0
    says_begins: bool = False
    write: Callable[[str], None] = lambda line: _to_stderr(line)
    clock: Callable[[], float] = time.monotonic
    started: float = field(default_factory=time.monotonic)
    _begun: dict[str, float] = field(default_factory=dict)
    _stage: dict[str, str] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _over_took: float = 0.0
    _over_expected: float = 0.0
    _last: float = field(default_factory=time.monotonic)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, key: str) -> None:
        """A step begins; it is named when it ends or when nothing else is said for a while."""
        with self._lock:
            self._begun[key] = self.clock()
            if self.says_begins and key not in (START, ASK):
                self.line(f"{key} ...")

    def stage(self, key: str, text: str) -> None:
        """A long step says what it does."""
        with self._lock:
            self._stage[key] = text

    def end(self, key: str, rows: object, note: str) -> None:
        """A step ended: one line."""
        with self._lock:
            begun = self._begun.pop(key, None)
            self._stage.pop(key, None)
            self._done.add(key)
            if begun is not None and key in self.expected:
                self._over_took += self.clock() - begun
                self._over_expected += self.expected[key]
            parts = [self.words["rows"].format(rows=rows)] if isinstance(rows, int) else []
            self.line(f"{key}: {', '.join([*parts, note])}")

    def drop(self, key: str) -> None:
        """A step is over without a line."""
        with self._lock:
            self._begun.pop(key, None)
            self._stage.pop(key, None)

    def line(self, text: str) -> None:
        """Write one line with the seconds since the start and the time to go."""
        with self._lock:
            left = self.seconds_left()
            to_go = "" if left is None else self.words["to_go"].format(time=self.duration(left))
            self.write(f"[{self.clock() - self.started:6.1f}s{to_go}] {text}\n")
            self._last = self.clock()

    def _pace(self) -> float:
        """How much longer steps take than was expected, once enough is over to tell."""
        if self._over_expected < _ENOUGH_S:
            return 1.0
        return min(6.0, max(0.5, self._over_took / self._over_expected))

    def seconds_left(self) -> float | None:
        """Seconds until the run will have ended; None when nobody said how long steps take."""
        with self._lock:
            left = 0.0
            for key, seconds in self.expected.items():
                if key in self._done:
                    continue
                begun = self._begun.get(key)
                left += seconds if begun is None else max(1.0, seconds - (self.clock() - begun))
            return left * self._pace() / self.overlap if self.expected else None

    def sign_of_life(self) -> None:
        """Name what is at work, if nothing was said for `SILENCE_S`."""
        with self._lock:
            if self.clock() - self._last < SILENCE_S or not self._begun:
                return
            steps = []
            for key, begun in self._begun.items():
                said = self._stage.get(key)
                facts = f"{said}, " if said else ""
                steps.append(f"{key} ({facts}{self.duration(self.clock() - begun)})")
            self.line(self.words["still"].format(steps="; ".join(steps)))

    def duration(self, seconds: float) -> str:
        """Seconds in words, minutes from 90 s on."""
        whole = round(seconds)
        if whole < 90:
            return self.words["seconds"].format(seconds=whole)
        return self.words["minutes"].format(minutes=whole // 60, seconds=whole % 60)


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


CURRENT = Progress()
"""The progress of this process; there is one standard error."""


def announce(key: str) -> None:
    """Say that a step begins."""
    CURRENT.begin(key)


def forget(key: str) -> None:
    """Something that was announced is over without a line of its own."""
    CURRENT.drop(key)


def report(key: str, rows: object, note: str) -> None:
    """Say how a step ended."""
    CURRENT.end(key, rows, CURRENT.words["unchanged"] if note == "unchanged" else note)


def stage_of(key: str) -> Stage:
    """The function that takes what a step says while it works."""
    return lambda text: CURRENT.stage(key, text)


def plan(expected: Mapping[str, float], overlap: float, words: Mapping[str, str] | None = None) -> None:
    """Say how long each step will take, so that lines can tell the time to go."""
    CURRENT.expected, CURRENT.overlap = dict(expected), overlap
    if words is not None:
        CURRENT.words = words


class SignsOfLife:
    """While it is open, long silences are broken by a line about what is at work."""

    def __enter__(self) -> SignsOfLife:
        """Begin to watch."""
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._work, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._over.set()
        self._watch.join()

    def _work(self) -> None:
        while not self._over.wait(1.0):
            CURRENT.sign_of_life()
