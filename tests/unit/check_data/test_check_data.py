"""check-data on folders as users have them: what it understood, refuses, misses, writes and answers."""

import csv
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import cli
from pipelines.check_data.check import Check, check
from pipelines.check_data.screen import as_json, as_text
from pipelines.limits.document import QuarantineLimits
from pipelines.messages import Texts
from pipelines.sources.contract import SourceError
from pipelines.sources.files import Files
from pipelines.sources.mapping.document import SUGGESTED_NAME

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)

LINES = """Invoice No,StockCode,Description,Quantity,Invoice Date,Unit Price,Customer ID,Country
1001,A1,RED LANTERN,6,2026-10-01 08:26:00,2.55,41001,United Kingdom
1001,B2,,1,2026-10-01 08:26:00,0.85,41001,United Kingdom
1002,A1,RED LANTERN,2,2026-10-02 09:02:00,2.95,,France
C1003,A1,RED LANTERN,-1,2026-10-03 09:02:00,2.55,41001,United Kingdom
"""
CHINESE = """导出时间：2026-11-10
订单编号,下单时间,买家会员名,商品编码,商品名称,数量,单价(元),实付金额(元),订单状态,渠道
000123,2026/11/1 9:05,张三,A01,苹果,2.5,10.00,25.00,已完成,小程序
000124,2026/11/2 19:05,,A02,面包,1,8.00,8.00,待付款,门店
000125,2026/11/3 19:05,李四,A02,面包,1,8.00,8.00,交易成功,抖音
"""


def _check(folder: Path, share: float = 0.05) -> Check:
    return check(
        folder,
        as_of=NOW,
        default_zone="Asia/Shanghai",
        default_currency="CNY",
        limits=QuarantineLimits(least_rows=1, always_above=0.5, tables={}),
        refused_share=share,
        texts=Texts("en"),
    )


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "export.csv").write_text(LINES)
    return folder


def _accepted(found: Check) -> dict[str, int]:
    return {report.table: report.accepted for report in found.trial.reports}


def test_an_unknown_export_loads_by_what_is_guessed(export: Path) -> None:
    found = _check(export)
    assert found.works, found.blockers
    assert found.feeds == {"export.csv": ("products", "orders", "order_lines")}
    accepted = _accepted(found)
    assert (accepted["orders"], accepted["order_lines"], accepted["products"]) == (3, 4, 2)
    assert found.written == export / "muyun.yaml"
    # And the folder now loads as it is, without the check.
    assert "net_paid_cents" in (export / "muyun.yaml").read_text()
    assert Files(export, not_after=NOW).tables()[:2] == ("categories", "products")
    assert _check(export).works


def test_a_chinese_export_in_gbk_with_a_line_above_the_header(tmp_path: Path) -> None:
    (tmp_path / "订单导出.csv").write_bytes(CHINESE.encode("gbk"))
    found = _check(tmp_path)
    assert found.works, found.blockers
    assert found.currency == "CNY"
    look = found.looks[0].found
    assert look is not None
    assert (look.header_line, look.delimiter) == (2, ",")
    assert _accepted(found)["order_lines"] == 3
    assert "小程序: mini_program" in (tmp_path / "muyun.yaml").read_text(encoding="utf-8")


def test_a_document_is_never_overwritten(export: Path) -> None:
    (export / "muyun.yaml").write_text("currency: GBP\n")
    found = _check(export)
    assert (export / "muyun.yaml").read_text() == "currency: GBP\n"
    assert found.written == export / SUGGESTED_NAME
    assert not found.works  # it says nothing of export.csv


def test_a_mistake_in_the_document_is_the_answer(export: Path) -> None:
    (export / "muyun.yaml").write_text("mony: major\n")
    found = _check(export)
    assert not found.works
    assert "line 1, mony: unknown key; did you mean 'money'?" in as_text(found, Texts("en"))


def test_refused_rows_are_shown_with_file_line_value_and_reason(export: Path) -> None:
    (export / "export.csv").write_text(LINES + "1004,A1,RED LANTERN,two,soon,2.55,41001,X\n" * 2)
    found = _check(export)
    text = as_text(found, Texts("en"))
    assert not found.works
    assert "export.csv line 6, placed_at = 'soon'" in text
    assert "25.0% of orders were refused: 1 of 4 rows (admitted: 5.0%)" in text
    content = json.loads(as_json(found))
    orders = next(table for table in content["tables"] if table["table"] == "orders")
    assert orders["first_refused"][0]["line"] == 6
    assert content["works"] is False


def test_a_few_refused_rows_do_not_stop_a_run(export: Path) -> None:
    (export / "export.csv").write_text(LINES + "1004,A1,RED LANTERN,two,2026-10-04,2.55,41001,X\n")
    assert not _check(export).works
    assert _check(export, share=0.5).works


def test_missing_tables_are_named_with_what_they_cost(export: Path) -> None:
    costs = {cost.table: cost for cost in _check(export).costs}
    assert "reorder_suggestions" in costs["offers"].publications
    assert "sessions_7d" in costs["events"].tags
    assert costs["consumers"].publications == ("wakeup_list",)
    assert "orders" not in costs


def test_lock_files_and_files_of_other_kinds_are_named(export: Path) -> None:
    (export / "photo.png").write_bytes(b"x")
    (export / ".~lock.export.csv#").write_text("x")
    problems = {look.name: look.problem for look in _check(export).looks}
    assert problems["photo.png"] == "no kind of file that can be read"
    assert "lock" in str(problems[".~lock.export.csv#"])


def test_own_files_of_orders_and_products_are_not_made_from_lines(export: Path) -> None:
    with (export / "orders-2026.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("order number", "order date", "customer"),
                ("1001", "2026-10-01 08:00", "41001"),
                ("1002", "2026-10-02 08:00", ""),
                ("C1003", "2026-10-03 08:00", "41001"),
            ]
        )
    found = _check(export)
    assert found.feeds["orders-2026.csv"] == ("orders",)
    assert found.feeds["export.csv"] == ("products", "order_lines")
    assert found.works, found.blockers


def test_the_check_speaks_chinese(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MUYUN_AS_OF", NOW.isoformat())
    monkeypatch.setenv("MUYUN_LANG", "zh")
    assert cli.main(["check-data", str(export)]) == 0
    out = capsys.readouterr().out
    assert "可以运行：make run DATA=" in out
    assert "order_lines.net_paid_cents 取自 export.csv 的 Quantity x Unit Price" in out
    assert "suppliers: 没有供应商评分卡" in out


def test_a_line_without_quantity_is_one_unit(export: Path) -> None:
    rows = [line.split(",") for line in LINES.strip().splitlines()]
    (export / "export.csv").write_text("\n".join(",".join(row[:3] + row[4:]) for row in rows[:-1]))
    found = _check(export)
    assert found.works, found.blockers
    assert "qty: '1'" in (export / "muyun.yaml").read_text()


def test_a_folder_that_cannot_be_written_is_still_checked(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def refuse(path: Path, text: str, encoding: str | None = None) -> int:
        if path.parent == export:
            raise PermissionError(13, "Permission denied")
        return write(path, text, encoding=encoding)

    monkeypatch.setattr(Path, "write_text", refuse)
    found = _check(export)
    assert found.written is None
    assert found.works


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        _check(tmp_path / "no")


def test_the_command_answers_by_its_exit_status(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MUYUN_AS_OF", NOW.isoformat())
    assert cli.main(["check-data", str(export)]) == 0
    assert "a run would work: make run DATA=" in capsys.readouterr().out
    assert cli.main(["check-data", str(export), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["works"] is True
    monkeypatch.setenv("MUYUN_DATA", str(export))
    (export / "muyun.yaml").write_text("orders: {file: other.csv}\n")
    assert cli.main(["check-data"]) == 1
    assert not (tmp_path / "home").exists()


def test_no_graph_is_imported() -> None:
    code = (
        "import sys, pipelines.check_data.command; print([m for m in ('dagster', 'dbt') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
