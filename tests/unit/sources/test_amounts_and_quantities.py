"""Amounts and quantities as people write them: the right integer comes out, or the reason."""

import pytest
from fault_rows import lines_with, refused, write
from feed_folder import LINES

from pipelines.sources.refused.quarantine import read_quarantine

YUAN = "amounts look like yuan: set money: major in muyun.yaml"


MINOR = {
    "1234": 1234, "１２３４": 1234, "1234\u00a0": 1234, " 1234 ": 1234, "+5": 5, "12.0": 12, "5分": 5,
    "1,234": 1234,
    "1,234,567": 1234567, "12 fen": 12, "12,34,567": 1234567,
}  # fmt: skip


def test_amounts_in_fen(folder, lake, loaded):
    write(folder, "order_lines", lines_with("list_price_cents", *MINOR))
    assert loaded().reasons == {}
    assert lake.read("order_lines").sort("line_no")["list_price_cents"].to_list() == list(MINOR.values())


@pytest.mark.parametrize(
    "text", ["12.34", "￥12.00", "¥12", "12元", "CNY 5.10", "$5", "0.5", "1.234,50", "12,34"]
)
def test_yuan_in_a_column_of_fen_are_refused_with_the_remedy(folder, lake, loaded, text):
    write(folder, "order_lines", [*LINES, *lines_with("list_price_cents", "7", text)[1:]])
    assert loaded().reasons == {YUAN: 1}
    assert refused(lake, "order_lines") == [(text, YUAN)]


def test_amounts_with_two_decimals_are_fen_only_where_no_other_is_yuan(folder, lake, loaded):
    write(folder, "order_lines", lines_with("list_price_cents", "1,234.00", "500.00", "7"))
    assert loaded().reasons == {}
    assert lake.read("order_lines").sort("line_no")["list_price_cents"].to_list() == [1234, 500, 7]
    write(folder, "order_lines", lines_with("list_price_cents", "1,234.00", "500.00", "7", "0.99"))
    assert loaded().reasons == {YUAN: 3}
    assert lake.read("order_lines")["list_price_cents"].to_list() == [7]


def test_a_column_full_of_decimals_is_yuan_throughout(folder, lake, loaded):
    write(folder, "order_lines", lines_with("list_price_cents", "12.5", "8.25", "5", "0.99", "12"))
    assert loaded().reasons == {YUAN: 5}


MAJOR = {
    "1,234.00": 123400, "￥12.00": 1200, "12.34": 1234, "１２．３４": 1234,
    "1.234,56": 123456, "1 234,50": 123450,
    "1'234.50": 123450, "12,34": 1234, "5.10元整": 510, "CNY 5.1": 510, "5": 500, "0.30000000000000004": 30,
    "12.299999999999999": 1230, ".5": 50, "￥1,234,567.89": 123456789, "1.234.567,89": 123456789,
}  # fmt: skip


def test_amounts_in_yuan(folder, lake, loaded):
    (folder / "muyun.yaml").write_text("money: major\n")
    write(folder, "order_lines", lines_with("list_price_cents", *MAJOR))
    assert loaded().reasons == {}
    assert lake.read("order_lines").sort("line_no")["list_price_cents"].to_list() == list(MAJOR.values())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12.345", "more than 2 decimals in an amount of money"), ("5分", "not an amount of money"),
        ("1e3", "not an amount of money"), ("0x10", "not an amount of money"),
        ("1_000", "not an amount of money"), ("--5", "not an amount of money"),
        ("12,34,56", "not an amount of money"), ("1.2.3", "not an amount of money"), ("-", "missing value"),
        ("NULL", "missing value"), ("nan", "missing value"), ("#N/A", "missing value"),
    ],
)  # fmt: skip
def test_what_is_no_amount(folder, lake, loaded, text, reason):
    (folder / "muyun.yaml").write_text("money: major\n")
    write(folder, "order_lines", lines_with("list_price_cents", "12.00", text))
    assert loaded().reasons == {reason: 1}


@pytest.mark.parametrize("money", ["minor", "major"])
@pytest.mark.parametrize(
    "text",
    ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "92233720368547758",
     "10000000000001",
     "99999999999999999999999999999999999999999"],
)  # fmt: skip
def test_amounts_near_the_end_of_what_fits_neither_wrap_nor_pass(folder, lake, loaded, text, money):
    (folder / "muyun.yaml").write_text(f"money: {money}\n")
    write(folder, "order_lines", lines_with("list_price_cents", "7", text))
    report = loaded()
    assert (report.accepted, report.quarantined) == (1, 1)
    assert text in read_quarantine(lake, "order_lines")["row_json"][0]


QUANTITIES = {
    "１": 1000, "1.5": 1500, "0.250": 250, "1,000": 1_000_000, "2 件": 2000, "1.000": 1000,
    "0.30000000000000004": 300, "2.4499999999999997": 2450, "9": 9000,
}  # fmt: skip


def test_quantities_with_decimals_and_units(folder, lake, loaded):
    write(folder, "order_lines", lines_with("qty", *QUANTITIES))
    assert loaded().reasons == {}
    assert lake.read("order_lines").sort("line_no")["qty_milli"].to_list() == list(QUANTITIES.values())


def test_quantities_that_cannot_be_told(folder, lake, loaded):
    texts = ["1.2345", "1e3", "500ml*2", "half", "-"]
    write(folder, "order_lines", lines_with("qty", "1", *texts))
    assert loaded().accepted == 1
    assert [reason for _, reason in refused(lake, "order_lines")] == [
        "more than 3 decimals in a quantity", "not a quantity", "not a quantity", "not a quantity",
        "missing value",
    ]  # fmt: skip


def test_units_that_differ_are_not_added_up(folder, lake, loaded):
    write(folder, "order_lines", lines_with("qty", "1.5kg", "500g", "2 公斤"))
    reason = "units differ in one column (g, kg, 公斤): convert all to the unit of sale"
    assert loaded().reasons == {reason: 3}
    write(folder, "order_lines", lines_with("qty", "1.5kg", "2 kg", "3"))
    assert loaded().accepted == 3
