"""Which limits a batch breaks by its profile: pure, on the facts of this batch and of the last good one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.limits.document import Limit, Range
from pipelines.limits.profile import Profile


@dataclass(frozen=True)
class Breach:
    """A limit that does not hold.

    Attributes:
        limit: Its name.
        is_error: Whether it blocks.
        found: What was found, in words.
        reason: Why the limit is there.
    """

    limit: str
    is_error: bool
    found: str
    reason: str

    def __str__(self) -> str:
        return f"{self.limit}: {self.found}. {self.reason}"


def breaches(limits: Mapping[str, Limit], now: Profile, last: Profile | None) -> list[Breach]:
    """Limits on facts that do not hold, in the order of the limits.

    Args:
        limits: By name; limits with an expectation are not judged here.
        now: This batch.
        last: The last good batch; None when there is none, and then only values are judged.
    """
    return [
        Breach(name, limit.severity == "error", found, limit.reason)
        for name, limit in limits.items()
        if limit.fact is not None
        for found in _broken(limit, now, last)
    ]


def _broken(limit: Limit, now: Profile, last: Profile | None) -> Iterator[str]:
    fact = str(limit.fact)
    if limit.value is not None and now.rows >= limit.least_rows:
        for name, value in now.facts(fact).items():
            if not limit.value.admits(value):
                yield f"{name} is {value:,.4g} ({_words(limit.value)})"
    if last is None or last.rows < limit.least_rows:
        return
    if fact != "rows" and now.rows < limit.least_rows:
        return
    before = last.facts(fact)
    for name, value in now.facts(fact).items():
        if name not in before:
            continue
        old = before[name]
        if limit.ratio_to_last_good is not None and old > 0:
            ratio = value / old
            if not limit.ratio_to_last_good.admits(ratio):
                yield (
                    f"{name} is {value:,.10g}, {ratio:.3g} times the {old:,.10g} of the last good batch "
                    f"({_words(limit.ratio_to_last_good)} times)"
                )
        if limit.rise_over_last_good is not None and not limit.rise_over_last_good.admits(value - old):
            yield (
                f"{name} is {value:.1%} after {old:.1%} in the last good batch "
                f"({_words(limit.rise_over_last_good)} more)"
            )
    if limit.distance_from_last_good is not None and fact in now.mixes and fact in last.mixes:
        distance = mix_distance(now.mixes[fact], last.mixes[fact])
        if not limit.distance_from_last_good.admits(distance):
            yield (
                f"{fact} is {_shares(now.mixes[fact])} after {_shares(last.mixes[fact])} in the last good "
                f"batch, a distance of {distance:.2f} ({_words(limit.distance_from_last_good)})"
            )


def mix_distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Share of rows that would have to move from one value to another to turn one mix into the other."""
    return sum(abs(one.get(value, 0.0) - other.get(value, 0.0)) for value in {*one, *other}) / 2


def _words(admitted: Range) -> str:
    bounds = (("at least", admitted.least), ("at most", admitted.most))
    return "admitted: " + ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def _shares(mix: Mapping[str, float]) -> str:
    ranked = sorted(mix.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{value} {share:.0%}" for value, share in ranked[:4])
