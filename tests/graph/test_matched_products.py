"""Through the graph: twins of two suppliers are asked about; once accepted, they stand under one sku."""

import datetime as dt

import dagster as dg
import polars as pl
import pytest

from pipelines.graph import build_defs
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.sources.contract import INGEST_ORDER
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import ingest
from serving.approvals.asking import request
from serving.approvals.decisions import Decider, Seen, approve, reject
from serving.approvals.errors import OwnRequestError, UnknownApprovalError
from serving.approvals.records import newest_of_subject
from serving.db.operations import Operations
from serving.jobs.effects import EFFECTS
from serving.security import Principal, Role
from serving.security.roles import ROLE_SCOPES
from serving.supply.matches import (
    DOUBTFUL,
    SURE,
    Match,
    ask_matches,
    matches_in_force,
    one_for_each,
    undo_ask,
)

pytestmark = pytest.mark.xdist_group("graph")

AS_OF = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
TENANT = "default"
TABLES = ("suppliers", "categories", "products", "offers")
TITLES = {
    "a-1": "Leaf Earl Grey black tea tin 250g",
    "b-9": "earl grey black tea leaf tin 250 g",
    "a-2": "Montpellier MAB2030R retro fridge freezer red",
    "b-2": "Montpellier MAB2030C retro fridge freezer cream",
    "a-3": "Cotton bath towel blue",
    "b-3": "bath towel blue cotton large soft new",
} | {f"{'ab'[number % 2]}-f{number}": f"other goods of kind {number * 7919}" for number in range(30)}


def supplier_of(sku):
    return f"s-{sku[0]}"


def write(folder):
    files = {
        "suppliers.csv": [
            "supplier_id,name,channel,region_code,joined_on,is_active",
            *(f"s-{name},{name},factory,east,2025-01-01,true" for name in "ab"),
        ],
        "products.csv": [
            "sku_id,title,category_id",
            *(f'{sku},"{title}",all' for sku, title in TITLES.items()),
        ],
        "orders.csv": ["order_id,placed_at,merchant_id", "o1,2026-11-20T00:00:00Z,m1"],
        "order_lines.csv": ["order_id,line_no,sku_id,qty,net_paid_cents", "o1,1,b-9,1,900"],
        "offers.csv": [
            "supplier_id,sku_id,valid_from,supply_price_cents,lead_time_days,min_order_qty,ship_from_region",
            *(f"{supplier_of(sku)},{sku},2026-11-01T00:00:00Z,500,2,1,east" for sku in TITLES),
        ],
    }
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")


class World:
    def __init__(self, settings, parsed_project):
        self.settings = settings
        self._project = parsed_project
        self.operations = Operations(settings.database_url, size=1)

    def load_orders(self):
        """Orders and lines, without the checks that a shop of one order would not pass."""
        source, lake = Files(self.settings.data), Lake(self.settings.lake_dir)
        lake.create()
        for table in INGEST_ORDER:
            if table in source.tables():
                ingest(source, table, lake, as_of=AS_OF, window=None, loaded_at=AS_OF)

    def run(self):
        graph = build_defs(self.settings, {"dbt_project": self._project})
        names = ("matched_products", "product_matches")
        keys = [*(["operations", name] for name in names), *(["raw", name] for name in TABLES)]
        with dg.DagsterInstance.ephemeral() as instance:
            done = graph.resolve_job_def("platform_build").execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey(key) for key in keys]
            )
        assert done.success

    def waiting(self):
        with self.operations.transaction(TENANT) as conn:
            return {
                row[0]: row[1:]
                for row in conn.execute(
                    "select subject_id, suggestion->>'sku_id', suggestion->>'stands_for_id', bucket"
                    " from approvals.request where kind = 'product_match' and state = 'pending'"
                )
            }

    def decide(self, subject, decision, *more, by="judge"):
        key = Principal(by, TENANT, Role.OPERATOR, None, ROLE_SCOPES[Role.OPERATOR])
        with self.operations.transaction(TENANT) as conn:
            asked = newest_of_subject(conn, TENANT, "product_match", ("sku_pair", subject))
            seen = Seen(approval_id=asked.approval_id, version=asked.version, digest=asked.digest)
            decision(conn, EFFECTS, seen, Decider(principal=key, now=AS_OF), *more)

    def offered(self):
        offers = Lake(self.settings.lake_dir).read("offers")
        return {sku: set(part["supplier_id"]) for (sku,), part in offers.group_by("sku_id")}


@pytest.fixture
def world(tmp_path, parsed_project, database_url):
    folder = tmp_path / "feeds"
    folder.mkdir()
    write(folder)
    settings = Settings.model_construct(
        home=tmp_path / "home",
        data=folder,
        as_of=AS_OF,
        time_zone="Etc/UTC",
        seed=1,
        tenant=TENANT,
        database_url=database_url,
    )
    made = World(settings, parsed_project)
    with made.operations:
        yield made


def test_an_accepted_pair_stands_under_one_sku_and_a_refused_one_is_not_asked_again(world):
    world.load_orders()
    world.run()
    waiting = world.waiting()
    assert waiting["3:a-1/b-9"] == ("a-1", "b-9", SURE)  # what is sold keeps its name
    doubtful = {subject for subject, row in waiting.items() if row[2] == DOUBTFUL}
    assert set(waiting) == {"3:a-1/b-9", *doubtful}
    assert len(doubtful) == 1
    assert world.offered()["a-1"] == {"s-a"}

    world.decide("3:a-1/b-9", approve)
    for subject in doubtful:
        world.decide(subject, reject, "another_product")
    with world.operations.transaction(TENANT) as conn:
        assert matches_in_force(conn, TENANT) == {"a-1": "b-9"}
    world.run()
    offered = world.offered()
    assert offered["b-9"] == {"s-a", "s-b"}
    assert "a-1" not in offered
    assert sum(map(len, offered.values())) == len(TITLES)  # no offer is lost
    assert Lake(world.settings.lake_dir).read("products").filter(pl.col("sku_id") == "a-1").height == 1
    assert world.waiting() == {}


def test_a_pair_that_is_taken_back_by_two_people_is_two_products_with_the_next_load(world):
    world.load_orders()
    world.run()
    world.decide("3:a-1/b-9", approve)
    world.run()
    assert "a-1" not in world.offered()
    asker = Principal("asker", TENANT, Role.OPERATOR, None, ROLE_SCOPES[Role.OPERATOR])
    with world.operations.transaction(TENANT) as conn:
        asked = request(conn, TENANT, undo_ask(conn, TENANT, "b-9", "a-1", "another_product"), asker, AS_OF)
        again = request(conn, TENANT, undo_ask(conn, TENANT, "a-1", "b-9", "another_product"), asker, AS_OF)
    assert (asked.is_new, again.is_new) == (True, False)
    with pytest.raises(OwnRequestError):
        world.decide("3:a-1/b-9", approve, by="asker")
    world.run()
    assert "a-1" not in world.offered()  # nothing moves before somebody else agreed
    world.decide("3:a-1/b-9", approve)
    with world.operations.transaction(TENANT) as conn:
        assert matches_in_force(conn, TENANT) == {}
        with pytest.raises(UnknownApprovalError):
            undo_ask(conn, TENANT, "a-1", "b-9", "other")
        told = conn.execute(
            "select state, suggestion->>'reason_code' from approvals.request"
            " where kind = 'product_match' and subject_id = '3:a-1/b-9' order by approval_id"
        ).fetchall()
    assert told == [("superseded", None), ("in_effect", "another_product")]
    world.run()
    offered = world.offered()
    assert (offered["a-1"], offered["b-9"]) == ({"s-a"}, {"s-b"})
    # It is found again by its titles, and not asked again, until it is twice as alike.
    assert "3:a-1/b-9" not in world.waiting()
    with world.operations.transaction(TENANT) as conn:
        (percent,) = conn.execute(
            "select (suggestion->>'score_percent')::int from approvals.request where state = 'in_effect'"
        ).fetchone()
        for score, is_asked in ((percent, 0), (2 * percent, 0), (2 * percent + 1, 1)):
            match = Match("a-1", "b-9", score, is_sure=True)
            assert ask_matches(conn, TENANT, [match], "titles", AS_OF) == is_asked


@pytest.mark.parametrize(
    ("pairs", "stands"),
    [
        ([], {}),
        ([("b", "a")], {"b": "a"}),
        ([("b", "a"), ("c", "b")], {"b": "a", "c": "a"}),
        ([("a", "c"), ("b", "c")], {"a": "c", "b": "c"}),
        ([("a", "b"), ("b", "c"), ("c", "a")], {"b": "a", "c": "a"}),  # a circle ends at the smallest id
        ([("b", "a"), ("b", "c"), ("d", "c")], {"a": "c", "b": "c", "d": "c"}),
    ],
)
def test_whatever_was_accepted_every_product_has_one_sku(pairs, stands):
    assert one_for_each(pairs) == stands
    assert one_for_each(reversed(pairs)) == stands
