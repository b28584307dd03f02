"""Offers under the skus that they were matched with: two of one supplier stay two, and no row is lost."""

import datetime as dt

import pytest

from pipelines.intake.matched import WithMatched, apart
from pipelines.lake.tables import Lake
from pipelines.sources.contract import INGEST_ORDER
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import ingest
from serving.supply.matches import one_for_each

AS_OF = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
OFFERED = (("s1", "silver", 500), ("s1", "gold", 900), ("s2", "phone", 550), ("s3", "handy", 560))


@pytest.fixture
def shop(tmp_path):
    skus = [sku for _, sku, _ in OFFERED]
    files = {
        "suppliers": ["supplier_id,name,channel,region_code,joined_on,is_active"]
        + [f"s{n},{n},factory,east,2025-01-01,true" for n in (1, 2, 3)],
        "products": ["sku_id,title,category_id", *(f"{sku},{sku},all" for sku in skus)],
        "orders": ["order_id,placed_at,merchant_id", "o1,2026-11-20T00:00:00Z,m1"],
        "order_lines": ["order_id,line_no,sku_id,qty,net_paid_cents", "o1,1,phone,1,900"],
        "offers": [
            "supplier_id,sku_id,valid_from,supply_price_cents,lead_time_days,min_order_qty,ship_from_region",
            *(
                f"{supplier}, {sku} ,2026-11-01T00:00:00Z,{cents},2,1,east"
                for supplier, sku, cents in OFFERED
            ),
        ],
    }
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, lines in files.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")

    def loaded(*pairs):
        """Offers after a load with accepted pairs, and its report."""
        source, lake = WithMatched(Files(folder), one_for_each(pairs)), Lake(tmp_path / "lake")
        lake.create()
        for table in INGEST_ORDER:
            if table in source.tables():
                report = ingest(source, table, lake, as_of=AS_OF, window=None, loaded_at=AS_OF)
                if table == "offers":
                    told = report
        rows = lake.read("offers", ["supplier_id", "sku_id", "supply_price_cents"])
        return set(rows.iter_rows()), told

    return loaded


def test_an_accepted_pair_stands_under_one_sku(shop):
    offers, told = shop(("handy", "phone"))
    assert offers == {*OFFERED[:3], ("s3", "phone", 560)}
    assert not [note for note in told.notes if "keep their names" in note]


def test_two_skus_of_one_supplier_stay_two_whatever_was_accepted_of_both(shop):
    offers, told = shop(("silver", "phone"), ("gold", "phone"), ("handy", "phone"))
    assert offers == {*OFFERED[:3], ("s3", "phone", 560)}
    assert told.quarantined == 0
    assert [note for note in told.notes if note.startswith("2 matched skus keep their names")]


@pytest.mark.parametrize(
    ("offered", "stands"),
    [
        ([("s1", "b"), ("s2", "a")], {"b": "a", "c": "a"}),
        ([("s1", "b"), ("s1", "a")], {"c": "a"}),  # the one that keeps its name counts as well
        ([("s1", "b"), ("s1", "c")], {}),
        ([("s1", "b"), ("s1", "b"), ("s2", "c")], {"b": "a", "c": "a"}),
        ([("s1", "b"), ("s1", "x")], {"b": "a", "c": "a"}),
        ([], {"b": "a", "c": "a"}),
    ],
)
def test_who_offers_two_says_that_they_are_two(offered, stands):
    assert apart({"b": "a", "c": "a"}, offered) == stands
