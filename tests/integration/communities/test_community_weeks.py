"""Communities in the graph: the asset keeps the weeks of the API, and its check passes."""

import dagster as dg
import pytest
from small_market import NOW, TENANT, Shop

from pipelines.defs import communities
from pipelines.graph import resources
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.stores.communities import WEEKS
from serving.communities import records
from serving.db.operations import Operations


@pytest.fixture
def shop(database_url):
    with Operations(database_url, size=3) as operations:
        made = Shop(database_url, operations)
        made.plan()
        yield made


def test_a_run_keeps_the_weeks(shop, tmp_path):
    shop.list("sku", 10_000)
    shop.supply("S1", "sku", 10, price=4_000)
    new = records.NewCommunity("mothers", "m1", "Mothers", "food", "Be kind.", "merchant", "m1")
    shop.act(records.make, new, "test", NOW)
    for consumer in ("ann", "bea"):
        shop.act(records.join, "m1", "mothers", consumer, "shop", NOW)
    shop.act(records.leave, "m1", "mothers", "bea", NOW)
    for consumer in ("ann", "bea", "eve"):
        shop.place(f"o-{consumer}", ("sku", 1), consumer=consumer)
        shop.pay(f"o-{consumer}")
    settings = Settings(home=tmp_path / "home", database_url=shop.url, as_of=NOW)
    made = resources(settings)
    wanted = {name: made[name] for name in ("steps", "settings", "clock", "lake", "database")}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([communities.community_weeks], resources=wanted, instance=instance)
    (check,) = done.get_asset_check_evaluations()
    assert check.passed
    (week,) = Lake(tmp_path / "home" / "lake").get(WEEKS).rows(named=True)
    assert (week["members"], week["joined"], week["left_members"]) == (1, 2, 1)
    assert (week["orders"], week["net_sales_cents"], week["margin_cents"]) == (1, 10_000, 6_000)
    assert settings.tenant == TENANT
