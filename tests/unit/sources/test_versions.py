"""Rows that change: the newest version stands, older ones stay known, whatever the order of the files."""

import datetime as dt
import itertools
import tempfile
from pathlib import Path

import polars as pl
import pytest
from feed_folder import AS_OF, LINES, LOADED_AT, ORDERS, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.lake.tables import Lake
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import ingest
from pipelines.sources.loading.versions import file_times
from pipelines.sources.protocol import Chunk, TableReading
from pipelines.sources.refused.quarantine import read_quarantine

NAMES = list(ORDERS[0])


def at(day: int, hour: int = 10) -> dt.datetime:
    return dt.datetime(2026, 11, day, hour, tzinfo=dt.UTC)


def in_files(folder: Path, **files: list[dict[str, str]]) -> None:
    """Puts the orders into a folder of files."""
    (folder / "orders.csv").unlink(missing_ok=True)
    (folder / "orders").mkdir(exist_ok=True)
    for name, rows in files.items():
        write_csv(folder / "orders" / f"{name}.csv", rows)


def known(lake: Lake, table: str, moment: dt.datetime) -> pl.DataFrame:
    """What was known of a table at a moment: the rule that readers of the history use."""
    current = lake.scan(table).with_columns(
        pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("superseded_at"), pl.lit(False).alias("is_deleted")
    )
    history = lake.scan_history(table).select(current.collect_schema().names())
    is_known = (pl.col("received_at") <= moment) & (
        pl.col("superseded_at").is_null() | (pl.col("superseded_at") > moment)
    )
    return pl.concat([current, history]).filter(is_known, ~pl.col("is_deleted")).collect()


def states(frame: pl.DataFrame) -> dict[str, str]:
    return dict(frame.select("order_id", "state").iter_rows())


def test_a_later_file_with_a_cancelled_order_changes_the_order(folder, lake, load):
    cancelled = {**ORDERS[0], "status": "Cancelled", "changed_at": "2026-11-05T09:00:00Z"}
    in_files(folder, a=ORDERS, b=[cancelled])
    report = load(folder)["orders"]
    assert (report.received, report.accepted, report.current, report.history) == (4, 4, 3, 1)
    assert report.extra_columns == ()
    assert states(lake.read("orders")) == {"o1": "cancelled", "o2": "paid", "o3": "paid"}
    (before,) = lake.scan_history("orders").collect().to_dicts()
    assert (before["order_id"], before["state"], before["is_deleted"]) == ("o1", "paid", False)
    assert (before["received_at"], before["superseded_at"]) == (at(1), at(5, 9))
    assert states(known(lake, "orders", at(4)))["o1"] == "paid"
    assert states(known(lake, "orders", at(6)))["o1"] == "cancelled"


def test_the_date_in_the_name_of_a_file_decides_before_the_order_of_files(folder, lake, load):
    in_files(
        folder,
        b_20261107=[{**ORDERS[0], "status": "refunded"}],
        c_20261106=[{**ORDERS[0], "status": "shipped"}],
        a=ORDERS,
    )
    load(folder)
    assert states(lake.read("orders"))["o1"] == "refunded"
    history = lake.scan_history("orders").collect().sort("superseded_at")
    assert history["status"].to_list() == ["completed", "shipped"]
    assert history["superseded_at"].to_list() == [at(6, 0), at(7, 0)]


def test_without_any_time_the_later_file_wins_and_was_known_at_the_run(folder, lake, load):
    in_files(folder, a=ORDERS, b=[{**ORDERS[0], "status": "cancelled"}])
    load(folder)
    assert states(lake.read("orders"))["o1"] == "cancelled"
    assert lake.scan_history("orders").collect()["superseded_at"].to_list() == [AS_OF]
    assert states(known(lake, "orders", AS_OF - dt.timedelta(seconds=1)))["o1"] == "paid"


def test_a_row_that_another_file_repeats_is_the_same_version_and_one_in_the_same_file_a_duplicate(
    folder, lake, load
):
    in_files(folder, a=[*ORDERS, ORDERS[2]], b=ORDERS[:2])
    report = load(folder)["orders"]
    assert (report.received, report.current, report.history, report.unchanged) == (6, 3, 0, 2)
    assert report.reasons == {"duplicate key: an earlier row of this load has the same order_id": 1}


def test_a_change_log_in_one_file_is_read_by_its_times(folder, lake, load):
    rows = [
        {**ORDERS[0], "status": "refunded", "changed_at": "2026-11-07"},
        {**ORDERS[0], "status": "unpaid", "changed_at": "2026-11-02"},
        {**ORDERS[0], "status": "paid", "changed_at": "2026-11-03"},
    ]
    write_csv(folder / "orders.csv", [*rows, *({**row, "changed_at": ""} for row in ORDERS[1:])])
    report = load(folder)["orders"]
    assert (report.current, report.history, report.quarantined) == (3, 2, 0)
    assert states(lake.read("orders"))["o1"] == "refunded"
    assert lake.scan_history("orders").collect().sort("superseded_at")["state"].to_list() == [
        "unpaid",
        "paid",
    ]


def test_a_wrong_version_is_refused_and_the_one_before_stands(folder, lake, load):
    in_files(folder, a=ORDERS, b=[{**ORDERS[0], "status": "on the moon"}])
    report = load(folder)["orders"]
    assert (report.current, report.history, report.quarantined) == (3, 0, 1)
    assert states(lake.read("orders"))["o1"] == "paid"


DELETED = "orders:\n  deleted_when: {gone: [1, yes]}\n  changed_at: touched\n"


def deletion(**more: str) -> dict[str, str]:
    return dict.fromkeys(NAMES, "") | {"order_id": "o1", "gone": "YES", "touched": "2026-11-06"} | more


def test_a_deleted_order_leaves_with_its_lines_and_stays_known_until_then(folder, lake, load):
    (folder / "muyun.yaml").write_text(DELETED)
    in_files(folder, a=ORDERS, b=[deletion()])
    reports = load(folder)
    assert (reports["orders"].current, reports["orders"].history, reports["orders"].deleted) == (2, 2, 1)
    lines = reports["order_lines"]
    assert (lines.current, lines.history, lines.deleted, lines.quarantined) == (2, 1, 1, 0)
    assert sorted(lake.read("order_lines")["order_id"]) == ["o2", "o3"]
    for table in ("orders", "order_lines"):
        assert "o1" in known(lake, table, at(5))["order_id"]
        assert "o1" not in known(lake, table, at(6))["order_id"]
    # Again, row by row: what was deleted and comes back stands.
    in_files(folder, a=ORDERS, b=[deletion()], c=[{**ORDERS[0], "touched": "2026-11-08", "gone": ""}])
    assert load(folder)["orders"].current == 3
    assert "o1" not in known(lake, "orders", at(7))["order_id"]
    assert "o1" in known(lake, "orders", at(9))["order_id"]


def test_a_deletion_of_what_never_came_is_refused(folder, lake, load):
    (folder / "muyun.yaml").write_text(DELETED)
    in_files(folder, a=ORDERS, b=[deletion(order_id="nobody"), deletion(order_id="")])
    assert load(folder, "orders")["orders"].reasons == {
        "deletes a row that was never received": 1,
        "missing value": 1,
    }


def contents(lake: Lake) -> dict[str, bytes]:
    return {
        str(path.relative_to(lake.root)): path.read_bytes()
        for table in ("orders", "order_lines")
        for path in (*lake.accepted_files(table), *lake.history_files(table))
    }


def test_loading_twice_changes_nothing_and_days_one_by_one_are_one_load(folder, lake, load, tmp_path):
    moved = {**ORDERS[0], "placed_at": "2026-11-03T08:00:00Z", "changed_at": "2026-11-04"}
    paid = {**ORDERS[1], "status": "refunded", "changed_at": "2026-11-05"}
    in_files(folder, a=ORDERS, b=[moved, paid])
    load(folder)
    before = contents(lake)
    load(folder)
    assert contents(lake) == before
    other = Lake(tmp_path / "other")
    other.create()
    source = Files(folder)
    for day in (3, 1, 2):
        window = (dt.date(2026, 11, day),) * 2
        reports = [
            ingest(source, table, other, as_of=AS_OF, window=window, loaded_at=LOADED_AT)
            for table in source.tables()
        ]
        assert all(report.quarantined == 0 for report in reports)
    assert contents(other) == before


def test_a_row_that_moves_to_another_day_leaves_the_day_where_it_stood(folder, lake, load):
    load(folder)
    in_files(folder, a=ORDERS, b=[{**ORDERS[0], "placed_at": "2026-11-03T08:00:00Z"}])
    load(folder, "orders", window=(dt.date(2026, 11, 3),) * 2)
    assert sorted(lake.read("orders")["order_id"]) == ["o1", "o2", "o3"]
    assert lake.days("orders") == [dt.date(2026, 11, 2), dt.date(2026, 11, 3)]


def test_a_file_that_is_overwritten_keeps_what_was_known_under_load_time(folder, lake, load):
    def arrives(status: str, day: int) -> None:
        write_csv(folder / "orders.csv", [{**ORDERS[0], "status": status}, *ORDERS[1:]])
        load(folder, received_at_rule="load_time", loaded_at=LOADED_AT + dt.timedelta(days=day))

    for day, status in enumerate(["unpaid", "paid", "paid", "unpaid"]):
        arrives(status, day)
    told = [
        states(known(lake, "orders", LOADED_AT + dt.timedelta(days=day, hours=1)))["o1"] for day in range(4)
    ]
    assert told == ["unpaid", "paid", "paid", "unpaid"]
    assert lake.read("orders").height == 3
    assert lake.scan_history("orders").collect().height == 2


def test_a_time_of_change_that_cannot_be_read_or_lies_ahead_refuses_the_row(folder, load):
    rows = [{**row, "changed_at": text} for row, text in zip(ORDERS, ("", "soon", "2027-01-01"), strict=True)]
    write_csv(folder / "orders.csv", rows)
    reasons = load(folder, "orders")["orders"].reasons
    assert sum(reasons.values()) == 2
    assert reasons["in the future"] == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("orders_20261105.csv", "2026-11-05T00:00:00+00:00"),
        ("2026-11-05/orders.csv", "2026-11-05T00:00:00+00:00"),
        ("orders 2026.11.05.xlsx", "2026-11-05T00:00:00+00:00"),
        ("orders-2026-11-05T0930.csv.gz", "2026-11-05T09:30:00+00:00"),
        ("orders_20261105093015.csv", "2026-11-05T09:30:15+00:00"),
        ("orders_20260231.csv", None),
        ("orders_1234520261105.csv", None),
        ("orders_2.csv", None),
    ],
)
def test_dates_in_names_of_files(name, expected):
    (found,) = file_times(pl.Series([name]))
    assert (found.isoformat() if found else None) == expected


class Chunks:
    """A source of one table whose chunks stand in memory."""

    name, origin, received_at_rule = "chunks", "observed", "event_time"

    def __init__(self, chunks):
        self._chunks = chunks

    def tables(self):
        return ("orders",)

    def read(self, table):
        yield from self._chunks

    def reading(self, table):
        return TableReading(deleted_when={"gone": ("1",)})

    def notes(self, table):
        return ()

    def history(self):
        return at(1), AS_OF


VERSION = st.tuples(
    st.sampled_from(["o1", "o2", "o3"]),
    st.integers(0, 9),  # when it changed, in hours after the order
    st.sampled_from(["unpaid", "paid", "cancelled"]),
    st.booleans(),
)


def oracle(versions):
    """Written another way: versions by time, repeats left out; the last stands if it is not a deletion."""
    current, history = {}, []
    for order, group in itertools.groupby(sorted(versions), key=lambda version: version[0]):
        kept = [
            version
            for before, version in itertools.pairwise([None, *group])
            if before is None or before[2:] != version[2:]
        ]
        for version, after in itertools.pairwise([*kept, None]):
            if after is None and not version[3]:
                current[order] = version[2]
            else:
                history.append((order, version[2], version[3], at(1, 10 + after[1]) if after else None))
    return current, sorted(history, key=str)


@settings(max_examples=60, deadline=None)
@given(st.lists(VERSION, min_size=1, max_size=8, unique_by=lambda v: v[:2]), st.data())
def test_any_order_of_the_files_ends_in_the_same_rows_and_history(versions, data):
    shuffled = data.draw(st.permutations(versions))
    cuts = data.draw(st.lists(st.integers(0, len(versions)), max_size=3))
    bounds = [0, *sorted(cuts), len(versions)]
    chunks = [
        Chunk(
            pl.DataFrame(
                [
                    {**ORDERS[0], "order_id": order, "status": status, "gone": str(int(gone)),
                     "changed_at": at(1, 10 + hours).isoformat()}
                    for order, hours, status, gone in shuffled[start:end]
                ],
                schema=[*NAMES, "gone", "changed_at"],
                schema_overrides=dict.fromkeys([*NAMES, "gone", "changed_at"], pl.String),
            ),
            f"part-{number}.csv",
            is_text=True,
        )
        for number, (start, end) in enumerate(itertools.pairwise(bounds))
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as home:
        lake = Lake(home)
        lake.create()
        report = ingest(Chunks(chunks), "orders", lake, as_of=AS_OF, window=None, loaded_at=LOADED_AT)
        current, history = oracle(versions)
        assert states(lake.read("orders")) == current
        found = (
            lake.scan_history("orders").select("order_id", "state", "is_deleted", "superseded_at").collect()
        )
        assert sorted(found.rows(), key=str) == history
        assert report.received == len(versions) == report.current + report.history + report.unchanged
        assert read_quarantine(lake, "orders").height == 0


def test_lines_of_a_later_file_replace_those_before(folder, lake, load):
    write_csv(folder / "order_lines.csv", LINES)
    (folder / "order_lines").mkdir()
    changed = {**LINES[0], "qty": "1.5", "net_paid_cents": "300"}
    write_csv(folder / "order_lines" / "fixed.csv", [changed])
    report = load(folder)["order_lines"]
    assert (report.current, report.history) == (3, 1)
    assert lake.read("order_lines").sort("order_id")["qty_milli"].to_list() == [1500, 2000, 2000]
