"""How levels move: nights, clean days, cases, overrides; each once, also after a kill in the middle."""

import os
import signal
import subprocess
import sys

import psycopg
import pytest
from held_skus import day, finding, held, night, override
from small_market import NOW, TENANT

from models.supply.brake.ladder import Level
from serving.approvals.errors import OwnRequestError
from serving.quality import cases, levels, recalls, records
from serving.quality.errors import (
    OverrideRefusedError,
    SignedBeforeError,
    UnknownCaseError,
    UnknownRecallError,
)
from serving.quality.overrides import ask_of, end_due


def history(shop, sku):
    with shop.transaction() as conn:
        found = records.history_of(conn, TENANT, sku, limit=100)
    return [(one.from_level, one.to_level, one.cause) for one in reversed(found)]


def cases_of(shop, sku):
    with shop.transaction() as conn:
        found = cases.cases_page(conn, TENANT, after=0, limit=500, open_only=False)
    return [one for one in found if one.sku_id == sku]


def sign(shop, case, department, key=None, at=NOW):
    with shop.transaction() as conn:
        return cases.sign(
            conn, TENANT, case.case_id, cases.Department(department), "found it", key or department, at
        )


def test_a_night_writes_levels_with_their_numbers_and_again_changes_nothing(shop):
    findings = [finding("n1", 3), finding("n2", 1), finding("n3", 0)]
    assert night(shop, NOW, *findings).raised == 2
    before = shop.sql("select * from quality.brake order by sku_id")
    assert night(shop, NOW, *findings).raised == 0
    assert shop.sql("select * from quality.brake order by sku_id") == before
    assert history(shop, "n1") == [(0, 3, "estimate")]
    assert history(shop, "n3") == []
    with shop.transaction() as conn:
        assert records.history_of(conn, TENANT, "n1", limit=1)[0].evidence["mean"] == 0.1


def test_an_older_night_changes_nothing(shop):
    night(shop, day(2), finding("late", 2))
    done = night(shop, day(1), finding("late", 4))
    assert done.outdated >= 1
    assert held(shop, "late").held_level == 2


def test_levels_fall_one_by_one_and_keep_their_reason_meanwhile(shop):
    night(shop, day(10), finding("falling", 3))
    night(shop, day(11))
    assert held(shop, "falling").reason_code == "above_stop_line"
    night(shop, day(24))
    assert held(shop, "falling").held_level == 3
    night(shop, day(25))
    night(shop, day(38))
    assert held(shop, "falling").held_level == 2
    night(shop, day(39))
    assert history(shop, "falling") == [(0, 3, "estimate"), (3, 2, "clean_days"), (2, 1, "clean_days")]
    assert [one.closed_at for one in cases_of(shop, "falling")] == [day(39)]  # below 2 nothing is open


def test_five_departments_release_one_level_and_what_was_delivered_before_counts_no_more(shop):
    at = day(50)
    night(shop, at, finding("signed", 3))
    (case,) = cases_of(shop, "signed")
    for department in ("service", "quality", "product", "research"):
        assert sign(shop, case, department, at=at).closed_at is None
    assert held(shop, "signed").held_level == 3
    done = sign(shop, case, "purchasing", at=at)
    assert (done.closed_at, done.missing) == (at, [])
    assert held(shop, "signed").held_level == 2
    with shop.transaction() as conn:
        assert levels.counted_from(conn, TENANT)["signed"] == at
    assert history(shop, "signed") == [(0, 3, "estimate"), (3, 2, "case_closed")]
    assert [one.closed_at for one in cases_of(shop, "signed")] == [at, None]  # level 2 has a case of its own


def test_nobody_signs_twice_or_for_two_departments_or_a_closed_case(shop):
    at = day(50)
    night(shop, at, finding("twice", 2))
    (case,) = cases_of(shop, "twice")
    sign(shop, case, "quality", key="k1", at=at)
    with pytest.raises(SignedBeforeError):
        sign(shop, case, "quality", key="k2", at=at)
    with pytest.raises(SignedBeforeError):
        sign(shop, case, "service", key="k1", at=at)
    for number, department in enumerate(("service", "product", "research", "purchasing")):
        sign(shop, case, department, key=f"k{number + 2}", at=at)
    with pytest.raises(SignedBeforeError, match="closed"):
        sign(shop, case, "service", key="k9", at=at)
    with shop.transaction() as conn, pytest.raises(UnknownCaseError):
        cases.case_of(conn, TENANT, 10**9)


def test_an_override_needs_another_person_and_ends(shop):
    at = day(60)
    night(shop, at, finding("set", 3))
    with pytest.raises(OwnRequestError):
        override(shop, "set", 1, at=at, asker="op-1", decider="op-1")
    assert held(shop, "set").level == 3
    override(shop, "set", 1, at=at, days=2)
    assert (held(shop, "set").level, held(shop, "set").held_level) == (1, 3)
    night(shop, day(61), finding("set", 3))
    assert held(shop, "set").level == 1
    with shop.transaction() as conn:
        assert end_due(conn, TENANT, day(62)) == 1
        assert end_due(conn, TENANT, day(62)) == 0
    assert held(shop, "set").level == 3
    assert history(shop, "set") == [(0, 3, "estimate"), (3, 1, "override"), (1, 3, "override_ended")]


def test_an_override_may_hold_a_sku_that_nothing_speaks_against(shop):
    at = day(60)
    override(shop, "by-hand", 4, at=at)
    assert history(shop, "by-hand") == [(0, 4, "override")]
    assert cases_of(shop, "by-hand") == []  # no estimate asks for an improvement


@pytest.mark.parametrize("days", [0, -1, 31])
def test_an_override_ends_in_time(days):
    with pytest.raises(OverrideRefusedError):
        ask_of("x", Level.FREE, "why", day(days), NOW)


def test_a_recall_names_the_buyers_of_the_suppliers_to_blame(shop):
    shop.plan()
    shop.list("recalled", 2000)
    shop.list("recalled", 2000, merchant="m2")
    shop.supply("SA", "recalled", 1, price=900)
    shop.supply("SB", "recalled", 50, price=1000)
    shop.place("recall-1", ("recalled", 1), consumer="ca")  # the cheapest has one unit
    shop.place("recall-2", ("recalled", 2), consumer="cb", merchant="m2")
    at = day(60)
    night(shop, at, finding("recalled", 4, suppliers=["SB"]))

    def buyers(merchant=None):
        with shop.transaction() as conn:
            known = recalls.recalls_page(conn, TENANT, merchant_id=merchant, after=0, limit=500)
            (one,) = [recall for recall in known if recall.sku_id == "recalled"]
            found = recalls.buyers_page(
                conn, TENANT, one.recall_id, merchant_id=merchant, after=("", 0), limit=10
            )
        return [(buyer.consumer_id, buyer.supplier_id, buyer.qty) for buyer in found]

    assert buyers() == [("cb", "SB", 2)]
    assert buyers("m1") == []
    with shop.transaction() as conn, pytest.raises(UnknownRecallError):
        recalls.buyers_page(conn, TENANT, 10**9, merchant_id=None, after=("", 0), limit=1)


def test_parties_see_the_levels_of_what_they_sell(shop):
    night(shop, day(70), finding("of-m1", 2), finding("of-nobody", 2))
    shop.list("of-m1", 100)
    shop.supply("SX", "of-m1", 1)

    def seen(party, least=1):
        with shop.transaction() as conn:
            page = levels.levels_page(conn, TENANT, party, day(70), min_level=least, after="", limit=500)
        return {one.sku_id for one in page}

    assert {"of-m1", "of-nobody"} <= seen(None)
    assert "of-nobody" not in seen(("merchant", "m1"))
    assert "of-m1" in seen(("merchant", "m1"))
    assert seen(("supplier", "SX")) == {"of-m1"}
    assert seen(("merchant", "m1"), least=3).isdisjoint({"of-m1"})


def test_history_and_signatures_cannot_be_changed(shop):
    night(shop, day(70), finding("kept", 2))
    for statement in ("update quality.change set to_level = 0", "delete from quality.change"):
        with pytest.raises(psycopg.Error), shop.transaction() as conn:
            conn.execute(statement)


_WORKER = """
import sys
sys.path[:0] = sys.argv[2:]
from held_skus import finding, day
from small_market import TENANT
from models.supply.brake.ladder import Rules
from serving.db.operations import Operations
from serving.quality.judging import judge
with Operations(sys.argv[1], size=1) as operations, operations.transaction(TENANT) as conn:
    done = judge(conn, TENANT, [finding(f"killed-{n}", 4, ["SK"]) for n in range(50)], Rules(), day(80))
    print(done.raised, flush=True)
    sys.stdin.read()
"""


def test_a_night_that_was_killed_before_its_commit_is_done_once_by_the_next(shop, module_database_url):
    folders = [path for path in sys.path if path.endswith(("/tests", "/tests/integration/quality"))]
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, module_database_url, *folders],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert worker.stdout.readline() == "50\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    findings = [finding(f"killed-{n}", 4, ["SK"]) for n in range(50)]
    assert night(shop, day(80), *findings).raised == 50
    assert night(shop, day(80), *findings).raised == 0
    counts = shop.sql(
        "select (select count(*) from quality.change where sku_id like 'killed-%%'),"
        " (select count(*) from quality.recall where sku_id like 'killed-%%'),"
        " (select count(*) from quality.frozen_supplier where supplier_id = 'SK'),"
        " (select count(*) from quality.improvement_case where sku_id like 'killed-%%')"
    )
    assert counts == [(50, 50, 50, 50)]
