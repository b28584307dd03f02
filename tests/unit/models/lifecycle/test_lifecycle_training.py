"""Training end to end on simulated rhythms: evidence, bundles, refusals, no look-ahead."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lifecycle_panels import SCHEMA, at, people, simulated
from polars.testing import assert_frame_equal

from models.errors import BundleError, InsufficientDataError, ModelError
from models.lifecycle import bundle as bundles
from models.lifecycle.config import CHURN, REBUY, VALUE, LifecycleConfig
from models.lifecycle.features.history import read_history
from models.lifecycle.features.orders import tags_of_orders
from models.lifecycle.features.tasks import Task, as_matrix, feature_names
from models.lifecycle.judging.backtest import backtest, fit_at, plan_cuts
from models.lifecycle.scoring import score
from models.lifecycle.training import train
from models.metrics import auc

AS_OF = at(330)
DEFAULT = LifecycleConfig()
SMALL = replace(
    DEFAULT,
    churn=replace(
        DEFAULT.churn,
        test_cuts=3,
        min_each_class=3,
        fit=replace(DEFAULT.churn.fit, rounds=30, min_rows_a_leaf=20, training_origins=5),
    ),
    rebuy=replace(
        DEFAULT.rebuy, fit=replace(DEFAULT.rebuy.fit, rounds=20, min_rows_a_leaf=20, rows_an_origin=400)
    ),
)


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return simulated(days=350)


def run(panel: pl.DataFrame, folder: Path, config: LifecycleConfig = SMALL, **champions: object) -> list:  # type: ignore[type-arg]
    tags = tags_of_orders(panel)
    return train(panel, AS_OF, folder, seed=3, champions=champions, tags=tags, config=config)  # type: ignore[arg-type]


def test_candidates_with_evidence_and_bundles_that_score(panel: pl.DataFrame, tmp_path: Path) -> None:
    churn, rebuy, value = run(panel, tmp_path)
    assert [churn.name, rebuy.name, value.name] == [CHURN, REBUY, VALUE]
    for one, rule in ((churn, "recency"), (rebuy, "own_rate")):
        assert one.family == "lifecycle"
        assert one.bundle_dir == tmp_path / one.name
        assert one.decision.metric == "auc"
        assert one.decision.champion_lift is None
        assert f"{rule}_auc" in one.metrics
        assert 0 <= one.metrics["lightgbm_ece"] <= 0.2
        assert one.input_rows == panel.filter(pl.col("placed_at") <= AS_OF).height
        assert one.data_to <= AS_OF
        assert sum("cut 2024" in row["level"] for row in one.leaderboard if row["metric"] == "auc") >= 9
        assert all(figure.axes for figure in one.figures.values())
        assert LifecycleConfig.from_dict(json.loads(json.dumps(one.config))) == SMALL
    # The planted rhythm: silence means something else for a slow consumer than for a fast one.
    assert churn.decision.promoted
    assert churn.metrics["lightgbm_auc"] > churn.metrics["recency_auc"] + 0.03
    assert rebuy.metrics["lightgbm_precision_at_5"] >= rebuy.metrics["most_overdue_precision_at_5"]

    assert value.decision.metric == "poisson_deviance"
    assert value.decision.value == pytest.approx(value.metrics["muyun_poisson_deviance"])
    assert {row["system"] for row in value.leaderboard} == {"muyun", "bg_nbd", "own_rate"}

    consumers = people(*((name, "m2", True) for name in panel["consumer_id"].unique().sort()))
    bundles_of = (one.bundle_dir for one in (churn, rebuy, value))
    served = score(panel, consumers, AS_OF, *bundles_of, tags=tags_of_orders(panel), seed=3)
    # Everybody who ordered has a value, and together they are worth about what comes.
    assert served.value.height == panel.filter(pl.col("placed_at") <= AS_OF)["consumer_id"].n_unique()
    soon = (pl.col("placed_at") > AS_OF - timedelta(days=90)) & (pl.col("placed_at") <= AS_OF)
    assert served.value["value_cents"].sum() == pytest.approx(
        panel.filter(soon)["net_paid_cents"].sum(), rel=0.35
    )
    codes = [json.loads(text) for text in served.wakeup_list["reason_codes"]]
    by_model = [("model" in one) for one in codes]
    assert all(("model" in one) != ("simple_rule" in one) for one in codes)
    # The model is asked about the active window only.
    active = (served.wakeup_list["dormant_days"] < SMALL.active_days).to_list()
    assert by_model == active
    assert any(active)
    assert served.wakeup_list["expected_value_cents"].is_sorted(descending=True)
    assert not served.rebuy_reminders["reason_code"].str.starts_with("rule_").any()
    assert served.rebuy_reminders["rebuy_probability"].is_between(0, 1).all()
    # What is logged judges again as it judged: a vector a reminder, and everybody the model was asked about.
    vectors, keys = served.rebuy_vectors, ["consumer_id", "category_id"]
    assert vectors.select(keys).sort(keys).equals(served.rebuy_reminders.select(keys).sort(keys))
    said = bundles.load(rebuy.bundle_dir, REBUY).probability(as_matrix(vectors, feature_names(REBUY)))
    np.testing.assert_array_equal(said, vectors["rebuy_probability"].to_numpy())
    judged = served.wakeup_list.filter(by_model).join(served.churn, on="consumer_id")
    assert judged.height == sum(by_model) < served.churn.height
    assert judged["churn_probability"].equals(judged["probability"].alias("churn_probability"))


def test_training_twice_gives_the_same_and_the_future_changes_nothing(
    panel: pl.DataFrame, tmp_path: Path
) -> None:
    known = panel.filter(pl.col("placed_at") <= AS_OF)
    assert known.height < panel.height
    shuffled = panel.sample(fraction=1.0, shuffle=True, seed=5)
    first, second = run(known, tmp_path / "a"), run(shuffled, tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.metrics == other.metrics
        assert one.decision == other.decision
        for name in ("booster.txt", "bundle.json"):
            assert (one.bundle_dir / name).read_bytes() == (other.bundle_dir / name).read_bytes()


@pytest.mark.parametrize("name", [CHURN, REBUY])
def test_a_planted_future_signal_does_not_leak(panel: pl.DataFrame, name: str) -> None:
    origin = at(260)
    # The future screams who stays: the orders after the origin cost a fortune.
    planted = panel.with_columns(
        net_paid_cents=pl.when(pl.col("placed_at") > origin).then(10**7).otherwise("net_paid_cents")
    )
    emptied = panel.filter(pl.col("placed_at") <= origin)
    models, frames = [], []
    for rows in (panel, planted, emptied):
        task = Task(name, read_history(rows, AS_OF), tags_of_orders(rows), SMALL)
        models.append(fit_at(task, origin, SMALL.task(name).fit, 3))
        frames.append(task.frame(origin))
    assert models[0] == models[1] == models[2]
    assert_frame_equal(frames[0], frames[1])
    assert_frame_equal(frames[0].drop("consumer", "kind", strict=False),
                       frames[2].drop("consumer", "kind", strict=False))  # fmt: skip


@pytest.mark.parametrize("name", [CHURN, REBUY])
def test_what_came_late_or_was_corrected_is_seen_from_then_on_only(panel: pl.DataFrame, name: str) -> None:
    origin = at(260)
    before = panel.filter(pl.col("placed_at") <= origin)
    late = pl.col("order_id").hash(seed=1) % 5 == 0
    delayed = panel.with_columns(
        received_at=pl.when(late)
        .then(pl.max_horizontal("received_at", pl.lit(at(270))))
        .otherwise("received_at")
    )
    # Every seventh order was another one until day 265: ten times as dear, of another kind.
    wrong = before.filter(pl.col("order_id").hash(seed=2) % 7 == 0).with_columns(
        net_paid_cents=pl.col("net_paid_cents") * 10, category_l3_id=pl.lit("l3-a0")
    )
    was_wrong = pl.col("order_id").is_in(wrong["order_id"].implode())
    corrected = pl.concat(
        [
            panel.with_columns(received_at=pl.when(was_wrong).then(pl.lit(at(265))).otherwise("received_at")),
            wrong.with_columns(superseded_at=pl.lit(at(265))),
        ],
        how="vertical_relaxed",
    )
    as_known = ((delayed, before.filter(~late)), (corrected, pl.concat([before.filter(~was_wrong), wrong])))
    for rows, known in as_known:
        tasks = [Task(name, read_history(one, AS_OF), tags_of_orders(one), SMALL) for one in (rows, known)]
        assert_frame_equal(*(named(task, origin) for task in tasks), check_exact=True)
        assert not named(tasks[0], at(275)).equals(named(tasks[1], at(275)))


def named(task: Task, origin: datetime) -> pl.DataFrame:
    """The features under the names of consumers and product types, which do not depend on the rest."""
    frame, history = task.frame(origin), task.history
    frame = frame.with_columns(consumer=history.consumers.gather(frame["consumer"]))
    if "kind" in frame.columns:
        frame = frame.with_columns(kind=history.kinds.gather(frame["kind"]))
    return frame


def test_the_newest_labels_do_not_touch_their_own_forecast(panel: pl.DataFrame) -> None:
    told = []
    for turned in (False, True):
        task = Task(CHURN, read_history(panel, AS_OF), tags_of_orders(panel), SMALL)
        cuts = plan_cuts(task, AS_OF)
        label = task.examples(cuts[-1].origin).label
        label[:] = label ^ turned
        tested = backtest(task, cuts, SMALL.churn.fit, 3)
        told.append((tested.forecasts[-1].probability, tested.calibration.knots))
    np.testing.assert_array_equal(told[0][0], told[1][0])
    # The calibration of the final fit does use them: they are closed by then.
    assert not np.allclose(told[0][1], told[1][1])


def test_labels_without_a_signal_are_not_learnt(panel: pl.DataFrame) -> None:
    # The labels of every cut are shuffled in place: what was learnt before tells nothing about them.
    task = Task(CHURN, read_history(panel, AS_OF), tags_of_orders(panel), SMALL)
    cuts = plan_cuts(task, AS_OF)
    rng = np.random.default_rng(1)
    for cut in cuts:
        rng.shuffle(task.examples(cut.origin).label)
    found = [auc(one.examples.label, one.raw) for one in backtest(task, cuts, SMALL.churn.fit, 3).forecasts]
    assert np.mean(found) == pytest.approx(0.5, abs=0.12)


def test_cuts_end_at_as_of_and_no_training_label_reaches_a_test_window(
    panel: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(CHURN, read_history(panel, AS_OF), tags_of_orders(panel), SMALL)
    cuts = plan_cuts(task, AS_OF)
    assert len(cuts) == 4
    assert cuts[-1].end == AS_OF
    assert all(one.end == other.origin for one, other in pairwise(cuts))
    asked: list[object] = []
    examples = Task.examples
    monkeypatch.setattr(
        Task, "examples", lambda self, at, known=None: asked.append(at) or examples(self, at, known)
    )
    fit_at(task, cuts[0].origin, SMALL.churn.fit, 1)
    assert asked
    assert all(one + timedelta(days=28) <= cuts[0].origin for one in asked)  # type: ignore[operator]
    assert min(asked) >= task.history.earliest + timedelta(days=SMALL.churn.min_history_days)  # type: ignore[operator,type-var]


def test_the_champion_is_compared_only_when_its_fit_differs(panel: pl.DataFrame, tmp_path: Path) -> None:
    weak_fit = replace(SMALL.churn.fit, rounds=1, leaves=2)
    weak = replace(SMALL, churn=replace(SMALL.churn, fit=weak_fit))
    champions = {CHURN: weak.to_dict(), REBUY: SMALL.to_dict()}
    churn, rebuy, _ = run(panel, tmp_path, **champions)
    assert rebuy.decision.champion_lift is None
    assert churn.decision.champion_lift is not None
    assert churn.decision.champion_lift.mean > 0
    against = run(panel, tmp_path, weak, **{CHURN: SMALL.to_dict()})[0].decision
    assert against.champion_lift is not None
    assert against.champion_lift.mean == pytest.approx(-churn.decision.champion_lift.mean)
    assert not against.promoted


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (pl.lit(False), "no orders"),
        (pl.col("placed_at") > at(230), "test cuts of 28 days"),
        (pl.col("consumer_id") < "c010", "consumers and"),
    ],
)
def test_too_little_data_is_refused_with_the_reason(
    panel: pl.DataFrame, tmp_path: Path, kept: pl.Expr, words: str
) -> None:
    with pytest.raises(InsufficientDataError, match=words):
        run(panel.filter(kept), tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_model_is_trained_where_only_one_can_be(panel: pl.DataFrame, tmp_path: Path) -> None:
    no_kinds = panel.with_columns(category_l3_id=pl.lit(None, dtype=pl.String))
    assert [one.name for one in run(no_kinds, tmp_path)] == [CHURN, VALUE]
    short = panel.filter(pl.col("placed_at") > at(190))
    assert [one.name for one in run(short, tmp_path)] == [REBUY]


def test_bundles_that_are_not_whole_are_refused(panel: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing or unfinished"):
        bundles.load(tmp_path, CHURN)
    run(panel, tmp_path)
    with pytest.raises(BundleError, match="wanted lifecycle_rebuy"):
        bundles.load(tmp_path / CHURN, REBUY)
    file = tmp_path / CHURN / "bundle.json"
    document = json.loads(file.read_text())
    for change, words in (
        ({"features": ["other"]}, "other features"),
        ({"calibration": {"kind": "magic", "knots": [], "values": []}}, "damaged"),
        ({"config": {"no_such": 1}}, "damaged"),
        ({"format": 99}, "format 99"),
    ):
        file.write_text(json.dumps(document | change))
        with pytest.raises(BundleError, match=words):
            bundles.load(tmp_path / CHURN, CHURN)
    (tmp_path / REBUY / "bundle.json").unlink()
    with pytest.raises(BundleError, match="missing or unfinished"):
        bundles.load(tmp_path / REBUY, REBUY)


def test_settings_that_cannot_be_read_or_meant_are_refused(panel: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="alias champion"):
        run(panel, tmp_path, **{CHURN: {"no_such_setting": 1}})
    with pytest.raises(ValueError, match="at least 3"):
        replace(SMALL.churn, test_cuts=2)
    with pytest.raises(ValueError, match="min_purchases"):
        replace(SMALL, min_purchases=1)
    assert LifecycleConfig.from_dict({}) == DEFAULT


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InsufficientDataError, match=r"lifecycle_churn.*lifecycle_rebuy"):
        run(pl.DataFrame(schema=SCHEMA), tmp_path)


def test_windows_that_overlap_are_calibrated_by_closed_ones_alone(panel: pl.DataFrame) -> None:
    churn = replace(SMALL.churn, horizon_days=60, min_history_days=28)
    config = replace(SMALL, churn=replace(churn, fit=replace(churn.fit, rounds=2, training_origins=1)))
    task = Task(CHURN, read_history(panel, AS_OF), tags_of_orders(panel), config)
    cuts = plan_cuts(task, AS_OF)
    # 60 days of window over 28 days of step: three cuts warm up, three are tested.
    assert [(later.origin - one.origin).days for one, later in pairwise(cuts)] == [28] * 5
    tested = backtest(task, cuts, config.churn.fit, 1).forecasts
    assert [one.cut for one in tested] == cuts[3:]
    assert cuts[0].end <= cuts[3].origin < cuts[1].end


def test_the_first_calibration_of_overlapping_windows_sees_one_cut(panel: pl.DataFrame) -> None:
    churn = replace(SMALL.churn, horizon_days=60, min_history_days=28)
    fit = replace(churn.fit, rounds=2, training_origins=1)
    config = replace(SMALL, churn=replace(churn, fit=fit))
    rows = panel.filter(pl.col("placed_at") <= AS_OF)
    task = Task(CHURN, read_history(rows, AS_OF), tags_of_orders(rows), config)
    cuts = plan_cuts(task, AS_OF)
    alone = backtest(task, [cuts[0], cuts[3]], fit, 1).forecasts
    among = backtest(task, cuts, fit, 1).forecasts
    np.testing.assert_array_equal(alone[0].probability, among[0].probability)
