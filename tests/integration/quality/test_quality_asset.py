"""The step of the graph: judged once, and again when somebody changed a level; then the scoring obeys."""

from contextlib import contextmanager

import dagster as dg
import pytest
from delivered_facts import AS_OF, Facts, market
from held_skus import held, override
from small_market import TENANT

from pipelines.defs import quality
from pipelines.graph import resources
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.stores.brake import held_back


class FactsWarehouse:
    """The facts as the published warehouse; counts who reads them."""

    def __init__(self, facts):
        self.facts, self.opened = facts, 0

    @contextmanager
    def open(self):
        self.opened += 1
        yield self.facts.connection


@pytest.fixture
def step(shop, module_database_url, tmp_path, monkeypatch):
    """Runs the step; what it tells, and how often it worked."""
    for name in ("MUYUN_AS_OF", "MUYUN_DATA"):
        monkeypatch.delenv(name, raising=False)
    facts = Facts()
    market(facts)
    warehouse = FactsWarehouse(facts)

    def run(as_of=AS_OF, **more):
        settings = Settings.model_construct(
            home=tmp_path / "home",
            data=tmp_path / "feeds",
            as_of=as_of,
            database_url=module_database_url,
            quality_lines={"tea": 0.05},
            **more,
        )
        made = resources(settings, {"warehouse": warehouse})
        wanted = {
            name: made[name] for name in ("steps", "settings", "clock", "warehouse", "lake", "database")
        }
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([quality.brake], resources=wanted, instance=instance)
            (event,) = done.get_asset_materialization_events()
            checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
        told = event.materialization.metadata
        return told, checks, warehouse.opened

    run.lake = Lake(tmp_path / "home" / "lake")
    return run


def test_the_step_judges_once_and_again_when_a_level_was_changed(step, shop):
    told, checks, worked = step()
    assert told["held_by_level"].value == {"3": 1, "4": 2}
    assert checks == {
        "no_level_is_below_its_finding": True,
        "every_category_has_a_prior_of_its_own": False,  # four skus are too few
    }
    assert step()[2] == worked == 1, "nothing changed: the step is reported again"
    assert "poor" in held_back(step.lake).stopped
    override(shop, "poor", 2, at=AS_OF)
    told, _, worked = step()
    assert worked == 2
    assert told["raised"].value == 0
    obeyed = held_back(step.lake)
    assert (obeyed.limited, obeyed.stopped) == (("poor",), ("bad", "harmful"))
    assert step()[2] == 2
    assert held(shop, "poor").held_level == 3
    assert shop.sql("select count(*) from quality.recall where tenant_id = %(t)s", t=TENANT) == [(2,)]


def test_another_line_of_a_category_is_another_judgement(step):
    step()
    assert step(quality_reasons=frozenset({"no_such_reason"}))[2] == 2
