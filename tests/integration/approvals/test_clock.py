"""What the clock does: expiry, the end of a snooze, effects of later."""

import pytest
from decided_things import DAY, NOW

from serving.approvals.errors import SuggestionError


def test_requests_expire_and_say_so(desk):
    pending, snoozed = desk.ask("p").approval, desk.ask("s").approval
    half = desk.act("approve", desk.ask("h", 5_000, by="job:x").approval, "berta")
    desk.act("snooze", snoozed, "berta", NOW + 6 * DAY)
    late = desk.ask("late", expires_at=NOW + 20 * DAY).approval
    nothing = desk.clock(NOW + 5 * DAY)
    assert (nothing.expired, nothing.woken, nothing.in_effect) == (0, 0, 0)
    done = desk.clock(NOW + 7 * DAY)
    assert (done.expired, done.woken, done.refused) == (3, 0, ())
    for one in (pending, snoozed, half):
        assert desk.read(one).state == "expired"
        last = desk.log(one)[-1]
        assert (last.action, last.decided_by, last.decided_at) == ("expire", "system", NOW + 7 * DAY)
    assert desk.read(late) == late
    assert desk.clock(NOW + 7 * DAY).expired == 0
    assert desk.ask("p").is_new


def test_a_snooze_ends(desk):
    asked = desk.ask().approval
    snoozed = desk.act("snooze", asked, "berta", NOW + 2 * DAY)
    assert (snoozed.state, snoozed.snoozed_until) == ("snoozed", NOW + 2 * DAY)
    assert desk.clock(NOW + 2 * DAY).woken == 1
    woken = desk.read(asked)
    assert (woken.state, woken.snoozed_until) == ("pending", None)
    assert desk.act("approve", woken, "berta").state == "in_effect"
    for until in (NOW, NOW + 7 * DAY):
        with pytest.raises(SuggestionError):
            desk.act("snooze", desk.ask("t").approval, "berta", until)


def test_what_takes_effect_later_waits_for_its_time(desk):
    asked = desk.ask(cents=300, effect_at=NOW + 3 * DAY).approval
    approved = desk.act("approve", asked, "berta")
    assert (approved.state, desk.booked()) == ("approved", 0)
    withdrawn = desk.act(
        "withdraw", desk.act("approve", desk.ask("w", effect_at=NOW + DAY).approval, "berta"), "anna"
    )
    refused = desk.act("approve", desk.ask("r", 13, effect_at=NOW + DAY).approval, "berta")
    assert desk.clock(NOW + 2 * DAY).refused == (f"approval {refused.approval_id}: thirteen",)
    done = desk.clock(NOW + 3 * DAY)
    assert (done.in_effect, len(done.refused), desk.booked()) == (1, 1, 300)
    assert desk.read(asked).state == "in_effect"
    assert desk.read(withdrawn).state == "withdrawn"
    assert desk.read(refused) == refused
