"""Any people, any acts, any order against a model that only remembers what happened."""

import datetime as dt
import itertools

import pytest
from decided_things import DAY, NOW, Desk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from serving.approvals.errors import ApprovalError

PEOPLE = ("anna", "berta", "carla")
_numbers = itertools.count()


class Desks(RuleBasedStateMachine):
    """One request; `history` is what was accepted, and everything else follows from it."""

    operations = None

    @initialize(by_a_job=st.booleans(), cents=st.sampled_from([900, 1_001]))
    def ask(self, by_a_job, cents):
        self.desk = Desk(self.operations, f"any-{next(_numbers)}")
        self.asker = "job:x" if by_a_job else "anna"
        self.needed = 2 if by_a_job and cents > 1_000 else 1
        self.seen = self.desk.ask(cents=cents, by=self.asker, now=NOW).approval
        self.cents, self.now, self.history = cents, NOW, []

    def is_over(self):
        return bool({"reject", "withdraw", "expire", "effect"} & set(self.history))

    def halves(self):
        """Who approved since the last adjustment."""
        last = max((n for n, one in enumerate(self.history) if one == "adjust"), default=-1)
        return [
            one.removeprefix("approve ") for one in self.history[last + 1 :] if one.startswith("approve ")
        ]

    def is_asleep(self):
        tail = [one for one in self.history if one in ("snooze", "wake")]
        return bool(tail) and tail[-1] == "snooze"

    def may(self, name, by):
        valid = self.now < NOW + 7 * DAY
        if self.is_over():
            return False
        if name == "withdraw":
            return True
        if by == self.asker or not valid or self.is_asleep():
            return False
        if name == "snooze":
            return not self.halves() and self.now + DAY < NOW + 7 * DAY
        return not (name == "approve" and by in self.halves())

    @rule(name=st.sampled_from(["approve", "approve", "adjust", "reject", "snooze", "withdraw"]),
          by=st.sampled_from(PEOPLE))  # fmt: skip
    def act(self, name, by):
        arguments = {
            "adjust": ({"cents": self.cents - 1},),
            "reject": ("too_high",),
            "snooze": (self.now + DAY,),
        }.get(name, ())
        expected = self.may(name, by)
        try:
            self.seen = self.desk.act(name, self.seen, by, *arguments, now=self.now)
        except ApprovalError:
            assert not expected, (name, by, self.history)
            return
        assert expected, (name, by, self.history)
        self.history.append(f"approve {by}" if name == "approve" else name)
        self.cents = self.seen.wanted["cents"]
        if name == "approve" and len(self.halves()) == self.needed:
            self.history.append("effect")
        if name == "snooze":
            self.wakes = self.now + DAY

    @rule(days=st.sampled_from([0, 1, 3]))
    def wait(self, days):
        self.now += dt.timedelta(days=days)
        self.desk.clock(self.now)
        if not self.is_over():
            if self.now >= NOW + 7 * DAY:
                self.history.append("expire")
            elif self.is_asleep() and self.now >= self.wakes:
                self.history.append("wake")
        self.seen = self.desk.read(self.seen)

    def teardown(self):
        if not hasattr(self, "desk"):
            return
        log = [one for one in self.desk.log(self.seen) if one.action != "ask"]
        told = {"half_approve": "approve", "take_effect": "effect"}
        assert [told.get(one.action, one.action) for one in log] == [one.split()[0] for one in self.history]
        assert [one.version for one in log] == list(range(2, len(log) + 2))
        assert (self.seen.state == "in_effect") == ("effect" in self.history)
        assert self.desk.booked() == (self.cents if "effect" in self.history else 0)
        if "effect" in self.history:
            assert len(set(self.halves())) == self.needed
            assert self.asker not in self.halves()


def _run(operations, examples, steps):
    Desks.operations = operations
    run_state_machine_as_test(
        Desks,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_order_of_acts(operations):
    _run(operations, 12, 10)


@pytest.mark.slow
def test_any_order_of_acts_at_length(operations):
    _run(operations, 300, 25)
