"""The registry refuses what does not fit, and says which tag and field."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from feature_store.errors import RegistryError
from feature_store.registry import Registry, load_registry

TAG = {
    "name": "orders_9d",
    "group": "rfm_value",
    "type": "int",
    "unit": "count",
    "window": "9d",
    "definition": {"source": "orders", "value": "COUNT(*)"},
    "owner": "features",
    "null_rule": "zero",
    "valid": {"min": 0},
    "refresh": "15m",
    "privacy": "behavioural",
    "consent": "service",
    "description": "Orders in the last 9 days.",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the packaged registry."""
    target = tmp_path / "consumer"
    shutil.copytree(str(files("feature_store").joinpath("tags", "consumer")), target)
    return target


def with_tag(folder: Path, **changes: Any) -> Path:
    """The folder with one more tag file."""
    (folder / "more.yaml").write_text(yaml.safe_dump({"tags": [TAG | changes]}), encoding="utf-8")
    return folder


def problems(folder: Path) -> str:
    with pytest.raises(RegistryError) as caught:
        load_registry(folder)
    assert caught.value.problems
    return "\n".join(caught.value.problems)


def test_the_packaged_registry_is_valid_and_large(registry: Registry) -> None:
    observed = [tag for tag in registry.tags.values() if registry.origin(tag) == "observed"]
    assert len(observed) >= 60
    assert len({tag.group for tag in registry.tags.values()}) >= 8


def test_a_tag_is_added_by_yaml_alone(folder: Path) -> None:
    assert load_registry(with_tag(folder)).tag("orders_9d").window == "9d"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "money"}, "more.yaml: orders_9d.type"),
        ({"window": "9 days"}, "more.yaml: orders_9d.window"),
        ({"refresh": "5m"}, "more.yaml: orders_9d.refresh"),
        ({"group": "misc"}, "more.yaml: orders_9d.group"),
        ({"description": ""}, "more.yaml: orders_9d.description"),
        ({"name": "Orders 9d"}, "more.yaml: Orders 9d.name"),
        ({"surprise": 1}, "more.yaml: orders_9d.surprise"),
        ({"null_rule": "false"}, "null_rule 'false' does not fit type 'int'"),
        ({"valid": {}}, "valid.min or valid.max must be given"),
        ({"valid": {"min": 2, "max": 1}}, "min is above max"),
        ({"valid": {"min": 0, "values": ["a"]}}, "valid.values or valid.pattern"),
        ({"name": "orders_7d"}, "tag orders_7d.name: defined 2 times"),
        ({"name": "as_of"}, "tag as_of.name: the name is taken"),
        (
            {"definition": {"source": "carts", "value": "COUNT(*)"}},
            "tag orders_9d.definition.source: unknown source 'carts'",
        ),
        (
            {"definition": {"source": "orders", "value": "SUM(weight)"}},
            "tag orders_9d.definition.value: unknown column 'weight'",
        ),
        (
            {"definition": {"source": "orders", "value": "COUNT(*)", "where": "is_gift"}},
            "tag orders_9d.definition.where: unknown column 'is_gift'",
        ),
        (
            {"definition": {"source": "orders", "value": "COUNT(*) + :bonus"}},
            "tag orders_9d.definition.value: unknown parameter 'bonus'",
        ),
        ({"definition": {"derived": "orders_8d + 1"}}, "definition.derived: unknown column 'orders_8d'"),
        ({"definition": {"derived": "orders_9d + 1"}}, "tag orders_9d.definition: derived from itself"),
        ({"definition": {"source": "orders", "value": "SUM("}}, "not a SQL expression"),
        ({"definition": {"source": "orders", "value": "net_paid_cents"}}, "must be an aggregate"),
        (
            {"definition": {"source": "orders", "value": "SUM(net_paid_cents) + net_paid_cents"}},
            "column(s) ['net_paid_cents'] are read outside an aggregate",
        ),
        ({"definition": {"source": "orders", "value": "COUNT(*), 1"}}, "not a SQL expression"),
        (
            {"definition": {"source": "orders", "value": "(SELECT COUNT(*) FROM core.fct_orders)"}},
            "a sub-query or table has no place here",
        ),
        (
            {"definition": {"source": "orders", "value": "MAX(shout(status))"}},
            "unknown function(s) ['shout']",
        ),
        (
            {"definition": {"source": "orders", "value": "ratio(COUNT(*))"}},
            "ratio takes 2 argument(s), got 1",
        ),
        ({"definition": {"derived": "SUM(orders_7d)"}}, "must be an expression of one row"),
        ({"definition": {"population": "SUM(orders_7d)"}}, "an aggregate needs an OVER clause"),
        ({"definition": {"source": "orders"}}, "source and value belong together"),
        (
            {"definition": {"source": "orders", "value": "COUNT(*)", "derived": "1"}},
            "exactly one of source, derived, population",
        ),
        (
            {"definition": {"source": "line_brands", "value": "COUNT(*)"}},
            "tag orders_9d.window: '9d' is not a window of rollup 'line_brands' (365d)",
        ),
    ],
)
def test_bad_tags_are_refused(folder: Path, changes: dict[str, Any], expected: str) -> None:
    assert expected in problems(with_tag(folder, **changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"definition": {"source": "orders", "value": "MIN(age_us)"}},
            "more.yaml: tag orders_9d.definition.value: no rule says when 'MIN(age_us)",
        ),
        (
            {"definition": {"source": "orders", "value": "COUNT(*)", "where": "local_hour(as_of) > 6"}},
            "tag orders_9d.definition.value: no rule says when 'as_of' changes; write it as a window",
        ),
        (
            {"window": "as_of", "definition": {"derived": "LENGTH(CAST(as_of AS VARCHAR))"}},
            "more.yaml: tag orders_9d.definition.derived: no rule says when 'CAST(as_of AS TEXT)' changes",
        ),
        (
            {"definition": {"derived": "personal_dormancy_threshold + 1"}},
            "more.yaml: tag orders_9d.refresh: reads 'personal_dormancy_threshold', which is",
        ),
        (
            {"definition": {"population": "NTILE(9) OVER (ORDER BY orders_7d)"}},
            "tag orders_9d.refresh: compares entities, which is done once a day: must be '1d'",
        ),
    ],
)
def test_tags_that_nobody_could_refresh_in_time_are_refused(
    folder: Path, changes: dict[str, Any], expected: str
) -> None:
    assert expected in problems(with_tag(folder, **changes))


@pytest.mark.parametrize(
    ("rollup", "expected"),
    [
        ({"where": "age_us % 7 = 0"}, "sources.yaml: rollup more.where: no rule says when"),
        (
            {"compute": {"x": "SQRT(age_us)"}},
            "rollup more.compute.x: no rule says when 'age_us'",
        ),
        (
            {"group_by": ["age_us"], "measures": {"n": {"value": "COUNT(*)"}}},
            "rollup more.group_by: 'age_us' moves with the clock all the time",
        ),
        (
            {"measures": {"days": {"value": "whole_days(MIN(age_us))"}}},
            "rollup more.measures.days: reads the clock after grouping; keep MIN(age_us)",
        ),
        (
            {"layers": [{"columns": {"x": "SQRT(age_us)"}}]},
            "rollup more.layers.x: no rule says when 'age_us'",
        ),
    ],
)
def test_rollups_that_nobody_could_refresh_in_time_are_refused(
    folder: Path, rollup: dict[str, Any], expected: str
) -> None:
    def change(document: dict[str, Any]) -> None:
        more = {"name": "more", "source": "orders", "window": "lifetime", "description": "x"}
        document["rollups"].append(more | rollup)

    assert expected in problems(edit(folder, change))


@pytest.mark.parametrize(
    ("value", "is_refused"),
    [
        ("SUM(qty)", True),
        ("AVG(qty)", True),
        ("SUM(ratio(net_paid_cents, 3))", True),
        ("SUM(net_paid_cents / 3)", True),
        ("SUM(CASE WHEN is_sale THEN qty END)", True),
        ("SUM(CAST(net_paid_cents AS DOUBLE))", True),
        ("SUM(CASE WHEN qty > 1 THEN 1 ELSE 0 END)", False),
        ("SUM(CAST(qty AS DECIMAL(18, 6)))", False),
        ("SUM(money(unit_price_cents))", False),
        ("AVG(net_paid_cents)", False),
        ("MAX(qty)", False),
        ("MEDIAN(qty)", False),
    ],
)
def test_floating_point_numbers_are_not_added(folder: Path, value: str, is_refused: bool) -> None:
    with_tag(folder, type="decimal", definition={"source": "order_lines", "value": value})
    if is_refused:
        said = "more.yaml: tag orders_9d.definition.value: "
        assert said in problems(folder)
        assert "adds floating-point numbers, whose order is not fixed; add CAST(" in problems(folder)
    else:
        assert load_registry(folder).tag("orders_9d").definition.value == value


def test_floating_point_numbers_are_followed_through_rollups(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        rollup = {
            "name": "more",
            "source": "order_lines",
            "window": "365d",
            "description": "x",
            "compute": {"third": "ratio(net_paid_cents, 3)"},
            "group_by": ["sku_id"],
            "measures": {"middle": {"value": "MEDIAN(third)"}, "n": {"value": "COUNT(*)"}},
            "layers": [{"columns": {"total": "SUM(middle) OVER ()", "count": "SUM(n) OVER ()"}}],
        }
        document["rollups"].append(rollup)

    found = problems(edit(folder, change))
    assert "sources.yaml: rollup more.layers.total: 'SUM(middle)' adds floating-point numbers" in found
    assert "layers.count" not in found


def test_a_source_may_not_look_at_the_clock(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        orders = next(s for s in document["sources"] if s["name"] == "orders")
        orders["where"] = "age_us < 5"

    assert "sources.yaml: source orders.where: reads the clock" in problems(edit(folder, change))


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The folder with `sources.yaml` changed."""
    path = folder / "sources.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return folder


def test_bad_sources_and_rollups_are_refused(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        orders = next(s for s in document["sources"] if s["name"] == "orders")
        orders["where"] = "colour = 'red'"
        orders["joins"] = [{"table": "core.dim_x", "key": "x_id", "columns": {"is_sale": "BOOLEAN"}}]
        rollup = document["rollups"][0]
        rollup["group_by"] = ["nowhere"]
        rollup["source"] = "orders"
        document["rollups"].append({"name": "r", "source": "nobody", "window": "7d", "description": "x"})

    found = problems(edit(folder, change))
    assert "source orders.where: unknown column 'colour'" in found
    assert "source orders.joins: unknown column 'x_id'" in found
    assert "column 'is_sale' of core.dim_x hides another" in found
    assert ".group_by: unknown column 'nowhere'" in found
    assert "rollup r.source: unknown source 'nobody'" in found


def test_every_problem_is_reported_at_once(folder: Path) -> None:
    bad = [TAG | {"type": "money"}, TAG | {"name": "other", "refresh": "5m"}, "text"]
    (folder / "more.yaml").write_text(yaml.safe_dump({"tags": bad}), encoding="utf-8")
    found = problems(folder)
    assert "orders_9d.type" in found
    assert "other.refresh" in found
    assert "tags[2]: must be a mapping" in found


def test_broken_files_are_named(folder: Path, tmp_path: Path) -> None:
    (folder / "more.yaml").write_text("tags: [", encoding="utf-8")
    (folder / "list.yaml").write_text("- 1", encoding="utf-8")
    found = problems(folder)
    assert "more.yaml: not valid YAML" in found
    assert "list.yaml: the file must hold a mapping" in found
    (tmp_path / "empty").mkdir()
    assert "sources.yaml is missing" in problems(tmp_path / "empty")


def test_origin_and_lineage(registry: Registry) -> None:
    assert registry.origin(registry.tag("orders_7d")) == "observed"
    assert registry.origin(registry.tag("sessions_7d")) == "overlay"
    overdue = registry.tag("overdue_personal")
    assert [tag.name for tag in registry.closure([overdue])][-1] == "overdue_personal"
    assert registry.is_population_relative(overdue)
    assert not registry.is_population_relative(registry.tag("recency_over_gap"))
    assert [s.name for s in registry.base_sources(registry.tag("promo_only_buyer"))] == [
        "order_lines",
        "orders",
    ]


def test_every_tag_has_a_case_worked_out_by_hand(registry: Registry) -> None:
    """Its name stands among the expected values of a test file that is named for it."""
    cases = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*_by_hand.py")]
    missing = [name for name in registry.tags if not any(f'"{name}"' in text for text in cases)]
    assert missing == []
