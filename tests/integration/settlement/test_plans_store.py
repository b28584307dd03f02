"""Publishing plans, and which version settles an order (L12)."""

import uuid

import psycopg
import pytest
from settlement_books import DAY, LONG_AGO, PAID, plan

from serving.settlement.errors import PlanNotInForceError, PlanRefusedError
from serving.settlement.payouts import prepare_payouts
from serving.settlement.plans.assignments import assign_plan
from serving.settlement.plans.loader import plan_document
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.store import (
    plan_heads,
    plan_in_force,
    plan_version,
    publish_plan,
    put_legal_review,
)

NOW = PAID


def successor(version=2, *, effective_at=NOW + 7 * DAY, published_at=NOW):
    return plan_document(
        load_shipped("cn_strict", version=version, published_at=published_at, effective_at=effective_at)
    )


def refused(books, document, now=NOW):
    with pytest.raises(PlanRefusedError) as error:
        books.do(publish_plan, document, now)
    return error.value.codes


def test_an_order_is_settled_by_the_version_in_force_when_it_was_paid(books):
    books.settled_by("cn_strict")
    books.do(publish_plan, successor(), NOW)
    assert books.do(plan_in_force, "m1", NOW + 7 * DAY - DAY / 1_000_000).version == 1
    assert books.do(plan_in_force, "m1", NOW + 7 * DAY).version == 2
    books.settled_by("worked_20_8_25", "m1")
    assert books.do(plan_in_force, "m1", NOW).plan_id == "worked_20_8_25"
    assert books.do(plan_in_force, "m2", NOW).plan_id == "cn_strict"
    with pytest.raises(PlanNotInForceError):
        books.do(plan_in_force, "m2", plan().effective_at - DAY)


def test_a_plan_reads_back_as_it_was_published(books):
    assert books.do(plan_version, "cn_strict", 1) == plan()
    assert [head.version for head in books.do(plan_heads, "cn_strict")] == [1]
    assert books.do(publish_plan, plan_document(plan()), NOW) == plan()
    with pytest.raises(PlanNotInForceError):
        books.do(plan_version, "cn_strict", 2)


def test_a_version_that_follows_gives_seven_days_from_now(books):
    late = successor(published_at=NOW - 30 * DAY, effective_at=NOW + 6 * DAY)
    assert refused(books, late) == {"short_notice"}
    assert refused(books, successor(published_at=NOW + DAY, effective_at=NOW + 9 * DAY)) == {
        "published_later"
    }
    assert "overlap" in refused(
        books, successor(effective_at=plan().effective_at, published_at=LONG_AGO - DAY * 30)
    )
    books.do(publish_plan, successor(), NOW)
    assert "duplicate_version" in refused(books, successor(effective_at=NOW + 8 * DAY))


def test_two_levels_need_a_signed_review_of_that_plan(operations):
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    document = plan_document(plan("cn_two_level"))
    with operations.transaction(tenant) as conn:
        with pytest.raises(PlanRefusedError) as error:
            publish_plan(conn, tenant, document, LONG_AGO)
        assert error.value.codes == {"no_legal_review"}
        put_legal_review(conn, tenant, "review-1", "another plan", "a lawyer", LONG_AGO, "1")
        with pytest.raises(PlanRefusedError):
            publish_plan(conn, tenant, document, LONG_AGO)
    with operations.transaction(f"{tenant}-2") as conn:
        put_legal_review(conn, f"{tenant}-2", "review-1", "cn_two_level", "a lawyer", LONG_AGO, "1")
        assert publish_plan(conn, f"{tenant}-2", document, LONG_AGO).version == 1


def test_unknown_plans_and_merchants_without_one_are_told(books):
    with pytest.raises(PlanNotInForceError):
        books.do(assign_plan, "m1", "nowhere", None, NOW)
    with pytest.raises(PlanNotInForceError, match="in-force"):
        books.do(plan_in_force, "m1", NOW)


@pytest.mark.parametrize(
    "change", ["update settlement.plan_version set document = '{}'", "delete from settlement.plan_version"]
)
def test_a_published_plan_cannot_be_changed(books, change):
    with pytest.raises(psycopg.DatabaseError), books.transactions() as conn:
        conn.execute(change)


def test_a_demonstration_plan_never_pays_through_a_real_adapter(books):
    document = plan_document(load_shipped("whitepaper_demo"))
    books.do(publish_plan, document, LONG_AGO)
    books.do(prepare_payouts, "b1", "wechat", NOW)
    books.settled_by(document["plan_id"], "m1")
    with pytest.raises(PlanRefusedError) as error:
        books.do(prepare_payouts, "b2", "wechat", NOW)
    assert error.value.codes == {"real_payment_adapter"}
    assert books.do(prepare_payouts, "b3", "simulated", NOW) == []
