"""Roles in a sale come from scenes that were opened beforehand, as of the moment the order is placed."""

from datetime import timedelta

import psycopg
import pytest
from small_market import NOW, TENANT

from serving.agents import scenes
from serving.agents.errors import SceneRefusedError, UnknownSceneError
from serving.agents.scenes import NewScene
from serving.orders.errors import InvalidRequestError

pytestmark = pytest.mark.xdist_group("scenes_of_orders")  # one world for all, in order

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", autouse=True)
def stage(shop):
    """Goods at 100.00 and supply 40.00; agents of m1, of m2 and of the platform."""
    shop.plan()
    shop.list("thing", 10_000)
    shop.supply("S1", "thing", 500, price=4_000)
    for agent_id, merchant in (("own", "m1"), ("theirs", "m2"), ("free", None)):
        shop.agent(agent_id)
        shop.sql(
            "update agents.agent set merchant_id = %(merchant)s where agent_id = %(agent)s",
            merchant=merchant,
            agent=agent_id,
        )
    for merchant in ("m1", "m2"):
        shop.sql(
            "insert into parties.party (tenant_id, party_type, party_id)"
            " values ('default', 'merchant', %(m)s) on conflict do nothing",
            m=merchant,
        )


def scene(shop, party_id, kind="group", *, party="agent", merchant="m1", opens=NOW, hours=2, at=NOW):
    new = NewScene(kind, merchant, party, party_id, opens, opens + hours * HOUR)
    return shop.act(scenes.open_scene, new, "key", at).scene_id


def place(shop, order_id, *scene_ids, at=NOW, **more):
    shop.place(order_id, ("thing", 1), scene_ids=scene_ids, at=at, **more)


def roles(shop, order_id):
    return dict(
        shop.sql("select role, party_id from orders.order_role where order_id = %(order)s", order=order_id)
    )


@pytest.mark.parametrize(
    ("kind", "role", "cents"),
    [
        ("group", "group_leader", 500),
        ("live_session", "live_anchor", 800),
        ("store_shift", "store_guide", 300),
        ("enterprise_programme", "distributor", 500),
    ],
)
def test_the_holder_of_a_scene_is_paid_for_sales_in_it(shop, kind, role, cents):
    """Of 100.00: 8% to a live anchor, 5% to a group leader or distributor, 3% to a store guide."""
    before = shop.balances()
    place(shop, f"paid-{kind}", scene(shop, "own", kind))
    shop.pay(f"paid-{kind}")
    assert roles(shop, f"paid-{kind}") == {role: "own"}
    assert shop.moved(before)["agent_pending", "own"] == cents


def test_an_order_outside_the_time_of_a_scene_has_no_role_in_it(shop):
    group = scene(shop, "own", opens=NOW + HOUR)
    with pytest.raises(InvalidRequestError, match="open from"):
        place(shop, "early", group)
    place(shop, "within", group, at=NOW + HOUR)
    with pytest.raises(InvalidRequestError, match="open from"):
        place(shop, "late", group, at=NOW + 3 * HOUR)
    # Closed while the order waits for its payment: the role stays.
    assert shop.act(scenes.close, group, "key", NOW + 2 * HOUR) is True
    assert shop.act(scenes.close, group, "key", NOW + 2 * HOUR) is False
    with pytest.raises(InvalidRequestError, match="open from"):
        place(shop, "closed", group, at=NOW + 2 * HOUR)
    before = shop.balances()
    shop.pay("within", at=NOW + 2 * HOUR)
    assert shop.moved(before)["agent_pending", "own"] == 500


@pytest.mark.parametrize("holder", ["theirs", "free"])
def test_an_agent_who_does_not_belong_to_the_shop_agrees_first(shop, holder):
    group = scene(shop, holder)
    with pytest.raises(InvalidRequestError, match="has not agreed"):
        place(shop, f"no-{holder}", group)
    with pytest.raises(UnknownSceneError):
        shop.act(scenes.agree, group, "agent", "own", "key", NOW)
    assert shop.act(scenes.agree, group, "agent", holder, "key", NOW + HOUR) is True
    assert shop.act(scenes.agree, group, "agent", holder, "key", NOW + HOUR) is False
    with pytest.raises(InvalidRequestError, match="has not agreed"):
        place(shop, f"before-{holder}", group)
    place(shop, f"yes-{holder}", group, at=NOW + HOUR)
    assert roles(shop, f"yes-{holder}") == {"group_leader": holder}


def test_a_scene_is_of_one_shop_and_one_role(shop):
    shop.list("thing", 10_000, merchant="m2")
    group, second = scene(shop, "own"), scene(shop, "own")
    with pytest.raises(InvalidRequestError, match=r"no scene .* of merchant m2"):
        place(shop, "elsewhere", group, merchant="m2")
    with pytest.raises(InvalidRequestError, match="two scenes give the role"):
        place(shop, "twice", group, second)
    live = scene(shop, "m1", "live_session", party="merchant")
    place(shop, "both", group, live)
    assert roles(shop, "both") == {"group_leader": "own", "live_anchor": "m1"}
    foreign = scene(shop, "m2", "live_session", party="merchant")
    with pytest.raises(InvalidRequestError, match="has not agreed"):
        place(shop, "foreign", foreign)


def test_a_scene_is_opened_beforehand_for_somebody_who_is_there(shop):
    with pytest.raises(SceneRefusedError, match="beforehand"):
        scene(shop, "own", at=NOW + timedelta(seconds=1))
    with pytest.raises(SceneRefusedError, match="closes_at"):
        scene(shop, "own", hours=0)
    with pytest.raises(SceneRefusedError, match="closes_at"):
        scene(shop, "own", hours=24 * 366 + 1)
    for party in ("agent", "merchant"):
        with pytest.raises(SceneRefusedError, match="no active"):
            scene(shop, "nobody", party=party)
    with pytest.raises(psycopg.errors.CheckViolation, match="beforehand"):
        shop.sql("update agents.scene set opens_at = registered_at - interval '1 second'")
    planned = scene(shop, "own", opens=NOW + HOUR)
    shop.act(scenes.close, planned, "key", NOW)
    with shop.transaction() as conn:
        assert scenes.find(conn, TENANT, planned).state(NOW) == "closed"
    with pytest.raises(InvalidRequestError, match="open from"):
        place(shop, "never", planned, at=NOW + HOUR)
    live = scene(shop, "own", "live_session")
    shop.sql("update parties.party set is_active = false where party_id = 'own'")
    with pytest.raises(InvalidRequestError, match="no active agent own"):
        place(shop, "gone", live)
    shop.sql("update parties.party set is_active = true where party_id = 'own'")
