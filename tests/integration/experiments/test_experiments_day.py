"""Experiments in the graph: what is over stops, what came of each is kept for the report, the check tells."""

from datetime import timedelta

import dagster as dg
import pytest
from small_market import NOW, TENANT, Shop

from models.experiments.hold_out import is_held_out
from pipelines.defs import experiments
from pipelines.graph import resources
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.stores.experiments import REPORT
from serving.db.operations import Operations
from serving.experiments import records
from serving.orders.coupons.trials import give

DOCUMENT = {
    "experiment_id": "half",
    "title": "A coupon for one half",
    "surface": "coupons",
    "unit": "consumer",
    "layer": "coupons",
    "metric": "ordered",
    "guardrail": "returned",
    "metric_days": 7,
    "runs_days": 20,
}


PEOPLE = [one for one in (f"c{n}" for n in range(200)) if not is_held_out("default", one, NOW.date())][:100]


@pytest.fixture
def shop(database_url):
    with Operations(database_url, size=3) as operations:
        made = Shop(database_url, operations)
        made.plan()
        yield made


def live(shop, tmp_path, now):
    settings = Settings(home=tmp_path / "home", database_url=shop.url, as_of=now)
    made = resources(settings)
    wanted = {name: made[name] for name in ("steps", "settings", "clock", "lake", "database")}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([experiments.experiments_day], resources=wanted, instance=instance)
    (check,) = done.get_asset_check_evaluations()
    (event,) = done.get_asset_materialization_events()
    told = Lake(tmp_path / "home" / "lake").read_report(REPORT)
    return told["experiments"], event.materialization.metadata["ended"].value, check.passed


def test_an_arm_that_harms_the_guardrail_stops_the_experiment(shop, tmp_path):
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    shop.list("s1", 20_000)
    shop.supply("EV", "s1", 1_000)
    shop.may_lose(10**12)
    arms = [
        {"name": "none", "share_bps": 5_000},
        {"name": "with", "share_bps": 5_000, "programme_id": programme},
    ]
    shop.act(records.put_forward, DOCUMENT | {"arms": arms}, "ann", NOW)
    shop.act(records.start, "half", NOW)
    shop.act(give, "half", PEOPLE, NOW)
    drawn = dict(shop.sql("select unit_id, arm from experiments.exposure"))
    bought = NOW + timedelta(days=1)
    for one in PEOPLE:
        shop.place(f"o-{one}", ("s1", 1), consumer=one, at=bought)
        shop.pay(f"o-{one}", at=bought)
    back = [f"o-{one}" for one, arm in drawn.items() if arm == "with"]
    shop.sql(
        "update orders.order_line set refunded_cents = net_paid_cents where order_id = any(%(o)s)", o=back
    )
    (one,), ended, _ = live(shop, tmp_path, NOW + timedelta(days=8))
    assert ended == [f"{TENANT}: half: with harms returned"]
    assert (one["state"], one["guardrail"]["compared"][0]["word"]) == ("stopped", "worse")
    assert one["metric"]["compared"][0]["difference"] == 0.0


def test_a_day_tells_of_every_experiment_and_stops_what_is_over(shop, tmp_path):
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    arms = [
        {"name": "none", "share_bps": 5_000},
        {"name": "with", "share_bps": 5_000, "programme_id": programme},
    ]
    shop.act(records.put_forward, DOCUMENT | {"arms": arms}, "ann", NOW)
    shop.act(records.put_forward, DOCUMENT | {"arms": arms, "experiment_id": "draft"}, "ann", NOW)
    shop.act(records.start, "half", NOW)
    shop.act(give, "half", PEOPLE, NOW)
    (one,), ended, fits = live(shop, tmp_path, NOW + timedelta(days=8))
    assert (one["experiment_id"], one["state"], ended, fits) == ("half", "running", [], True)
    assert sum(arm["measured"] for arm in one["metric"]["arms"]) == 100
    assert one["guardrail"]["compared"][0]["word"] == "not_yet"
    with shop.transaction() as conn:
        conn.execute("reset role")
        conn.execute("delete from experiments.exposure where arm = 'with'")
    (one,), ended, fits = live(shop, tmp_path, NOW + timedelta(days=20))
    assert (one["state"], one["reason"], fits) == ("stopped", "over", False)
    assert ended == [f"{TENANT}: half: over"]
    assert one["metric"]["is_blocked"]
    told, _, fits = live(shop, tmp_path, NOW + timedelta(days=120))
    assert (told, fits) == ([], True)
