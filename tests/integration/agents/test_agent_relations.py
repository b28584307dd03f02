import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import psycopg
import pytest
from agent_books import JOINED, NOW, Books

from serving.agents.errors import (
    AgentConflictError,
    JoinRefusedError,
    RegionTakenError,
    RelationDepthError,
    UnknownAgentError,
)
from serving.agents.order_parties import parties_of_order
from serving.agents.region_records import ProtectedRegion, protect, protected_zone_sales, regions_of
from serving.agents.relations import Joining, downline, find, join, upline
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.sharing.snapshot import LineSnapshot, OrderSnapshot
from serving.settlement.sharing.waterfall import accrue


@pytest.fixture
def chain(books):
    """top <- middle <- bottom, all of merchant m1 and verified."""
    for agent_id, inviter in (("top", None), ("middle", "top"), ("bottom", "middle")):
        books.join(agent_id, inviter, merchant_id="m1", is_verified=True, own_consumer_id=f"c-{agent_id}")
    return books


def parties(books, agent_id, consumer_id="buyer", merchant_id="m1", **more):
    return books.do(parties_of_order, merchant_id, agent_id, consumer_id, **{"placed_at": NOW, **more})


def ids(party_list):
    return [party.party_id for party in party_list]


def test_depths_uplines_and_downlines(chain):
    with chain.open() as conn:
        assert [find(conn, name).depth for name in ("top", "middle", "bottom")] == [1, 2, 3]
        assert upline(conn, "bottom") == [("middle", 1), ("top", 2)]
        assert upline(conn, "top") == []
        assert downline(conn, "top") == [("middle", 1), ("bottom", 2)]


def test_a_fourth_level_is_refused_by_the_rule_and_by_the_database(chain):
    with pytest.raises(RelationDepthError, match="at most 3 levels"):
        chain.join("fourth", "bottom", merchant_id="m1")
    with pytest.raises(psycopg.errors.CheckViolation, match="relation_depth_at_most_three"):
        chain.sql(
            "insert into agents.agent (tenant_id, agent_id, inviter_agent_id, depth) values (%s, 'x', "
            "'bottom', 2)",
            chain.tenant,
        )
    # Whatever depth is claimed, the database counts itself.
    chain.sql(
        "insert into agents.agent (tenant_id, agent_id, inviter_agent_id, depth) values (%s, 'y', "
        "'middle', 1)",
        chain.tenant,
    )
    assert chain.rows("select depth from agents.agent where agent_id = 'y'") == [(3,)]


def test_no_cycle_can_be_made(chain):
    with pytest.raises(JoinRefusedError, match="cannot be the inviter"):
        chain.join("self", "self")
    with pytest.raises(JoinRefusedError, match="unknown"):
        chain.join("early", "later")
    for name, inviter in (("top", "bottom"), ("middle", "bottom"), ("bottom", "top")):
        with pytest.raises(psycopg.errors.Error, match="fixed when the agent joins"):
            chain.sql("update agents.agent set inviter_agent_id = %s where agent_id = %s", inviter, name)


def test_joining_again_changes_nothing_and_otherwise_conflicts(chain):
    same = Joining(
        agent_id="middle", inviter_agent_id="top", merchant_id="m1", joined_on=JOINED,
        own_consumer_id="c-middle",
    )  # fmt: skip
    agent, is_new = chain.do(join, same)
    assert (agent.agent_id, is_new) == ("middle", False)
    with pytest.raises(AgentConflictError, match="inviter_agent_id"):
        chain.join("middle", None, merchant_id="m1", own_consumer_id="c-middle")
    with pytest.raises(AgentConflictError, match="belongs to another agent"):
        chain.join("new", own_consumer_id="c-top")


def test_an_inviter_of_another_merchant_or_one_who_ended_is_refused(chain):
    with pytest.raises(JoinRefusedError, match="another merchant"):
        chain.join("other", "top", merchant_id="m2")
    chain.sql("update parties.party set is_active = false where party_id = 'top'")
    with pytest.raises(JoinRefusedError, match="not active"):
        chain.join("late", "top", merchant_id="m1")


def test_the_same_agent_joining_sixteen_times_at_once_joins_once(books):
    books.join("root")
    start = threading.Barrier(16)

    def once(number):
        start.wait()
        joining = Joining(agent_id="same", inviter_agent_id="root", joined_on=JOINED)
        return books.do(join, joining)[1]

    with ThreadPoolExecutor(16) as threads:
        assert sorted(threads.map(once, range(16))) == [False] * 15 + [True]
    assert books.rows("select count(*) from agents.agent") == [(2,)]


def test_many_joining_under_one_another_at_once_never_pass_the_third_level(books):
    books.join("a0")
    start = threading.Barrier(8)

    def many(number):
        start.wait()
        made = 0
        for step in range(12):
            inviter = books.rows(
                "select agent_id from agents.agent order by md5(agent_id || %s::text) limit 1", step
            )
            try:
                books.join(f"a{number}-{step}", inviter[0][0])
                made += 1
            except RelationDepthError:
                pass
        return made

    with ThreadPoolExecutor(8) as threads:
        joined = sum(threads.map(many, range(1, 9)))
    assert books.rows("select count(*), max(depth) from agents.agent") == [(joined + 1, 3)]
    assert books.rows(
        "select count(*) from agents.agent a join agents.agent i on i.agent_id = a.inviter_agent_id"
        " where a.depth <> i.depth + 1"
    ) == [(0,)]


def test_tenants_do_not_see_each_other(chain, operations):
    other = Books(operations)
    with other.open() as conn:
        assert find(conn, "top") is None
    with pytest.raises(JoinRefusedError, match="unknown"):
        other.join("x", "top")


def test_parties_of_an_agents_order(chain):
    found = parties(chain, "bottom")
    assert (found.seller.party_type, found.seller.party_id) == ("agent", "bottom")
    assert ids(found.upline) == ["bottom", "middle", "top"]
    assert (found.manager, found.seller_scheme, found.is_first_purchase) == (None, "direct", True)


def test_parties_of_a_shops_own_order(chain):
    chain.sql(
        "insert into parties.party (tenant_id, party_type, party_id, has_contract, is_verified)"
        " values (%s, 'merchant', 'm1', true, true)",
        chain.tenant,
    )
    found = parties(chain, None)
    assert (found.seller.party_type, found.seller.has_contract, found.seller.is_verified) == (
        "merchant",
        True,
        True,
    )
    assert found.upline == ()
    assert parties(chain, None, merchant_id="unheard").seller.is_verified is False


def test_manager_store_and_region(chain):
    chain.join("lead", merchant_id="m1")
    chain.join("seller", merchant_id="m1", manager_agent_id="lead", runs_store=True)
    chain.do(protect, ProtectedRegion("310000", "top", date(2026, 1, 1), date(2026, 7, 1)))
    found = parties(chain, "seller", region_code="310000", on=date(2026, 6, 30))
    assert found.manager.party_id == "lead"
    assert found.seller_scheme == "agent_store"
    assert found.region_protected.party_id == "top"
    assert parties(chain, "seller", region_code="310000", on=date(2026, 7, 1)).region_protected is None
    assert parties(chain, None, region_code="310000", on=date(2026, 6, 30)).region_protected is None


def test_who_ended_neither_sells_nor_lets_others_move_up(chain):
    chain.sql("update parties.party set is_active = false where party_id = 'middle'")
    assert ids(parties(chain, "bottom").upline) == ["bottom"]
    found = parties(chain, "middle")
    assert found.seller.party_type == "merchant"


def test_first_purchases_do_not_count_the_order_itself(chain):
    chain.sold("o1", "bottom", "buyer")
    assert parties(chain, "bottom", order_id="o1").is_first_purchase is True
    assert parties(chain, "bottom", order_id="o2").is_first_purchase is False


def test_unknown_agents_and_those_of_other_merchants_are_refused(chain):
    with pytest.raises(UnknownAgentError):
        parties(chain, "nobody")
    with pytest.raises(JoinRefusedError, match="sells for merchant m1"):
        parties(chain, "top", merchant_id="m2")


@pytest.mark.parametrize(("consumer_id", "cut"), [("buyer", None), ("c-bottom", "self_purchase")])
def test_own_purchases_earn_nothing(chain, consumer_id, cut):
    line = LineSnapshot(1, "k1", (), "s1", 1, 10_000, (), 10_000, 4_000, 0, 0)
    order = OrderSnapshot(
        "o1", "m1", consumer_id, datetime(2026, 5, 1, tzinfo=UTC), 10_000, (line,), (),
        parties(chain, "bottom", consumer_id),
    )  # fmt: skip
    (leg,) = (leg for leg in accrue(order, load_shipped()) if leg.kind == "direct")
    assert (leg.amount_cents, leg.cut_reason) == (0 if cut else 2_000, cut)


def test_regions_do_not_overlap(chain):
    first = ProtectedRegion("r1", "top", date(2026, 1, 1), date(2026, 4, 1))
    assert chain.do(protect, first) is True
    assert chain.do(protect, first) is False
    with pytest.raises(RegionTakenError, match="agent top"):
        chain.do(protect, ProtectedRegion("r1", "middle", date(2026, 3, 31), date(2026, 5, 1)))
    with pytest.raises(RegionTakenError):
        chain.do(protect, ProtectedRegion("r1", "middle", date(2026, 1, 1), date(2026, 2, 1)))
    with pytest.raises(UnknownAgentError):
        chain.do(protect, ProtectedRegion("r1", "nobody", date(2026, 8, 1), date(2026, 9, 1)))
    assert chain.do(protect, ProtectedRegion("r1", "middle", date(2026, 4, 1), date(2026, 5, 1))) is True
    assert chain.do(protect, ProtectedRegion("r1", "top", date(2026, 1, 1), date(2026, 3, 1))) is True
    assert chain.do(regions_of, "top") == [ProtectedRegion("r1", "top", date(2026, 1, 1), date(2026, 3, 1))]


def test_of_overlapping_grants_at_once_one_wins(chain):
    start = threading.Barrier(8)

    def grant(number):
        start.wait()
        try:
            agent = ("top", "middle")[number % 2]
            region = ProtectedRegion("r2", agent, date(2026, 1, 1 + number), date(2026, 2, 1))
            return chain.do(protect, region)
        except RegionTakenError:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(grant, range(8))) == 1


def test_sales_into_protected_regions_are_counted(chain):
    chain.do(protect, ProtectedRegion("r1", "top", date(2026, 4, 1), date(2026, 6, 1)))
    may = datetime(2026, 5, 1, tzinfo=UTC)
    chain.sold("o1", "bottom", "c1", region="r1", paid_at=may)
    chain.sold("o2", "bottom", "c2", region="r2", paid_at=may)
    chain.sold("o3", "top", "c3", region="r1", paid_at=may)
    chain.sold("o4", "bottom", "c4", region="r1", paid_at=datetime(2026, 6, 1, tzinfo=UTC))
    window = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert chain.do(protected_zone_sales, "bottom", *window) == 1
    assert chain.do(protected_zone_sales, "top", *window) == 0
