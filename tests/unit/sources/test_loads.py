"""Loads add up whatever the rows; windows replace their days only; weekly tables take rows in any order."""

import csv
import datetime as dt
import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from feed_folder import AS_OF, LINES, LOADED_AT, ORDERS, PRODUCTS, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.lake.tables import Lake
from pipelines.sources.contract import SourceError
from pipelines.sources.files import Files, lines
from pipelines.sources.loading.ingest import IngestReport, accept_frame, ingest, read_report
from pipelines.sources.refused.quarantine import read_quarantine

CELL = st.one_of(
    st.sampled_from(
        ["", "o1", "o2", "c1", "store", "0", "5", "-1", "2026-11-01", "2026-11-02T10:00:00+08:00", "x"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
COLUMNS = list(ORDERS[0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[CELL for _ in COLUMNS]), max_size=12), st.booleans())
def test_every_row_is_accepted_or_quarantined_once(rows, as_json):
    with tempfile.TemporaryDirectory() as home:
        folder, lake = Path(home) / "feeds", Lake(Path(home) / "lake")
        folder.mkdir()
        lake.create()
        write_csv(folder / "products.csv", PRODUCTS)
        write_csv(folder / "order_lines.csv", LINES)
        records = [
            {**dict(zip(COLUMNS, row, strict=True)), "agent_id": f"row-{number}"}
            for number, row in enumerate(rows)
        ]
        if as_json:
            (folder / "orders.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        else:
            with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=[*COLUMNS, "agent_id"])
                writer.writeheader()
                writer.writerows(records)
        source = Files(folder)
        try:
            source.history()
        except SourceError:
            assert not any(row[COLUMNS.index("placed_at")].strip().startswith("20") for row in rows)
            return
        for table in ("merchants", "consumers", "orders"):
            report = ingest(source, table, lake, as_of=AS_OF, window=None, loaded_at=LOADED_AT)
            assert report.received == report.accepted + report.quarantined
        accepted = set(lake.read("orders")["agent_id"])
        refused = [
            json.loads(text).get("agent_id", text) for text in read_quarantine(lake, "orders")["row_json"]
        ]
        assert report.received == len(rows)
        assert len(refused) == len(set(refused)) == report.quarantined
        assert not accepted & set(refused)
        assert accepted | set(refused) == {f"row-{number}" for number in range(len(rows))}
        # Once more, written another way: nobody with a bad word in these columns gets in.
        by_mark = {record["agent_id"]: record for record in records}
        for mark in accepted:
            assert by_mark[mark]["channel"].strip() == "store"
            assert int(by_mark[mark]["freight_cents"].strip().rstrip(".0") or 0) >= 0


def test_a_window_replaces_its_days_only(folder, lake, load):
    day = dt.date(2026, 11, 2)
    load(folder)
    write_csv(folder / "orders.csv", [{**row, "status": "shipped"} for row in ORDERS])
    reports = load(folder, window=(day, day))
    assert reports["orders"].received == 1
    assert reports["order_lines"].received == 1
    assert lake.read("orders").sort("order_id")["status"].to_list() == ["completed", "shipped", "completed"]
    assert lake.read("order_lines").height == 3


def test_days_loaded_one_by_one_equal_one_load(folder, tmp_path, load, lake):
    load(folder)
    other = Lake(tmp_path / "other")
    other.create()
    source = Files(folder)
    for number in (3, 1, 2):
        window = (dt.date(2026, 11, number),) * 2
        for table in source.tables():
            report = ingest(source, table, other, as_of=AS_OF, window=window, loaded_at=LOADED_AT)
            assert report.quarantined == 0
    for table in ("orders", "order_lines"):
        ours = [(path.parent.name, path.read_bytes()) for path in other.accepted_files(table)]
        assert ours == [(path.parent.name, path.read_bytes()) for path in lake.accepted_files(table)]


def test_a_duplicate_belongs_to_the_day_of_the_row_that_stands(folder, lake, load):
    write_csv(folder / "orders.csv", [*ORDERS, {**ORDERS[0], "placed_at": "2026-11-02T11:00:00Z"}])
    reports = [load(folder, "orders", window=(dt.date(2026, 11, day),) * 2)["orders"] for day in (2, 1)]
    assert [report.received for report in reports] == [1, 2]
    assert reports[1].reasons == {"duplicate key: an earlier row of this load has the same order_id": 1}
    assert sorted(lake.read("orders")["order_id"]) == ["o1", "o2"]


def test_a_day_without_rows_any_more_is_removed(folder, lake, load):
    load(folder)
    write_csv(folder / "orders.csv", ORDERS[:2])
    load(folder, until="orders", window=(dt.date(2026, 11, 2), dt.date(2026, 11, 3)))
    assert lake.days("orders") == [dt.date(2026, 11, 1), dt.date(2026, 11, 2)]


def promotion(number: int, day: int, name: str | None = None) -> dict[str, str]:
    start = dt.date(2026, 11, 2) + dt.timedelta(days=day)
    return {
        "promotion_id": name or f"p{number}", "sku_id": "a", "kind": "flash", "discount_bps": "500",
        "starts_at": str(start), "ends_at": str(start + dt.timedelta(days=1)),
    }  # fmt: skip


def test_promotions_in_any_order_land_in_their_weeks(folder, lake, load, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 100)
    rows = [promotion(number, day) for number, day in enumerate((0, 8, 1, 15, 9, 6, 7, 0))]
    again = [promotion(90, 8, name="p0"), promotion(91, 2, name="p1")]
    write_csv(folder / "promotions.csv", [*rows, *again])
    report = load(folder)["promotions"]
    assert (report.received, report.accepted) == (10, 8)
    assert report.reasons == {"duplicate key: an earlier row of this load has the same promotion_id": 2}
    assert lake.days("promotions") == [dt.date(2026, 11, day) for day in (2, 9, 16)]
    first = pl.read_parquet(lake.accepted_path("promotions") / "week=2026-11-02/part-0.parquet")
    assert sorted(first["promotion_id"]) == ["p0", "p2", "p5", "p7"]
    assert sorted(read_quarantine(lake, "promotions")["line"]) == [10, 11]
    assert not (lake.root / "staging" / "promotions").exists()
    write_csv(folder / "promotions.csv", [promotion(0, 8)])
    load(folder, window=(dt.date(2026, 11, 4), dt.date(2026, 11, 5)))
    assert lake.days("promotions") == [dt.date(2026, 11, 9), dt.date(2026, 11, 16)]


def events(**changes) -> pl.DataFrame:
    rows = {
        "event_id": ["e1", "e2"], "consumer_id": ["c1", None], "session_id": ["s", "s"],
        "event_type": ["view", "view"], "sku_id": ["a", "a"], "propensity": [0.5, None],
        "occurred_at": [dt.datetime(2026, 11, 1, tzinfo=dt.UTC)] * 2, "origin": ["overlay"] * 2,
    }  # fmt: skip
    return pl.DataFrame({**rows, **changes})


def accept(lake, frame, table="events", **options) -> IngestReport:
    return accept_frame(table, frame, lake, as_of=AS_OF, loaded_at=LOADED_AT, **options)


def test_generated_rows_pass_the_same_rules(folder, lake, load):
    load(folder)
    report = accept(lake, events(), notes=("seed 7",))
    assert (report.accepted, report.origin, report.extra_columns) == (2, "overlay", ())
    assert set(lake.read("events")["origin"]) == {"overlay"}
    assert "seed 7" in report.notes
    assert read_report(lake, "events") == report
    report = accept(lake, events(propensity=[1.5, None], consumer_id=["nobody", None], event_id=["e1", "e1"]))
    assert report.reasons == {"more than 1.0": 1}
    assert read_quarantine(lake, "events")["reasons"].to_list() == [
        ["more than 1.0", "unknown key: not in consumers"]
    ]
    assert accept(lake, events().clear()).accepted == 0
    assert lake.read("events").height == 0


def test_generated_parcels_take_their_day_from_the_order(folder, lake, load):
    load(folder)
    parcel = pl.DataFrame(
        {
            "shipment_id": ["p1"], "order_id": ["o2"], "supplier_id": ["s1"], "from_region": ["r"],
            "to_region": ["r"],
            "promised_at": [dt.datetime(2026, 12, 1, tzinfo=dt.UTC)],
        }
    )  # fmt: skip
    assert accept(lake, parcel, "shipments").accepted == 1
    assert lake.days("shipments") == [dt.date(2026, 11, 2)]


def test_cases_need_a_line_that_exists(folder, lake, load):
    load(folder)
    opened = dt.datetime(2026, 11, 5, tzinfo=dt.UTC)
    cases = pl.DataFrame(
        {
            "case_id": ["k1", "k2"], "order_id": ["o1", "o1"], "line_no": [1, 2], "kind": ["refund"] * 2,
            "reason_code": ["late"] * 2, "opened_at": [opened] * 2, "refund_cents": [400, 400],
        }
    )  # fmt: skip
    assert accept(lake, cases, "after_sales").reasons == {"unknown key: not in order_lines": 1}


def test_a_table_the_source_lacks_becomes_empty_and_says_so(folder, lake, load):
    load(folder)
    report = ingest(Files(folder), "offers", lake, as_of=AS_OF, window=None, loaded_at=LOADED_AT)
    assert report.notes == ("not supplied by the files",)
    assert lake.read("offers").height == 0


@pytest.mark.parametrize("count", [0, 3])
def test_much_quarantine_is_written_in_parts_and_replaced_by_the_next_load(
    folder, lake, load, monkeypatch, count
):
    monkeypatch.setattr("pipelines.sources.refused.quarantine._ROWS_PER_FILE", 2)
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 100)
    bad = [{**ORDERS[0], "order_id": f"x{number}", "channel": "phone"} for number in range(7)]
    write_csv(folder / "orders.csv", [*ORDERS, *bad])
    load(folder, until="orders")
    assert len(list(lake.quarantine_path("orders").iterdir())) > 1
    assert read_quarantine(lake, "orders").height == 7
    write_csv(folder / "orders.csv", [*ORDERS, *bad[:count]])
    load(folder, until="orders")
    assert read_quarantine(lake, "orders").height == count
