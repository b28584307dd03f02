"""`muyun connectors` and `muyun check-data` on a folder with connectors."""

import datetime as dt
from pathlib import Path

import pytest

import pipelines.sources.connectors as package
from pipelines.cli import main
from pipelines.sources.files import Files
from pipelines.sources.files.landed import landed_beside
from tests.feed_server import ENVIRONMENT, FeedShop, answers, feed_server

REFERENCES = Path(package.__file__).parent / "reference"


@pytest.fixture
def shop():
    stocked = FeedShop()
    stocked.stock_up(4)
    return stocked


@pytest.fixture
def folder(shop, tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "muyun.yaml").write_text("time_zone: Etc/UTC\nconnectors: market.yaml\n")
    (data / "orders.csv").write_text("order_id,placed_at,merchant_id\no1,2026-11-20T00:00:00Z,m1\n")
    (data / "order_lines.csv").write_text("order_id,line_no,sku_id,qty,net_paid_cents\no1,1,00001,1,900\n")
    for name, value in {**ENVIRONMENT, "MUYUN_HOME": str(tmp_path / "home"), "MUYUN_DATA": str(data)}.items():
        monkeypatch.setenv(name, value)
    with feed_server(shop) as url:
        text = (REFERENCES / "marketplace.yaml").read_text()
        (data / "market.yaml").write_text(text.replace("https://marketplace.example.com", url))
        yield data


def test_try_asks_for_one_page_and_keeps_nothing(folder, shop, tmp_path, capsys):
    shop.offers[0]["price"] = -1
    assert main(["connectors", "try"]) == 1
    told = capsys.readouterr().out
    assert (
        "marketplace/catalogue -> products: 3 of 3 rows of the first page are admitted, more pages follow"
        in told
    )
    assert "marketplace/offers -> offers: 2 of 3 rows" in told
    assert "1 x negative" in told
    assert len(shop.asked) == 3
    assert not (tmp_path / "home" / "feeds").exists()


def test_pull_lands_list_shows_and_check_data_reads_it(folder, shop, capsys):
    assert main(["check-data"]) == 1  # no product has come yet
    assert "products" in capsys.readouterr().out
    assert main(["connectors", "pull"]) == 0
    assert "marketplace/scans: landed, 8 rows" in capsys.readouterr().out
    assert main(["connectors"]) == 0
    assert "marketplace/offers -> offers: 1 files" in capsys.readouterr().out
    assert main(["check-data"]) == 0
    assert "market.yaml" not in capsys.readouterr().out  # a declaration is no stray file
    shop.faults["/api/v1/items"] = [answers(404)]
    assert main(["connectors", "pull", "marketplace"]) == 1
    assert "marketplace/catalogue: failed" in capsys.readouterr().out


def test_references_are_printed_and_unknown_names_are_errors(folder, capsys):
    assert main(["connectors", "reference", "brand"]) == 0
    assert "connector: brand" in capsys.readouterr().out
    assert main(["connectors", "reference", "bland"]) == 1
    assert "did you mean 'brand'" in capsys.readouterr().err
    assert main(["connectors", "pull", "market"]) == 1
    assert "did you mean 'marketplace'" in capsys.readouterr().err


def test_the_fingerprint_follows_what_is_landed_and_what_is_declared(folder, shop, tmp_path):
    def fingerprint():
        landed = landed_beside(folder, tmp_path / "home" / "feeds")
        return Files(folder, not_after=dt.datetime.now(dt.UTC), landed=landed).fingerprint()

    before = fingerprint()
    assert main(["connectors", "pull"]) == 0
    landed = fingerprint()
    text = (folder / "market.yaml").read_text()
    (folder / "market.yaml").write_text(text.replace("stock_qty: stock", "capacity_per_day: stock"))
    assert len({before, landed, fingerprint()}) == 3
