"""The life of plans: read as stored by any release, chosen from a date, never everybody's fate."""

import datetime as dt
import json
from pathlib import Path

import pytest
from settlement_books import DAY, DUE, LONG_AGO, PAID, RECEIVED, plan
from settlement_sales import sale
from test_waiting_money import refer, referrer  # noqa: F401

from serving.jobs.__main__ import main
from serving.orders.settling import release_due, unfreeze_due
from serving.settlement.books.referral_unlock import unlock_due
from serving.settlement.errors import (
    PlanConflictError,
    PlanNotInForceError,
    PlanRefusedError,
    PlanUnreadableError,
)
from serving.settlement.plans.assignments import (
    LegalReview,
    assign_plan,
    assignments_of,
    is_settled,
    put_into_force,
)
from serving.settlement.plans.loader import plan_document, read_stored
from serving.settlement.plans.profiles import load_shipped, shipped_text
from serving.settlement.plans.store import (
    ALL_OTHERS,
    plan_heads,
    plan_in_force,
    plan_version,
    publish_plan,
)
from serving.settlement.sharing.freeze import CartLine
from serving.settlement.sharing.snapshot import Parties
from serving.settlement.sharing.snapshot import Party as OrderParty

SUPPLIER, MERCHANT = ("supplier", "S1"), ("merchant", "m1")
STORED = Path(__file__).with_name("stored_plans") / "cn_strict_before_optional_fields.json"
STORED_HASH = "3604668a30a94d421b20c2d3080014104d27761a7306af7a989e27bd6a140443"


def store(books, plan_id, version, document, stored_hash, effective_at=LONG_AGO):
    """A row as an earlier release wrote it."""
    with books.transactions() as conn:
        conn.execute(
            "insert into settlement.plan_version (tenant_id, plan_id, version, profile, document,"
            " content_hash, published_at, effective_at) values (%s, %s, %s, 'cn_strict', %s, %s, %s, %s)",
            (books.tenant, plan_id, version, document, stored_hash, LONG_AGO - 7 * DAY, effective_at),
        )


@pytest.fixture
def shop(books):
    for party in (SUPPLIER, MERCHANT):
        books.party(*party)
    return books


def sold_under(books, order_id, plan_id, version=1, **more):
    """A sale whose legs say that another plan version accrued it."""
    books.sell(sale(order_id), **more)
    with books.transactions() as conn:
        conn.execute(
            "update settlement.leg set plan_id = %s, plan_version = %s where order_id = %s",
            (plan_id, version, order_id),
        )


def test_a_plan_stored_by_an_earlier_release_reads_unchanged():
    read = read_stored(STORED.read_text(), STORED_HASH)
    assert read.content_hash == STORED_HASH
    # What the stored document says, it still says; what later releases added takes its default.
    said = json.loads(STORED.read_text())
    now = plan_document(read)
    assert {key: now[key] for key in said if key != "rules"} == {
        key: value for key, value in said.items() if key != "rules"
    }
    for before, after in zip(said["rules"], now["rules"], strict=True):
        assert {key: after[key] for key in before} == before
    with pytest.raises(PlanUnreadableError, match="hashes to"):
        read_stored(STORED.read_text().replace('"rate_bps": 1000', '"rate_bps": 1001'), STORED_HASH)


def test_orders_of_a_plan_stored_by_an_earlier_release_are_released(shop):
    document = json.loads(STORED.read_text())
    store(shop, "old", 1, json.dumps(document, sort_keys=True), STORED_HASH)
    sold_under(shop, "o1", "old")
    assert shop.release().paid_cents == 8_000
    assert shop.violations() == []


BROKEN = json.dumps({"plan_id": "broken", "version": 1, "rules": [{"stage": "of_tomorrow"}], "ends_at": None})


def test_a_plan_that_cannot_be_read_stops_its_own_orders_and_nobody_elses(shop):
    store(shop, "broken", 1, BROKEN, "0" * 64)
    sold_under(shop, "o1", "broken")
    for number in range(2, 5):
        shop.sell(sale(f"o{number}"))
    told = []
    done = release_due(shop.transactions, shop.tenant, DUE, alarm=lambda *alarm: told.append(alarm))
    assert (done.sub_orders, done.paid_cents) == (3, 3 * 8_000)
    assert [subject for subject, _ in told] == ["the release of order o1, supplier S1"]
    assert "plan broken version 1" in str(told[0][1])
    assert shop.balance("supplier_pending", SUPPLIER) == 6_000
    # The deadline of its orders waits as well; the others' does not.
    shop.sell(sale("o9"), status="paid")
    waiting = unfreeze_due(shop.transactions, shop.tenant, PAID + 25 * DAY, alarm=lambda *alarm: None)
    assert {share.order_id for share in waiting} == {"o9"}
    assert shop.balance("channel_frozen") == -10_000
    # Which version is in force is known without reading the broken one.
    shop.settled_by("broken", "m9")
    with pytest.raises(PlanUnreadableError, match="plan broken version 1"):
        shop.do(plan_in_force, "m9", PAID)
    good = plan_document(plan())
    good |= {"plan_id": "broken", "version": 2, "published_at": PAID.isoformat()}
    good |= {"effective_at": (PAID + 7 * DAY).isoformat()}
    del good["content_hash"]
    shop.do(publish_plan, good, PAID)
    assert shop.do(plan_in_force, "m9", PAID + 7 * DAY).version == 2


def test_the_job_tells_what_is_stopped_and_does_the_rest(
    shop, module_database_url, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("MUYUN_DATABASE_URL", module_database_url)
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    store(shop, "broken", 1, BROKEN, "0" * 64)
    sold_under(shop, "o1", "broken")
    shop.sell(sale("o2"))
    assert main(["release", "--tenant", shop.tenant, "--as-of", DUE.isoformat()]) == 1
    said = capsys.readouterr()
    assert "1 sub-orders" in said.out
    assert "the release of order o1, supplier S1 is stopped: plan broken version 1" in said.out
    assert "everything else was done" in said.err


def refused(books, *arguments):
    with pytest.raises(PlanRefusedError) as error:
        books.do(assign_plan, *arguments)
    return error.value.codes


def test_the_notice_binds_the_assignment_once_somebody_sells(shop):
    now = PAID
    # Nobody sells yet: at once, but never in the past.
    assert refused(shop, ALL_OTHERS, "cn_strict", now - DAY / 86_400, now) == {"in_the_past"}
    assert shop.do(assign_plan, ALL_OTHERS, "cn_strict", None, now).effective_at == now
    assert shop.do(assign_plan, ALL_OTHERS, "cn_strict", None, now + DAY).effective_at == now
    shop.sell(sale("o1"))
    # From now on the merchants are told seven days before; a merchant's own choice as well.
    for merchant in (ALL_OTHERS, "m1"):
        assert refused(shop, merchant, "worked_20_8_25", now + 7 * DAY - DAY / 86_400, now) == {
            "short_notice"
        }
        made = shop.do(assign_plan, merchant, "worked_20_8_25", None, now)
        assert made.effective_at == now + 7 * DAY
    # A merchant who never sold may begin at once.
    assert shop.do(assign_plan, "m2", "worked_20_8_25", None, now).effective_at == now
    with pytest.raises(PlanConflictError):
        shop.do(assign_plan, "m1", "worked_25_10_25", now + 7 * DAY, now)
    with pytest.raises(PlanNotInForceError):
        shop.do(assign_plan, "m3", "nowhere", None, now)
    last = now + 7 * DAY - dt.timedelta(microseconds=1)
    assert shop.do(plan_in_force, "m1", last).plan_id == "cn_strict"
    assert shop.do(plan_in_force, "m1", now + 7 * DAY).plan_id == "worked_20_8_25"
    assert shop.do(plan_in_force, "m2", now).plan_id == "worked_20_8_25"


def test_a_version_never_takes_effect_in_the_past(books):
    document = plan_document(load_shipped(plan_id="mine"))
    with pytest.raises(PlanRefusedError) as error:
        books.do(publish_plan, document, PAID)
    assert error.value.codes == {"in_the_past"}
    assert books.do(plan_heads, "mine") == []


def test_one_act_puts_a_plan_into_force(operations):
    tenant = f"t-{PAID:%H%M%S}-fresh"
    with operations.transaction(tenant) as conn:
        assert not is_settled(conn, tenant)
        made = put_into_force(conn, tenant, PAID)
        assert (made.plan_id, made.effective_at) == ("cn_strict", PAID)
        assert put_into_force(conn, tenant, PAID + DAY) == made
        assert is_settled(conn, tenant)
        assert plan_in_force(conn, tenant, "anybody", PAID) == plan()
    review = LegalReview("review-1", "a lawyer", PAID, "folder 7")
    head = f"published_at: {PAID.isoformat()}\neffective_at: {(PAID + 7 * DAY).isoformat()}"
    text = shipped_text("cn_two_level").replace("legal_review: null", "legal_review: review-1")
    text = "\n".join(
        head if line.startswith("published_at") else line
        for line in text.splitlines()
        if not line.startswith("effective_at")
    )
    with operations.transaction(tenant) as conn:
        made = put_into_force(conn, tenant, PAID, document=text, review=review, merchant_id="m1")
        # As soon as the version itself takes effect.
        assert made == ("m1", "cn_two_level", PAID + 7 * DAY)
        assert [one.plan_id for one in assignments_of(conn, tenant)] == ["cn_strict", "cn_two_level"]
    with pytest.raises(PlanRefusedError), operations.transaction(f"{tenant}-2") as conn:
        put_into_force(conn, f"{tenant}-2", PAID, document=text)
    with operations.transaction(f"{tenant}-2") as conn:
        assert assignments_of(conn, f"{tenant}-2") == []


def test_the_command_puts_the_plan_that_ships_into_force(
    operations, module_database_url, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("MUYUN_DATABASE_URL", module_database_url)
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    assert main(["setup", "--tenant", "t-command", "--as-of", PAID.isoformat()]) == 0
    assert capsys.readouterr().out == (
        "plan cn_strict settles every merchant without a plan of its own of tenant t-command from "
        f"{PAID.isoformat()}\n"
    )
    with operations.transaction("t-command") as conn:
        assert plan_in_force(conn, "t-command", "m1", PAID).plan_id == "cn_strict"


def second_version(books):
    """Version 2 of the strict plan: level 1 stays 10%."""
    document = plan_document(
        load_shipped("cn_strict", version=2, published_at=PAID, effective_at=PAID + 7 * DAY)
    )
    return books.do(publish_plan, document, PAID)


def test_three_for_one_counts_across_versions(referrer):  # noqa: F811
    """Two invitees of 100.00 under version 1, one under version 2: 10.00 each, 30.00 for the inviter."""
    inviter = ("agent", "u1")
    second = second_version(referrer)
    refer(referrer, 0)
    refer(referrer, 1)
    order = sale(
        "ref2",
        cart=[CartLine(1, "A", (), "S1", 1, 10_000, 6_000)],
        consumer_id="buyer2",
        parties=Parties(
            OrderParty("merchant", "m1"), upline=(OrderParty("agent", "u1"),), is_first_purchase=True
        ),
        paid_at=PAID + 8 * DAY,
    )
    referrer.sell(order, second, received_at=RECEIVED, release_due_at=DUE + 8 * DAY)
    assert referrer.rows("select distinct plan_version from settlement.leg where state = 'locked'") == [
        (1,),
        (2,),
    ]
    referrer.release(DUE + 8 * DAY)
    done = unlock_due(referrer.transactions, referrer.tenant, DUE + 8 * DAY)
    assert (done.batches, done.paid_cents, done.expired_cents) == (1, 3_000, 0)
    assert referrer.balance("agent_available", inviter) == 3_000
    # Nothing is left to expire to the platform.
    assert unlock_due(referrer.transactions, referrer.tenant, PAID + 400 * DAY).expired_cents == 0
    assert referrer.violations() == []


def test_an_unreadable_version_keeps_only_its_own_invites_waiting(referrer):  # noqa: F811
    store(referrer, "broken", 1, BROKEN, "0" * 64)
    for number in range(4):
        refer(referrer, number)
    with referrer.transactions() as conn:
        conn.execute(
            "update settlement.leg set plan_id = 'broken' where order_id = 'ref3' and state = 'locked'"
        )
    referrer.release()
    told = []
    done = unlock_due(referrer.transactions, referrer.tenant, DUE, lambda *alarm: told.append(alarm[0]))
    assert (done.batches, done.paid_cents) == (1, 3_000)
    assert told == ["three-for-one under plan broken 1"]


def test_a_version_is_found_by_name_whatever_became_of_others(books):
    store(books, "cn_strict", 2, "no json at all", "0" * 64, LONG_AGO + 30 * DAY)
    assert books.do(plan_version, "cn_strict", 1) == plan()
    with pytest.raises(PlanUnreadableError):
        books.do(plan_version, "cn_strict", 2)
