"""Relations of consumers with agents: made by a signed link and the consumer's act, in one shop only."""

import base64
import json
import threading
from collections import Counter
from datetime import timedelta

import pytest
from agent_books import NOW, Books

from serving.agents import invitations
from serving.agents.errors import (
    AgentConflictError,
    InvitationRefusedError,
    JoinRefusedError,
    UnknownAgentError,
)
from serving.agents.order_parties import parties_of_order
from serving.privacy.data_keys import Vault
from serving.privacy.envelope import new_master_key
from serving.privacy.master_key import Keyring
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.sharing.freeze import CartLine, freeze
from serving.settlement.sharing.waterfall import accrue

pytestmark = pytest.mark.xdist_group("invitations")  # one world for all, in order

DAY = timedelta(days=1)
WINDOW = 10 * DAY


@pytest.fixture(scope="module")
def vault():
    keyring = Keyring((new_master_key(),))
    return Vault(lambda: keyring)


@pytest.fixture
def shop(books):
    """Agents of the shops m1 and m2, and one of the platform; all verified."""
    for agent_id, merchant in (("a1", "m1"), ("b1", "m1"), ("a2", "m2"), ("free", None)):
        books.join(agent_id, merchant_id=merchant, is_verified=True, own_consumer_id=f"c-{agent_id}")
    return books


def link(shop, vault, agent_id, merchant_id, *, ends=NOW + DAY, at=NOW):
    with shop.open() as conn:
        return invitations.invite(conn, vault, shop.tenant, agent_id, merchant_id, ends, "key", at)


def follow(shop, invitation, consumer="buyer", *, at=NOW):
    return shop.do(invitations.bind, invitation, consumer, WINDOW, "shop", at)


def upline(shop, merchant_id, *, at=NOW, agent_id=None, consumer="buyer"):
    found = shop.do(parties_of_order, merchant_id, agent_id, consumer, placed_at=at)
    return [party.party_id for party in found.upline]


def earned(shop, merchant_id, *, at=NOW):
    """Who gets what as the one who brought the buyer of 100.00 at supply 40.00, fen."""
    parties = shop.do(parties_of_order, merchant_id, None, "buyer", placed_at=at)
    cart = [CartLine(1, "k", (), "S1", 1, 10_000, 4_000)]
    order = freeze(
        order_id="o", merchant_id=merchant_id, consumer_id="buyer", paid_at=at, cart=cart, parties=parties
    )
    return {leg.payee_id: leg.amount_cents for leg in accrue(order, load_shipped()) if leg.kind == "upline"}


def test_a_relation_counts_in_the_shop_of_the_consumers_act_and_nowhere_else(shop, vault):
    """The agent of m2 earns 10.00 of 100.00 sold at m2, and nothing at m1."""
    bound = follow(shop, link(shop, vault, "a2", "m2"))
    assert (bound.agent_id, bound.merchant_id, bound.is_new) == ("a2", "m2", True)
    assert earned(shop, "m2") == {"a2": 1_000}
    assert earned(shop, "m1") == {}
    # In m1 the same consumer may follow another one.
    follow(shop, link(shop, vault, "a1", "m1"))
    assert (earned(shop, "m1"), earned(shop, "m2")) == ({"a1": 1_000}, {"a2": 1_000})


def test_an_agent_of_the_platform_needs_an_act_in_every_shop(shop, vault):
    follow(shop, link(shop, vault, "free", "m1"))
    assert (upline(shop, "m1"), upline(shop, "m2")) == (["free"], [])
    follow(shop, link(shop, vault, "free", "m2"))
    assert upline(shop, "m2") == ["free"]


def test_the_first_counts_for_its_window_and_a_link_brings_one_consumer_once(shop, vault):
    first = link(shop, vault, "a1", "m1")
    assert follow(shop, first).is_new is True
    assert follow(shop, first, at=NOW + DAY).is_new is False
    assert follow(shop, first, at=NOW + DAY).bound_at == NOW
    with pytest.raises(InvitationRefusedError, match="one consumer"):
        follow(shop, first, "somebody-else")
    rival = link(shop, vault, "b1", "m1", ends=NOW + 30 * DAY)
    with pytest.raises(AgentConflictError, match="the first counts"):
        follow(shop, rival, at=NOW + WINDOW - timedelta(seconds=1))
    assert upline(shop, "m1", at=NOW + WINDOW - timedelta(seconds=1)) == ["a1"]
    assert upline(shop, "m1", at=NOW + WINDOW) == []
    follow(shop, rival, at=NOW + WINDOW)
    assert upline(shop, "m1", at=NOW + WINDOW) == ["b1"]
    # What was ordered before is as it was then.
    assert upline(shop, "m1", at=NOW) == ["a1"]
    assert upline(shop, "m1", at=NOW - timedelta(seconds=1)) == []


def test_without_a_relation_the_chain_begins_with_the_seller(shop, vault):
    assert upline(shop, "m1", agent_id="b1") == ["b1"]
    follow(shop, link(shop, vault, "a1", "m1"))
    assert upline(shop, "m1", agent_id="b1") == ["a1"]


def test_who_may_be_invited_by_whom_and_until_when(shop, vault):
    with pytest.raises(JoinRefusedError, match="sells for merchant m2"):
        link(shop, vault, "a2", "m1")
    with pytest.raises(UnknownAgentError):
        link(shop, vault, "nobody", "m1")
    for ends in (NOW, NOW + timedelta(milliseconds=999)):
        with pytest.raises(InvitationRefusedError, match="later than now"):
            link(shop, vault, "a1", "m1", ends=ends)
    made = link(shop, vault, "a1", "m1")
    with pytest.raises(InvitationRefusedError, match="ended at"):
        follow(shop, made, at=NOW + DAY)
    with pytest.raises(JoinRefusedError, match="own consumer account"):
        follow(shop, made, "c-a1")
    shop.sql("update parties.party set is_active = false where party_id = 'a1'")
    with pytest.raises(JoinRefusedError, match="not active"):
        follow(shop, made)
    with pytest.raises(JoinRefusedError, match="not active"):
        link(shop, vault, "a1", "m1")
    assert upline(shop, "m1") == []


def test_a_link_that_was_altered_or_comes_from_elsewhere_is_none(shop, vault, operations):
    made = link(shop, vault, "a1", "m1")

    def read(token, tenant=shop):
        with tenant.open() as conn:
            return invitations.read(conn, vault, tenant.tenant, token)

    assert read(made.token) == made
    payload, _, signature = made.token.partition(".")
    content = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = []
    for position, value in ((1, "b1"), (2, "m2"), (3, content[3] + 86_400), (0, "iv-1")):
        other = [*content[:position], value, *content[position + 1 :]]
        text = base64.urlsafe_b64encode(json.dumps(other, separators=(",", ":")).encode()).decode()
        forged.append(f"{text.rstrip('=')}.{signature}")
    for token in (*forged, payload, f"{payload}.", f".{signature}", "x", "a.b.c", made.token[:-2]):
        with pytest.raises(InvitationRefusedError):
            read(token)
    other_tenant = Books(operations)
    other_tenant.join("a1", merchant_id="m1")
    with pytest.raises(InvitationRefusedError):
        read(made.token, other_tenant)


def race(works):
    outcomes, lock, gate = Counter(), threading.Lock(), threading.Barrier(len(works))

    def run(work):
        gate.wait()
        try:
            work()
            outcome = "bound"
        except Exception as error:  # noqa: BLE001 - counted and compared below
            outcome = type(error).__name__
        with lock:
            outcomes[outcome] += 1

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(outcomes)


def test_of_sixteen_agents_at_once_one_wins_a_consumer(shop, vault):
    for number in range(16):
        shop.join(f"r{number}", merchant_id="m1", is_verified=True)
    links = [link(shop, vault, f"r{number}", "m1") for number in range(16)]
    works = [lambda made=made: follow(shop, made) for made in links]
    assert race(works) == {"bound": 1, "AgentConflictError": 15}
    assert shop.rows("select count(*) from agents.referral where consumer_id = 'buyer'") == [(1,)]


def test_of_sixteen_consumers_at_once_one_takes_a_link(shop, vault):
    made = link(shop, vault, "a1", "m1")
    works = [lambda number=number: follow(shop, made, f"c{number}") for number in range(16)]
    assert race(works) == {"bound": 1, "InvitationRefusedError": 15}
    assert shop.rows("select count(*) from agents.referral") == [(1,)]
