"""The barcode of a product at the door: a right check digit, else the row is refused with its reason."""

from collections.abc import Callable
from pathlib import Path

import pytest
from feed_folder import PRODUCTS, write_csv

from models.supply.matching.titles import gtins_in
from pipelines.lake.tables import Lake
from pipelines.sources.refused.quarantine import read_quarantine
from pipelines.sources.refused.remedies import remedy
from pipelines.sources.report import IngestReport

Load = Callable[..., dict[str, IngestReport]]


def give(folder: Path, code: str) -> None:
    rows = [{**row, "gtin": ""} for row in PRODUCTS]
    write_csv(folder / "products.csv", [*rows, {**rows[0], "sku_id": "coded", "gtin": code}])


@pytest.mark.parametrize("code", ["4006381333931", "96385074", "036000291452", "00012345600012"])
def test_a_barcode_with_its_check_digit_is_kept_as_it_stands(
    folder: Path, lake: Lake, load: Load, code: str
) -> None:
    assert gtins_in(code)  # matching reads the same codes
    give(folder, code)
    load(folder)
    kept = dict(lake.read("products", ["sku_id", "gtin"]).iter_rows())
    assert kept == {"a": None, "b": None, "coded": code}


@pytest.mark.parametrize(
    "code",
    [
        "4006381333932",  # another check digit
        "4006381339331",  # two digits changed places
        "400638133393",  # a digit is missing: of 12 the check digit is another
        "12345670123",  # eleven digits
        "4.00638E+12",  # as a spreadsheet shows it
        "４００６３８１３３３９３１",
        "0000000000000",
        "own-code-1",
    ],
)
def test_what_is_no_barcode_is_refused_with_its_column_and_a_remedy(
    folder: Path, lake: Lake, load: Load, code: str
) -> None:
    give(folder, code)
    load(folder)
    assert lake.read("products")["sku_id"].to_list() == ["a", "b"]
    (row,) = read_quarantine(lake, "products").iter_rows(named=True)
    assert (row["column"], row["line"]) == ("gtin", 4)
    assert row["reason"].startswith("no barcode: 8, 12, 13 or 14 digits")
    assert remedy("products", row["column"], row["reason"]) == "leave own codes out"
