"""What a journey's document may not say, each with its reason."""

import copy

import pytest
import yaml

from serving.journeys.definition.checking import Surroundings, refusals
from serving.journeys.definition.loading import digest, load
from serving.journeys.errors import JourneyRefusedError

DORMANT = yaml.safe_load("""
journey_id: wake
title: Wake whoever is dormant
purpose: marketing
entry: {kind: segment, segment: dormant}
again_after_days: 90
steps:
  - {id: coupon, kind: send, channel: sms, template: "For you: {coupon}", coupon: cp, next: day}
  - {id: day, kind: wait, minutes: 1440, since: delivered, until: [visit, click, order], next: high}
  - {id: high, kind: branch, segment: rich, then: call, next: list}
  - {id: list, kind: send, channel: wecom, template: "{items}", items: 5, next: day2}
  - {id: day2, kind: wait, minutes: 1440, next: call}
  - {id: call, kind: task, task: Call, within_minutes: 15, items: 5, next: end}
""")
KNOWN = Surroundings({"dormant": 100, "rich": 5}, 1_000, {"cp": 19_900})


def changed(change):
    document = copy.deepcopy(DORMANT)
    change(document, {step["id"]: step for step in document["steps"]})
    return load(document)


def codes(journey, known=KNOWN):
    return [(found.code, found.step) for found in refusals(journey, known)]


def test_a_forbidden_word_of_advertising_is_refused_with_its_place_and_law():
    def best(_, steps):
        steps["list"]["template"] = "第一次来？最佳选择：{items}"

    (found,) = refusals(changed(best), KNOWN)
    assert (found.code, found.step) == ("forbidden_word", "list")
    assert "“最佳” at 5: absolute term (广告法 art. 9(3))" in found.message


def test_a_good_journey_is_refused_nothing():
    assert codes(load(DORMANT)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d, s: s["call"].update(next="coupon"), []),
        (lambda d, s: s["list"].update(next="list"), [
            ("step_unreachable", "day2"), ("loop_without_wait", "list")]),
        (
            lambda d, s: (s["day2"].update(kind="branch", segment="rich", then="list", next="call"),
                          [s["day2"].pop(key) for key in ("minutes",)]),
            [("loop_without_wait", "day2"), ("loop_without_wait", "list")],
        ),
        (lambda d, s: s["high"].update(then="list", next="list"), [("branch_idle", "high")]),
        (lambda d, s: s["high"].update(outcome="clicked"), [("branch_condition", "high")]),
        (lambda d, s: s["high"].pop("segment"), [("branch_condition", "high")]),
        (lambda d, s: s["high"].update(segment="unknown"), [("segment_unknown", "high")]),
        (lambda d, s: d["entry"].update(segment="nobody"), [("segment_unknown", None)]),
        (lambda d, s: s["day2"].update(next="nowhere"), [("step_unknown", "day2")]),
        (lambda d, s: s["day"].update(next="end"), [
            ("step_unreachable", "high"), ("step_unreachable", "list"), ("step_unreachable", "day2"),
            ("step_unreachable", "call")]),
        (lambda d, s: s["day2"].update(id="list", next="call"), [
            ("step_twice", "list"), ("step_unknown", "list")]),
        (lambda d, s: s["coupon"].update(coupon="gone"), [("coupon_without_budget", "coupon")]),
        (lambda d, s: s["coupon"].update(coupon=None), [("template", "coupon")]),
        (lambda d, s: s["list"].update(template="Come back"), [("template", "list")]),
    ],
)  # fmt: skip
def test_every_reason(change, expected):
    assert codes(changed(change)) == expected


def test_a_loop_with_a_wait_is_a_good_loop():
    assert codes(changed(lambda d, s: s["call"].update(next="day2"))) == []


def test_a_journey_that_does_nothing():
    def only_waits(document, _):
        document["steps"] = [{"id": "day", "kind": "wait", "minutes": 1, "next": "end"}]

    assert codes(changed(only_waits)) == [("nothing_done", None)]


@pytest.mark.parametrize(("members", "refused"), [(900, False), (901, True)])
def test_everybody_is_no_audience(members, refused):
    known = Surroundings({"dormant": members, "rich": 5}, 1_000, KNOWN.budgets)
    assert codes(load(DORMANT), known) == ([("audience_everybody", None)] if refused else [])


@pytest.mark.parametrize(("left", "refused"), [(1, False), (0, True)])
def test_a_coupon_needs_a_budget(left, refused):
    known = Surroundings(KNOWN.segments, 1_000, {"cp": left})
    assert codes(load(DORMANT), known) == ([("coupon_without_budget", "coupon")] if refused else [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "cannot be read"),
        ("- a", "no mapping"),
        ("journey_id: x", "title: Field required"),
        (yaml.safe_dump({**DORMANT, "colour": "red"}), "colour: Extra inputs"),
        (yaml.safe_dump({**DORMANT, "control_bps": 6_000}), "control_bps: Input should be less than"),
        (yaml.safe_dump({**DORMANT, "journey_id": "Wake Up"}), "journey_id: String should match"),
    ],
)
def test_a_document_of_another_shape_names_every_place(text, words):
    with pytest.raises(JourneyRefusedError, match=words):
        load(text)


def test_the_digest_is_of_what_is_said_not_of_how():
    again = load(yaml.safe_dump(DORMANT, sort_keys=True))
    assert digest(again) == digest(load(DORMANT))
    assert digest(changed(lambda d, s: d.update(title="Other"))) != digest(load(DORMANT))
