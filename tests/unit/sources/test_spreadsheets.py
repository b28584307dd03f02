"""Spreadsheets as a source: which sheet, which cells, what is refused."""

import datetime as dt

import pytest
from feed_folder import ORDERS, add_lines
from spreadsheet import write_xlsx

from pipelines.sources.contract import SourceError
from pipelines.sources.files import Files
from pipelines.sources.refused.quarantine import read_quarantine

HEADER = list(ORDERS[0])
TIMES = [dt.datetime(2026, 11, day, 10, tzinfo=dt.UTC) for day in (1, 2, 3)]
SHEET = [
    [*list(row.values())[:4], time.replace(tzinfo=None), row["status"], 0, 0.0]
    for row, time in zip(ORDERS, TIMES, strict=True)
]


def test_a_spreadsheet_under_another_name(folder, lake, load):
    write_xlsx(folder / "orders.csv", {"a": [HEADER, *SHEET]})
    assert load(folder, until="orders")["orders"].accepted == 3


@pytest.mark.parametrize(
    "sheets",
    [
        {"Sheet1": [HEADER, *SHEET]},
        {"说明": [["read me"]], "订单": [HEADER, *SHEET]},
        {"Orders": [["2026 export"], [None], HEADER, *SHEET, [None, None], [""]]},
        {"Empty": [], "Orders": [HEADER, *SHEET]},
    ],
)
def test_a_spreadsheet(folder, lake, load, sheets):
    (folder / "orders.csv").unlink()
    write_xlsx(folder / "orders.xlsx", sheets)
    report = load(folder, until="orders")["orders"]
    assert (report.received, report.accepted) == (3, 3)
    rows = lake.read("orders").sort("order_id")
    assert rows["order_id"].to_list() == ["o1", "o2", "o3"]
    assert rows["placed_at"].to_list() == TIMES
    assert any("not read" in note for note in report.notes) == (len(sheets) > 1)


def test_cells_of_a_spreadsheet(folder, lake, load):
    ids = [1001, 1002.0, "0003", 123456789012345678, "1.5E+17"]
    rows = [[number, *SHEET[0][1:6], 12, 0.5 if number == "0003" else 7.0] for number in ids]
    (folder / "orders.csv").unlink()
    write_xlsx(folder / "orders.xlsx", {"a": [HEADER, *rows, ["合计", *[None] * 5, 60, 28]]})
    add_lines(folder, "1001", "1002")
    report = load(folder, until="orders")["orders"]
    assert lake.read("orders").sort("order_id")["order_id"].to_list() == ["1001", "1002"]
    lost = "the id went through a float and lost digits; export the column as text"
    yuan = "amounts look like yuan: set money: major in muyun.yaml"
    assert report.reasons == {lost: 2, yuan: 1, "a total row, not a row of orders": 1}
    assert read_quarantine(lake, "orders").sort("line")["line"].to_list() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("sheets", "message"),
    [
        ({"a": [HEADER, *SHEET], "b": [HEADER, *SHEET]}, "several sheets with the columns .*: 'a', 'b'"),
        ({"a": [["x", "y"], [1, 2]], "b": [["z", "w"], [1, 2]]}, "no sheet with its columns: 'a', 'b'"),
        ({"a": [["x", "y"], [1, 2]]}, "has no column of the table 'orders'. Its columns: x, y"),
        ({"a": [[*HEADER, "status"], *SHEET]}, r"orders.xlsx\[a\]: the header names 'status' more than once"),
    ],
)  # fmt: skip
def test_sheets_that_cannot_be_told_apart(folder, sheets, message):
    (folder / "orders.csv").unlink()
    write_xlsx(folder / "orders.xlsx", sheets)
    with pytest.raises(SourceError, match=message):
        list(Files(folder).read("orders"))


def test_a_hidden_sheet_does_not_compete(folder, lake, load):
    (folder / "orders.csv").unlink()
    write_xlsx(folder / "orders.xlsx", {"a": [HEADER, *SHEET], "old": [HEADER, *SHEET]}, hidden=("old",))
    assert load(folder, until="orders")["orders"].accepted == 3
