import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from agent_books import NOW

from serving.agents.errors import AgentConflictError, ReviewError, UnknownAgentError
from serving.agents.party_holds import standing_holds
from serving.agents.region_records import hold_for_diversion
from serving.agents.regions import Observations, assess
from serving.agents.relations import find
from serving.agents.violation_records import (
    Report,
    decide_termination,
    record_violation,
    standing_points,
    violations_of,
    withdraw_violation,
)
from serving.agents.violations import Consequence, Severity
from serving.ledger.accounts import Party
from serving.settlement.control.blocks import read_blocks
from serving.settlement.control.holds import confirm_hold, lift_hold
from serving.settlement.errors import HoldResolvedError
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import RegionRule, ViolationRule

RULE = load_shipped().only(ViolationRule)
REGIONS = load_shipped().only(RegionRule)
DAY = timedelta(days=1)


@pytest.fixture
def agent(books):
    books.join("a1", is_verified=True)
    books.sql("update agents.agent set tier = 'gold'")
    return books


def report(books, severity, reference, *, now=NOW, occurred_at=None, reason="false_claims"):
    found = Report("a1", severity, reason, occurred_at or now, reference)
    return books.do(record_violation, found, RULE, now)


def blocked(books, now):
    """Reasons against paying the agent, as releases and pay-outs ask."""
    return books.do(read_blocks, now, parties=[Party("agent", "a1")]).of_party(Party("agent", "a1"))


def tier(books):
    return books.rows("select tier from agents.agent")[0][0]


def test_from_a_warning_to_a_review(agent):
    first = report(agent, Severity.SERIOUS, "case-1")
    assert (first.points, first.consequences, first.is_new) == (3, (Consequence.WARNING,), True)
    assert blocked(agent, NOW) == []
    second = report(agent, Severity.SERIOUS, "case-2")
    assert second.consequences == (Consequence.WARNING, Consequence.WITHDRAWALS_HELD)
    code = f"hold:violation_points:{second.violation.violation_id}"
    assert blocked(agent, NOW) == [code]
    assert blocked(agent, NOW + 7 * DAY - timedelta(seconds=1)) == [code]
    assert blocked(agent, NOW + 7 * DAY) == []
    third = report(agent, Severity.SERIOUS, "case-3")
    assert (third.points, third.consequences[-1], tier(agent)) == (9, Consequence.TIER_DOWN, "silver")
    fourth = report(agent, Severity.SERIOUS, "case-4")
    assert (fourth.consequences[-1], tier(agent)) == (Consequence.TERMINATION_REVIEW, "silver")
    assert "hold:termination_review" in blocked(agent, NOW + 300 * DAY)
    assert agent.rows("select tier_before, tier_after, reason from agents.tier_change") == [
        ("gold", "silver", f"violation:{third.violation.violation_id}")
    ]


def test_the_same_case_counts_once(agent):
    assert report(agent, Severity.GRAVE, "case-1").is_new is True
    again = report(agent, Severity.GRAVE, "case-1")
    assert (again.is_new, again.points, again.consequences) == (False, 6, ())
    with pytest.raises(AgentConflictError, match="case-1"):
        report(agent, Severity.MINOR, "case-1")
    with pytest.raises(UnknownAgentError):
        agent.do(record_violation, Report("nobody", Severity.MINOR, "r", NOW, "x"), RULE, NOW)


def test_old_violations_are_noted_without_consequence(agent):
    found = report(agent, Severity.EXTREME, "old", occurred_at=NOW - 365 * DAY)
    assert (found.points, found.consequences) == (0, ())
    assert blocked(agent, NOW) == []


def test_a_granted_appeal_takes_points_and_holds_back(agent):
    first = report(agent, Severity.GRAVE, "case-1")
    report(agent, Severity.GRAVE, "case-2")
    assert len(agent.do(standing_holds, "a1", NOW + DAY)) == 3
    taken = agent.do(withdraw_violation, "a1", first.violation.violation_id, RULE, NOW + DAY, "operator")
    assert (taken.points, taken.is_new) == (6, True)
    assert [hold.reason_code.split(":")[0] for hold in agent.do(standing_holds, "a1", NOW + DAY)] == [
        "violation_points"
    ]
    (other,) = (item for item in agent.do(violations_of, "a1") if item.withdrawn_at is None)
    agent.do(withdraw_violation, "a1", other.violation_id, RULE, NOW + DAY, "operator")
    assert agent.do(standing_holds, "a1", NOW + DAY) == []
    assert blocked(agent, NOW + DAY) == []
    assert agent.rows("select distinct state, resolved_by from settlement.hold") == [("lifted", "operator")]
    again = agent.do(withdraw_violation, "a1", other.violation_id, RULE, NOW + 2 * DAY, "operator")
    assert again.is_new is False
    with pytest.raises(UnknownAgentError, match="no violation"):
        agent.do(withdraw_violation, "a1", 10**9, RULE, NOW, "operator")


@pytest.mark.parametrize("terminate", [True, False])
def test_a_review_is_decided_once(agent, terminate):
    with pytest.raises(ReviewError):
        agent.do(decide_termination, "a1", terminate=terminate, now=NOW, by="operator")
    report(agent, Severity.EXTREME, "case-1")
    agent.do(decide_termination, "a1", terminate=terminate, now=NOW, by="operator")
    with agent.open() as conn:
        assert find(conn, "a1").is_active is not terminate
    with pytest.raises(ReviewError):
        agent.do(decide_termination, "a1", terminate=terminate, now=NOW, by="operator")
    # What was earned is owed: only the seven days of the points are left.
    assert blocked(agent, NOW + 8 * DAY) == []


def test_reports_at_once_add_up(agent):
    start = threading.Barrier(8)

    def one(number):
        start.wait()
        return report(agent, Severity.SERIOUS, f"case-{number}").consequences

    with ThreadPoolExecutor(8) as threads:
        found = [item for each in threads.map(one, range(8)) for item in each]
    assert agent.do(standing_points, "a1", NOW) == 24
    assert found.count(Consequence.TIER_DOWN) == found.count(Consequence.TERMINATION_REVIEW) == 1
    assert tier(agent) == "silver"


def test_a_diversion_hold_stops_the_order_for_fifteen_days(agent):
    agent.sold("o1", "a1", "c1", released_at=None)
    low = assess(Observations(scans=10, scans_elsewhere=1), REGIONS)
    assert agent.do(hold_for_diversion, "o1", low, REGIONS, NOW) is None
    high = assess(Observations(scans=9, scans_elsewhere=9, orders=9, orders_to_top_address=9), REGIONS)
    placed = agent.do(hold_for_diversion, "o1", high, REGIONS, NOW)
    assert placed is not None
    reason = "hold:scan_city_mismatch+bulk_one_address"

    def reasons(now):
        return agent.do(read_blocks, now, [("o1", "s1")]).of_sub_order("o1", "s1")

    assert reasons(NOW) == [reason]
    assert reasons(NOW + 15 * DAY - timedelta(seconds=1)) == [reason]
    assert reasons(NOW + 15 * DAY) == []
    assert agent.do(hold_for_diversion, "o1", high, REGIONS, NOW + DAY) is None
    assert reasons(NOW + 15 * DAY) == []


def test_an_operator_resolves_a_hold_once(agent):
    report(agent, Severity.GRAVE, "case-1")
    (hold,) = agent.do(standing_holds, "a1", NOW)
    assert (hold.source, hold.expires_at) == ("violation", NOW + 7 * DAY)
    agent.do(lift_hold, hold.hold_id, "operator", NOW + DAY)
    assert blocked(agent, NOW + DAY) == []
    with pytest.raises(HoldResolvedError):
        agent.do(confirm_hold, hold.hold_id, "operator", NOW + DAY)


def test_an_agent_from_a_feed_can_be_held(books):
    books.sql("insert into agents.agent (tenant_id, agent_id, depth) values (%s, 'a1', 1)", books.tenant)
    assert Consequence.WITHDRAWALS_HELD in report(books, Severity.GRAVE, "case-1").consequences
