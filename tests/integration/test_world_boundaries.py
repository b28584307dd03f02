"""The boundaries at features and scores stop bad data, in the jobs that run by themselves."""

import polars as pl
import pytest
from graph_jobs import run_job

from serving.scores import loader

pytestmark = pytest.mark.xdist_group("world")


@pytest.fixture(scope="module")
def good(branch):
    """A first good publication in the database of the branch."""
    import os

    patch = pytest.MonkeyPatch()
    patch.setenv("MUYUN_AS_OF", os.environ["MUYUN_AS_OF"].replace("T12", "T13"))
    found = run_job("prices_publish")
    patch.undo()
    assert found["success"], found
    return loader.current(branch["database"])


def spoil(monkeypatch, name, change):
    """Let a function of ours return something worse than it would."""
    import importlib

    module, function = name.rsplit(".", 1)
    whole = getattr(importlib.import_module(module), function)
    monkeypatch.setattr(name, lambda *args, **kwargs: change(whole(*args, **kwargs)))


def null_in_every_second_row(column):
    return pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col(column)).alias(column)


def test_a_feature_with_half_its_values_null_never_becomes_a_profile(branch, good, at_hour, monkeypatch):
    """Neither in the run that made it, nor in a later job that finds it in the lake."""
    before = loader.current(branch["database"])
    at_hour(2)
    with monkeypatch.context() as patch:
        spoil(
            patch,
            "feature_store.offline.build_tags",
            lambda tags: tags.with_columns(null_in_every_second_row("orders_90d")),
        )
        found = run_job("profiles_publish")
    assert not found["success"]
    assert found["held"] == ["features/consumer_tags:features_are_whole"]
    assert "published/profiles" not in found["made"]

    tags = pl.read_parquet(branch["home"] / "lake/derived/features/consumer_tags.parquet")
    assert tags["orders_90d"].null_count() == tags.height // 2
    at_hour(3)
    later = run_job("models_retrain_weekly")
    assert not later["success"]
    assert "features/consumer_tags" in later["failed"]["published__profiles"]
    assert loader.current(branch["database"]) == before

    at_hour(4)
    healed = run_job("profiles_publish")
    assert healed["success"], healed
    assert loader.current(branch["database"]).as_of.hour == 16


def test_a_price_below_its_floor_never_reaches_readers(branch, good, at_hour, monkeypatch):
    """Neither in the run that made it, nor in a later job that finds it among the scores."""
    before = loader.current(branch["database"])
    versions = sorted(path.name for path in (branch["home"] / "lake" / "published").iterdir())
    at_hour(5)
    with monkeypatch.context() as patch:
        spoil(
            patch,
            "pipelines.scoring.prices.price",
            lambda prices: prices.with_columns(
                price_cents=pl.when(pl.int_range(pl.len()) == 0)
                .then(pl.col("floor_cents") - 1)
                .otherwise(pl.col("price_cents"))
            ),
        )
        found = run_job("prices_publish")
    assert not found["success"]
    assert found["held"] == ["published/prices:scores_are_safe_to_serve"]
    assert "published/publication" not in found["made"]

    at_hour(6)
    later = run_job("profiles_publish")
    assert "published/prices" in later["failed"]["published__publication"]
    assert loader.current(branch["database"]) == before
    assert sorted(path.name for path in (branch["home"] / "lake" / "published").iterdir()) == versions

    at_hour(7)
    healed = run_job("prices_publish")
    assert healed["success"], healed
    assert loader.current(branch["database"]).as_of.hour == 19


def test_the_data_docs_show_the_judgements(branch, good, at_hour, monkeypatch):
    at_hour(8)
    with monkeypatch.context() as patch:
        spoil(
            patch, "pipelines.scoring.prices.price", lambda prices: prices.with_columns(price_cents=pl.lit(0))
        )
        assert not run_job("prices_publish")["success"]
    site = branch["home"] / "quality" / "gx" / "uncommitted" / "data_docs" / "local_site"
    index = (site / "index.html").read_text()
    assert "published_prices" in index
    pages = [path.read_text() for path in (site / "validations" / "published_prices").rglob("*.html")]
    assert any("Failed" in page for page in pages)
    assert any("Succeeded" in page for page in pages)
