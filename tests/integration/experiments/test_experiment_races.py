"""Experiments under concurrency: one code a consumer, one layer for one, a stop that comes between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from journey_town import WAKE, Town
from small_market import NOW, TENANT, Shop

from models.experiments.hold_out import is_held_out
from serving.db.operations import Operations
from serving.experiments import records, results
from serving.experiments.errors import ExperimentOverlapError, ExperimentStateError
from serving.experiments.stopping import stop_now
from serving.journeys.engine import entering
from serving.journeys.errors import JourneyRefusedError
from serving.orders.coupons import issuing
from serving.orders.coupons.trials import give
from serving.orders.errors import ProgrammeStateError

THREADS = 8
PEOPLE = [one for one in (f"c{n}" for n in range(200)) if not is_held_out("default", one, NOW.date())][:80]


@pytest.fixture
def shop(database_url):
    with Operations(database_url, size=THREADS, timeout_s=60) as operations:
        made = Shop(database_url, operations)
        made.plan()
        yield made


def document(name, programme):
    return {
        "experiment_id": name,
        "title": "A coupon for one half",
        "surface": "coupons",
        "unit": "consumer",
        "layer": "coupons",
        "arms": [
            {"name": "none", "share_bps": 5_000},
            {"name": "with", "share_bps": 5_000, "programme_id": programme},
        ],
        "metric": "ordered",
    }


def at_once(work, count=THREADS):
    """What each of so many threads answers: a value, or the error."""

    def one(number):
        try:
            return work(number)
        except (ExperimentOverlapError, ExperimentStateError) as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_whoever_gives_at_once_gives_one_code_a_consumer(shop):
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    shop.act(records.put_forward, document("half", programme), "ann", NOW)
    shop.act(records.start, "half", NOW)
    given = at_once(lambda number: shop.act(give, "half", PEOPLE[number:] + PEOPLE[:number], NOW))
    assert sum(one.arms.total() for one in given) == len(PEOPLE)
    codes = shop.sql("select consumer_id, count(*) from coupons.coupon group by 1")
    chosen = shop.sql("select unit_id from experiments.exposure where arm = 'with'")
    assert dict(codes) == {unit: 1 for (unit,) in chosen}


def test_a_stop_in_between_leaves_nobody_with_a_code_and_no_exposure(shop):
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    shop.act(records.put_forward, document("half", programme), "ann", NOW)
    shop.act(records.start, "half", NOW)

    def work(number):
        if number == THREADS // 2:
            return shop.act(stop_now, "half", "decided", NOW)
        return shop.act(give, "half", PEOPLE[number * 10 : number * 10 + 10], NOW)

    at_once(work)
    assert shop.act(records.find, "half").state == "stopped"
    codes = {one for (one,) in shop.sql("select consumer_id from coupons.coupon")}
    assert codes == {
        one for (one,) in shop.sql("select unit_id from experiments.exposure where arm = 'with'")
    }


def test_of_many_that_start_at_once_one_has_the_layer(shop):
    names = [f"e{number}" for number in range(THREADS)]
    for name in names:
        programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
        shop.act(records.put_forward, document(name, programme), "ann", NOW)
    answers = at_once(lambda number: shop.act(records.start, names[number], NOW))
    assert sum(isinstance(one, ExperimentOverlapError) for one in answers) == THREADS - 1
    assert shop.sql("select count(*) from experiments.experiment where state = 'running'") == [(1,)]


def test_the_database_itself_lets_no_two_share_places(shop):
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    for name in ("one", "two"):
        shop.act(records.put_forward, document(name, programme), "ann", NOW)
    shop.act(records.start, "one", NOW)
    with pytest.raises(Exception, match="conflicting key value violates exclusion constraint"):
        shop.sql(
            "update experiments.experiment set state = 'running', first_bps = 9000, end_bps = 10000,"
            " started_at = now() where experiment_id = 'two'"
        )


def test_a_journey_and_an_experiment_do_not_give_one_programme(database_url):
    with Operations(database_url, size=3) as operations:
        town = Town(database_url, operations)
        town.people(20, others=10)
        town.act(records.put_forward, document("half", town.budget), "ann", NOW)
        town.act(records.start, "half", NOW)
        with pytest.raises(JourneyRefusedError, match="experiment half gives wakeup to one arm"):
            town.journey()
        town.act(stop_now, "half", "decided", NOW)
        town.journey()
        town.act(records.put_forward, document("again", town.budget), "ann", NOW)
        with pytest.raises(ExperimentOverlapError, match="the journey wake sends coupons of wakeup"):
            town.act(records.start, "again", NOW)


def test_a_night_that_finds_an_experiment_stopped_meanwhile_ends_the_others(shop, monkeypatch):
    for name in ("one", "two"):
        programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
        arms = {"traffic_bps": 5_000}
        shop.act(records.put_forward, document(name, programme) | arms, "ann", NOW)
        shop.act(records.start, name, NOW)
    seen = results.running

    def then_somebody_stops(conn, tenant_id):
        found = seen(conn, tenant_id)
        shop.act(stop_now, "one", "decided", NOW)
        return found

    monkeypatch.setattr(results, "running", then_somebody_stops)
    later = NOW + timedelta(days=28)
    assert shop.act(results.end_due, later) == [("two", "over")]
    assert shop.act(records.find, "one").reason == "decided"


def test_runs_of_a_journey_that_was_replaced_send_to_no_arm_of_an_experiment(database_url):
    with Operations(database_url, size=3) as operations:
        town = Town(database_url, operations)
        town.people(20, others=10)
        town.journey()
        town.act(entering.enter_due, town.now)
        town.journey(WAKE.replace("coupon: wakeup, ", "").replace("{coupon}", "a gift"))
        town.act(records.put_forward, document("half", town.budget), "ann", NOW)
        with pytest.raises(ExperimentOverlapError, match="runs of it that are under way do"):
            town.act(records.start, "half", NOW)
        town.sql("update journeys.run set due_at = null, ended_at = %(now)s, reason = 'over'", now=NOW)
        assert town.act(records.start, "half", NOW).state == "running"


def test_no_code_for_whoever_brings_it_slips_out_while_an_experiment_starts(shop):
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    shop.act(records.put_forward, document("half", programme), "ann", NOW)
    with ThreadPoolExecutor(1) as pool:
        with shop.transaction() as conn:
            records.start(conn, TENANT, "half", NOW)
            code = pool.submit(shop.act, issuing.issue, programme, NOW)
            with pytest.raises(TimeoutError):
                code.result(1)
        with pytest.raises(ProgrammeStateError, match="experiment half gives programme"):
            code.result(30)
    assert shop.sql("select count(*) from coupons.coupon") == [(0,)]
