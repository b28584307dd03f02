"""Channels after a whole run: credits are revenue to the fen; the file of analysts and the report show it."""

import duckdb
import pytest

from models.attribution.credits import CREDITS, MODELS
from pipelines.channel_credits import CREDITS_KEY, EFFECTS_KEY
from pipelines.lake.tables import Lake

pytestmark = pytest.mark.xdist_group("world")


def test_every_model_shares_the_revenue_of_the_run(world, first):
    lake = Lake(world.home / "lake")
    credits = lake.get(CREDITS_KEY)
    assert dict(credits.schema) == CREDITS
    assert lake.get(EFFECTS_KEY).is_empty()
    with duckdb.connect(str(world.home / "warehouse" / "muyun.duckdb"), read_only=True) as connection:
        revenue = connection.sql("select sum(net_sales_cents) from core.fct_orders").fetchone()[0]
        sums = ", ".join(f"sum({model}_cents)" for model in MODELS)
        assert set(connection.sql(f"select {sums} from analyst.mart_channel_effect").fetchone()) == {revenue}
        assert (
            connection.sql("select count(*) from analyst.mart_channel_credits").fetchone()[0]
            == credits.height
        )
        # A return of a stated order lowers that order's credits and has none of its own.
        returned = (
            "select sum(credit_cents) from analyst.mart_channel_credits where model = 'last' and order_id = "
        )
        assert connection.sql(f"{returned}'x-bought'").fetchone()[0] == 500
        assert connection.sql(f"{returned}'x-returned'").fetchone()[0] is None
        assert connection.sql(f"{returned}'x-refunded'").fetchone()[0] is None


def test_the_report_shows_channels_and_that_none_was_tested(world, first):
    page = (world.home / "report" / "index.html").read_text()
    assert 'id="channels"' in page
    assert "what channels cause is not known" in page
