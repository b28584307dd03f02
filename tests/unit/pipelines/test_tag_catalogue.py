"""The catalogue: every tag is on the page, and nothing on it can be traced to a person."""

import html
import re

import polars as pl
import pytest
from report_home import make_home, settings_of

from feature_store.predicted import PREDICTED, SCHEMA
from feature_store.registry import entities, load_registry
from pipelines.lake.tables import Lake
from pipelines.report.catalogue import write_catalogue
from pipelines.report.catalogue.entries import predicted_entries
from pipelines.report.catalogue.values import Values, in_words, values_of
from pipelines.scoring.predicted import TABLE

TAGS = load_registry().tags
SPEND, CITY, BABY, STAGE = (
    TAGS[name] for name in ("net_spend_365d", "stated_city", "mother_baby_spend_365d", "lifecycle_stage")
)


def test_numbers_have_quantiles_without_the_extremes_and_the_median_as_example():
    found = values_of(SPEND, pl.Series([*range(0, 100), 77_777, None]), are_people=True)
    assert (found.entities, found.filled) == (102, 101)
    assert found.quantiles == (5.0, 25.0, 50.0, 75.0, 95.0)
    assert found.example == "50"
    assert in_words(found) == "5 | 25 | 50 | 75 | 95"
    assert found.null_share == pytest.approx(1 / 102)


def test_few_people_are_not_described():
    assert values_of(SPEND, pl.Series(range(19)), are_people=True) == Values(19, 19, hidden="too few values")
    assert values_of(SPEND, pl.Series(range(20)), are_people=True).quantiles
    assert values_of(SPEND, pl.Series([7]), are_people=False).quantiles == (7.0,) * 5


def test_a_value_of_few_people_is_not_named():
    cities = pl.Series(["big"] * 30 + ["ten"] * 10 + ["nine"] * 9 + [None])
    found = values_of(CITY, cities, are_people=True)
    assert found.shares == (("big", 30 / 49), ("ten", 10 / 49))
    assert found.example is None, "a personal tag has no example"
    assert values_of(CITY, pl.Series(["one"]), are_people=True).hidden


def test_a_sensitive_tag_tells_only_how_many_have_it():
    found = values_of(BABY, pl.Series([100] * 50), are_people=True)
    assert (found.filled, found.quantiles, found.example) == (50, (), None)
    assert "sensitive" in in_words(found)


def test_words_have_their_commonest_value_as_example():
    found = values_of(STAGE, pl.Series(["new"] * 10 + ["active"] * 20), are_people=True)
    assert found.example == "active"
    assert in_words(found) == "active 67%, new 33%"
    assert values_of(STAGE, None, are_people=True).hidden == "not computed yet"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_tag_of_every_entity_is_on_the_page(tmp_path, lang):
    settings = make_home(tmp_path / "var").model_copy(update={"lang": lang})
    page = write_catalogue(settings).read_text()
    shown = re.findall(r'<details id="([^"]+)"', page)
    assert shown == list(dict.fromkeys(shown))
    registered = {f"{e}.{name}" for e in entities() for name in load_registry(entity=e).tags}
    assert set(shown) == registered | {f"consumer.{one.name}" for one in PREDICTED}
    assert "://" not in html.unescape(re.sub(r"<code>.*?</code>", "", page, flags=re.S)), "nothing is loaded"
    assert ("标签目录" in page) == (lang == "zh")


def test_an_empty_home_has_a_catalogue_without_values(tmp_path):
    page = write_catalogue(settings_of(tmp_path / "var")).read_text()
    assert page.count('data-status="not computed"') == page.count("<details ")


def test_what_models_say_is_described_like_any_tag(tmp_path):
    settings = settings_of(tmp_path / "var")
    said = {
        "consumer_id": [f"c-{n}" for n in range(30)],
        "churn_probability_28d": [n / 100 for n in range(30)],
    }
    table = pl.DataFrame(said, schema_overrides={"consumer_id": pl.String}).with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in SCHEMA.items() if name not in said
    )
    Lake(settings.lake_dir).put(TABLE, table.select(SCHEMA.names()))
    found = {one.tag.name: one for one in predicted_entries(settings)}
    churn, rebuy = found["churn_probability_28d"], found["rebuy_category_14d"]
    assert (churn.status, rebuy.status) == ("computed", "no_source")
    assert churn.values.quantiles[2] == pytest.approx(0.15, abs=0.01)
    assert rebuy.values.hidden == "no values"
    page = write_catalogue(settings).read_text()
    assert "said by the champion of lifecycle_churn" in page
