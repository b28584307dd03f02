"""BG/NBD in the customers' own time: the weeks after a first purchase are livelier than all later ones.

A customer's clock runs `1 + excess * exp(-age / weeks)` times as fast at an age. Counted in that time the
plain model holds again, so its likelihood and its expectation are taken over as they are. Without it the
early weeks bend the tail: what is really a calming down is then told as leaving, and the far future of a
cohort comes out too low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.errors import InsufficientDataError
from models.lifecycle.value.bgnbd import START, BgNbd, Summary
from models.metrics import FloatArray

STARTS = ((1.0, 3.0), (1.0, 8.0))
"""Where the search for excess and weeks begins; the likelier end is taken."""
_PLAIN_BOUNDS = (-7.0, 12.0)
_EXCESS_BOUNDS = (-7.0, 3.0)
_WEEKS_BOUNDS = (-2.0, 3.5)


@dataclass(frozen=True)
class Tempo:
    """How fast the clock of a customer runs at an age.

    Attributes:
        excess: By how much it runs faster right after the first purchase, 0 or more.
        weeks: Age at which a share 1/e of the excess is left, above 0.
    """

    excess: float
    weeks: float

    def __call__(self, age: FloatArray) -> FloatArray:
        """Own time at an age in weeks, float64 as `age`: the integral of the speed."""
        return np.asarray(age + self.excess * self.weeks * -np.expm1(-age / self.weeks))

    def speed(self, age: FloatArray) -> FloatArray:
        """Own weeks a week at an age, float64 as `age`."""
        return np.asarray(1 + self.excess * np.exp(-age / self.weeks))


@dataclass(frozen=True)
class OwnTimeBgNbd:
    """A fitted model.

    Attributes:
        tempo: From age to own time.
        plain: The model in own time.
        staying: Weight of what the same customers would buy if nobody ever left, 0-1. Whoever bought a
            hundred times and then pauses is all but gone to the plain model, and often is not.
    """

    tempo: Tempo
    plain: BgNbd
    staying: float = 0.0

    def expected(self, known: Summary, horizon: FloatArray | float) -> FloatArray:
        """Purchases in the `horizon` weeks (one for all, or one a customer) from now on, float64 (n,)."""
        own = _in_own_time(known, self.tempo)
        ahead = self.tempo(known.age + horizon) - own.age
        leaving = self.plain.expected(own, ahead)
        if self.staying == 0:
            return leaving
        forever = (self.plain.r + own.repeats) / (self.plain.alpha + own.age) * ahead
        return np.asarray((1 - self.staying) * leaving + self.staying * forever)


def fit(known: Summary, repeat_ages: FloatArray) -> OwnTimeBgNbd:
    """Maximum likelihood of the plain model and the tempo together.

    Args:
        known: Customers, in weeks.
        repeat_ages: Age at every repeat purchase of these customers, float64 (sum of repeats,).

    Raises:
        InsufficientDataError: Nobody bought twice.
    """
    from scipy.optimize import minimize

    if len(repeat_ages) == 0:
        raise InsufficientDataError("customer value: no customer bought on two days; the simple rule serves")
    rows, weights = np.unique(
        np.stack([known.repeats, known.last, known.age], axis=1), axis=0, return_counts=True
    )
    distinct = Summary(*rows.T)
    ages, times = np.unique(repeat_ages, return_counts=True)

    def loss(logs: FloatArray) -> float:
        tempo = Tempo(*np.exp(logs[4:]))
        likelihood = weights @ BgNbd(*np.exp(logs[:4])).log_likelihood(_in_own_time(distinct, tempo))
        return -float(likelihood + times @ np.log(tempo.speed(ages))) / len(known)

    bounds = [_PLAIN_BOUNDS] * 4 + [_EXCESS_BOUNDS, _WEEKS_BOUNDS]
    ends = [
        minimize(loss, np.log([*START, *start]), method="L-BFGS-B", bounds=bounds, tol=1e-10)
        for start in STARTS
    ]
    best = min(ends, key=lambda end: float(end.fun))
    parameters = [float(one) for one in np.exp(best.x)]
    return OwnTimeBgNbd(Tempo(*parameters[4:]), BgNbd(*parameters[:4]))


def _in_own_time(known: Summary, tempo: Tempo) -> Summary:
    return Summary(known.repeats, tempo(known.last), tempo(known.age))
