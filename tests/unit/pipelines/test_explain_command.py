"""`muyun explain`: what the command line takes, and what an explanation looks like to a person."""

import json
from datetime import UTC, datetime

import pytest

from feature_store.contracts import RefreshClass, TagStatus
from feature_store.explain.definition import definition_of
from feature_store.explain.explained import Computed
from feature_store.explain.rows import CountedRows
from feature_store.registry import entities, load_registry
from pipelines.cli import main
from pipelines.explain.explanation import ExplainedTag, Explanation
from pipelines.explain.predictions import predictions
from pipelines.explain.served import Served, ServedTag
from pipelines.explain.text import as_json, as_text
from pipelines.messages import Texts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REGISTRY = load_registry()


@pytest.mark.parametrize("entity", entities())
def test_every_entity_with_tags_can_be_explained(entity, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["explain", entity, "x", "--help"])
    assert ended.value.code == 0
    assert entity in capsys.readouterr().out


def test_what_has_no_tags_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["explain", "warehouse", "x"])
    assert ended.value.code == 2
    assert "supplier" in capsys.readouterr().err


def explanation(status, value, computed, agrees=None, consents=None):
    tag = REGISTRY.tag("orders_30d")
    served = Served(
        "v1",
        7,
        dict.fromkeys(RefreshClass, NOW),
        live=frozenset({RefreshClass.QUARTER_HOUR}),
        tags={tag.name: ServedTag(status, value)},
        consents=consents or {},
    )
    one = ExplainedTag(
        tag, definition_of(REGISTRY, tag), status, value, NOW, "live store", computed, agrees, {}
    )
    return Explanation("consumer", "c-1", served, None, (one,))


def test_rows_left_out_and_a_value_that_differs_are_told():
    row = (NOW.replace(tzinfo=None), NOW.replace(tzinfo=None), "o-1")
    part = CountedRows(
        ("orders_30d",), "orders", "rows", "t.orders", ("event_at", "known_at", "order_id"), (row,), 3
    )
    told = as_text(
        explanation(TagStatus.PRESENT, 4, Computed(True, 3, True, {}, (part,)), agrees=False), Texts("en")
    )
    assert "version v1, revision 7" in told
    assert "orders_30d = 4" in told
    assert "DIFFERS" in told
    assert "the rows give 3" in told
    assert "and 2 older ones" in told
    assert "received_at" in told


def test_what_is_withheld_has_neither_value_nor_rows():
    withheld = explanation(TagStatus.WITHHELD, None, None, consents={"profiling": False})
    told = as_text(withheld, Texts("en"))
    assert "orders_30d = -" in told
    assert "consent withdrawn for: profiling" in told
    assert "not shown" in told
    assert '"rows"' not in as_json(withheld)


def test_what_a_model_said_is_told_with_its_version_and_without_rows():
    served = Served(
        "v1",
        0,
        dict.fromkeys(RefreshClass, NOW),
        tags={
            "rebuy_category_14d": ServedTag(TagStatus.PRESENT, "l3-tea"),
            "rebuy_probability_14d_by": ServedTag(TagStatus.PRESENT, "lifecycle_rebuy 3"),
            "churn_probability_28d": ServedTag(TagStatus.WITHHELD, None),
            "churn_probability_28d_by": ServedTag(TagStatus.WITHHELD, None),
        },
    )
    told = as_text(Explanation("consumer", "c-1", served, None, (), predictions(served)), Texts("en"))
    assert "rebuy_category_14d = l3-tea  (present)" in told
    assert "said by     lifecycle_rebuy 3" in told
    assert "churn_probability_28d = -  (withheld" in told
    assert "lifecycle_churn" not in told
    assert [one.tag.name for one in predictions(served, "churn_probability_28d")] == ["churn_probability_28d"]
    document = json.loads(as_json(Explanation("consumer", "c-1", served, None, (), predictions(served))))
    assert document["predictions"]["rebuy_category_14d"]["said_by"] == "lifecycle_rebuy 3"
