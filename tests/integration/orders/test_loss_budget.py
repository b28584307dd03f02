"""Lines that bring less than they cost route only inside the loss budget of their merchant and day."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from small_market import NOW, TENANT, Shop

from serving.channels.accounts import NewAccount, add_account, change_account
from serving.channels.simulated.adapter import ADAPTER as SIMULATED
from serving.channels.simulated.messages import SERIAL, new_keys
from serving.db import calendar
from serving.db.operations import Operations
from serving.ledger import invariants
from serving.orders.assortment import losses
from serving.orders.assortment.catalogue import approve_skus
from serving.orders.errors import InvalidRequestError, LossRefusedError
from serving.orders.fulfilment import fulfilment
from serving.orders.placing import placing
from serving.privacy.data_keys import Vault
from serving.privacy.envelope import new_master_key
from serving.privacy.master_key import Keyring
from serving.settlement.sharing.freeze import CartLine, OrderCoupon

pytestmark = pytest.mark.xdist_group("loss_budget")  # one world for all, in order

DAY = NOW.date()


@pytest.fixture(scope="module")
def market(module_database_url):
    """Merchants without any budget, settled by the strict plan."""
    with Operations(module_database_url, size=36, timeout_s=60) as operations:
        shop = Shop(module_database_url, operations)
        shop.plan()
        yield shop


def spent(market, merchant, day=DAY):
    rows = market.sql(
        "select limit_cents, spent_cents from orders.loss_budget where merchant_id = %(m)s and day = %(d)s",
        m=merchant,
        d=day,
    )
    return rows[0] if rows else None


def test_a_supply_price_of_a_million_for_a_listing_of_a_hundred_pays_nothing_out(market):
    market.list("l-million", 10_000, merchant="ml1")
    market.supply("EV", "l-million", 5, price=100_000_000)
    before = market.balances()
    with pytest.raises(LossRefusedError, match="99990060 fen") as refused:
        market.place("l-m1", ("l-million", 1), merchant="ml1")
    # 1,000,000.00 and a fee of 0.60 against 100.00.
    assert (refused.value.loss_cents, refused.value.left_cents) == (99_990_060, 0)
    assert market.moved(before) == {}
    assert market.stock_of("EV", "l-million") == (5, 0, 5)
    assert market.sql("select count(*) from orders.customer_order where order_id = 'l-m1'") == [(0,)]


def test_a_supplier_that_brings_no_loss_goes_first_though_it_is_dearer_with_its_freight(market):
    market.list("l-other", 10_000, merchant="ml2")
    market.supply("SA", "l-other", 5, price=10_500)
    market.supply("SB", "l-other", 5, price=9_000, freight=2_000)
    market.place("l-o1", ("l-other", 1), merchant="ml2")
    assert market.read("l-o1")[1][0].supplier_id == "SB"


def test_inside_the_budget_the_line_routes_and_the_booked_subsidy_is_what_was_reserved(market):
    market.list("l-inside", 10_000, merchant="ml3")
    market.supply("SA", "l-inside", 5, price=11_000)
    market.may_lose(1_060, merchant="ml3", days=1)
    before = market.balances()
    market.place("l-i1", ("l-inside", 1), merchant="ml3")
    assert spent(market, "ml3") == (1_060, 1_060)
    market.pay("l-i1", fee=60)
    assert market.moved(before)["subsidy", ""] == -1_060
    with pytest.raises(LossRefusedError, match="1060 fen, 0 left"):
        market.place("l-i2", ("l-inside", 1), merchant="ml3")


@pytest.fixture
def dear_channel(market, module_database_url):
    """An account of a channel that keeps 1% by contract, more than the setting expects; ended afterwards."""
    keys, ours = new_keys(), new_keys()
    wanted = NewAccount(
        SIMULATED,
        "dear",
        "",
        "http://127.0.0.1:1",
        "",
        100,
        {SERIAL: keys.public},
        {"private_key": ours.private},
    )
    keyring = Keyring((new_master_key(),))
    vault = Vault(lambda: keyring)
    with market.transaction() as conn:
        channel_id = add_account(conn, vault, TENANT, wanted)
    yield channel_id
    with market.transaction() as conn:
        change_account(conn, TENANT, channel_id, public_keys=wanted.public_keys, fee_bps=100, is_active=False)


def test_the_dearest_contract_of_the_tenant_s_channels_counts(market, dear_channel):
    """Which channel the buyer will take is not known yet; 99.30 and a fee of 1.00 lose 0.30 of 100.00."""
    market.list("l-dear", 10_000, merchant="ml-dear")
    market.supply("SA", "l-dear", 5, price=9_930)
    with pytest.raises(
        LossRefusedError, match=r"by 30 fen; the loss budget of merchant 'ml-dear' on .* is 0 fen, 0 left"
    ):
        market.place("l-d1", ("l-dear", 1), merchant="ml-dear")
    market.may_lose(30, merchant="ml-dear", days=1)
    before = market.balances()
    market.place("l-d2", ("l-dear", 1), merchant="ml-dear")
    market.pay("l-d2", fee=100)
    assert market.moved(before)["subsidy", ""] == -30
    with market.transaction() as conn:
        assert [found for found in invariants.check(conn, TENANT) if "l-d2" in found.subject] == []


def test_cancelling_gives_the_budget_back(market):
    market.list("l-back", 10_000, merchant="ml4")
    market.supply("SA", "l-back", 5, price=11_000)
    market.may_lose(1_060, merchant="ml4", days=1)
    market.place("l-b1", ("l-back", 1), merchant="ml4")
    market.act(placing.cancel_order, "l-b1")
    assert spent(market, "ml4") == (1_060, 0)
    market.place("l-b2", ("l-back", 1), merchant="ml4")


def test_a_discount_of_the_platform_counts_and_one_of_the_supplier_does_not():
    cart = [CartLine(1, "k", (), "SA", 1, 10_000, 8_000)]

    def loss(split):
        coupons = [OrderCoupon(3_000, split)]
        return losses.expected_losses(cart, coupons, {}, losses.DEFAULT_RULES, NOW)[1]

    assert loss({"platform": 10_000}) == 8_000 + 42 - 7_000
    assert loss({"platform": 5_000, "supplier": 5_000}) == 0  # the supplier gets 65.00 of 70.00


@pytest.mark.parametrize("paid", [False, True])
def test_a_line_moves_to_another_supplier_only_inside_the_budget(market, paid):
    sku, merchant, order = f"l-move-{paid}", f"ml6-{paid}", f"l-move-{paid}"
    market.list(sku, 10_000, merchant=merchant)
    market.supply("SA", sku, 5, price=7_000)
    market.supply("SB", sku, 5, price=10_440)
    market.place(order, (sku, 1), merchant=merchant)
    if paid:
        market.pay(order, fee=60)
    before = market.balances()
    outcome = market.act(fulfilment.reject, order, "SA", "no_goods", NOW)
    if paid:
        # Refunded instead: nobody is paid from this order.
        assert (outcome.moved, outcome.refunded) == ({}, {1: 10_000})
        assert all(kind != "subsidy" for kind, _ in market.moved(before))
    else:
        assert outcome.order_status == "cancelled"
    market.may_lose(500, merchant=merchant, days=1)
    market.place(f"{order}-2", (sku, 1), merchant=merchant)
    if paid:
        market.pay(f"{order}-2", fee=60)
    assert market.act(fulfilment.reject, f"{order}-2", "SA", "no_goods", NOW).moved == {1: "SB"}
    assert spent(market, merchant) == (500, 500)


def test_moving_to_a_cheaper_supplier_gives_the_budget_back(market):
    market.list("l-cheaper", 10_000, merchant="ml7")
    market.supply("SA", "l-cheaper", 1, price=11_000)
    market.may_lose(5_000, merchant="ml7", days=1)
    market.place("l-ch", ("l-cheaper", 1), merchant="ml7")
    market.supply("SB", "l-cheaper", 5, price=7_000)
    assert market.act(fulfilment.reject, "l-ch", "SA", "no_goods", NOW).moved == {1: "SB"}
    assert spent(market, "ml7") == (5_000, 0)


def test_of_32_orders_for_the_last_fen_of_a_budget_exactly_as_many_route_as_it_carries(market):
    market.list("l-race", 10_000, merchant="ml8")
    market.supply("SA", "l-race", 100, price=11_000)
    market.may_lose(3 * 1_060 + 1_059, merchant="ml8", days=1)

    def one(number):
        try:
            market.place(f"l-r{number}", ("l-race", 1), merchant="ml8", consumer=f"c{number}")
        except LossRefusedError as refused:
            return refused.left_cents
        return "placed"

    with ThreadPoolExecutor(32) as threads:
        found = list(threads.map(one, range(32)))
    assert found.count("placed") == 3
    assert set(found) == {"placed", 1_059}
    assert spent(market, "ml8") == (4_239, 3_180)
    assert market.stock_of("SA", "l-race") == (100, 3, 97)


def test_a_day_ends_at_the_midnight_of_the_tenant(market):
    market.list("l-midnight", 10_000, merchant="ml11")
    market.supply("SA", "l-midnight", 5, price=11_000)
    for on in (date(2026, 3, 31), date(2026, 4, 1)):
        market.act(losses.set_budget, "ml11", on, on, 1_060)
    with market.transaction() as conn:
        calendar.set_zone(conn, TENANT, "Asia/Shanghai")
    market.place("l-mid", ("l-midnight", 1), merchant="ml11", at=datetime(2026, 3, 31, 16, 30, tzinfo=UTC))
    assert spent(market, "ml11", date(2026, 4, 1)) == (1_060, 1_060)
    assert spent(market, "ml11", date(2026, 3, 31)) == (1_060, 0)


def test_a_limit_below_what_is_spent_is_refused_and_days_are_in_order(market):
    market.list("l-limit", 10_000, merchant="ml9")
    market.supply("SA", "l-limit", 5, price=11_000)
    market.may_lose(2_000, merchant="ml9", days=2)
    market.place("l-l1", ("l-limit", 1), merchant="ml9")
    with pytest.raises(InvalidRequestError, match="more than 1059 fen is spent"):
        market.may_lose(1_059, merchant="ml9", days=2)
    assert spent(market, "ml9") == (2_000, 1_060)
    with pytest.raises(InvalidRequestError, match="last_on"):
        market.act(losses.set_budget, "ml9", DAY, DAY - timedelta(days=1), 5)
    with pytest.raises(psycopg.errors.CheckViolation):
        market.sql("update orders.loss_budget set spent_cents = limit_cents + 1 where merchant_id = 'ml9'")


def test_free_goods_cost_their_supply_price(market):
    market.list("l-gift", 0, merchant="ml10")
    market.supply("SA", "l-gift", 5, price=500)
    market.act(approve_skus, "SA", [])
    with pytest.raises(LossRefusedError) as refused:
        market.place("l-g", ("l-gift", 1), merchant="ml10")
    assert refused.value.loss_cents == 500
    assert TENANT == "default"


@pytest.mark.parametrize(
    "broken",
    [
        "update orders.loss_budget set spent_cents = spent_cents - 1 where spent_cents > 0",
        "update orders.order_line set loss_cents = loss_cents + 1 where order_id = 'l-i1'",
        "update settlement.leg set amount_cents = -1061 where order_id = 'l-i1' and kind = 'subsidy'",
    ],
)
def test_the_daily_check_finds_a_loss_outside_its_budget(market, broken):
    def violations(conn):
        return {found.invariant for found in invariants.check(conn, TENANT)}

    with market.transaction() as conn:
        assert "L17" not in violations(conn)
        conn.execute(broken)
        assert "L17" in violations(conn)
        conn.rollback()
