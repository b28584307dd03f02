"""Training of the pricing family: changes, backtest, gate decision, final fit, bundle; scores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from models.contracts import Candidate
from models.errors import InsufficientDataError
from models.pricing.bundle import save_bundle, to_bundle
from models.pricing.config import ElasticityConfig, PricingConfig, elasticity_settings
from models.pricing.elasticities.changes import Changes, build_changes
from models.pricing.elasticities.elasticity import ElasticityModel, elasticity_without_zero_weeks, fit
from models.pricing.elasticities.evaluation import METRIC, Backtest, backtest
from models.states import known_at, with_states

MODEL_NAME = "pricing_elasticity"


def train(
    lines: pl.DataFrame,
    as_of: datetime,
    bundle_dir: Path,
    config: PricingConfig,
    champion: Mapping[str, Any] | None = None,
    *,
    time_zone: str = "UTC",
) -> Candidate:
    """Estimate elasticities, judge them on held-out price moves and save them.

    Args:
        lines: Order lines in every state that was known (`models.states`; lines without its columns never
            changed); the columns of `changes.LINE_COLUMNS` and placed_at.
        as_of: Business moment; what was placed or received later is not seen.
        bundle_dir: Folder to write the bundle to.
        config: Settings.
        champion: `Candidate.config` of the standing champion, compared where its settings differ.
        time_zone: IANA zone in which weeks begin: an origin of the backtest sees what was known by then.

    Returns:
        The candidate `pricing_elasticity`.

    Raises:
        InsufficientDataError: Too few weeks, changes or price moves; prices then come from cost plus.
    """
    lines = with_states(lines).filter(pl.col("placed_at") <= as_of)
    known = lines.filter(known_at(as_of))
    settings = config.elasticity
    changes = build_changes(
        known, min_other_merchants=settings.min_other_merchants, min_changes=settings.min_changes
    )
    standing = None if champion is None else elasticity_settings(champion)
    tested = backtest(
        changes, settings, standing, known=lambda week: changes_at(lines, changes, week, settings, time_zone)
    )
    model, _ = fit(changes, settings)
    save_bundle(to_bundle(model, changes), bundle_dir, as_of, config)
    first, last = known.get_column("placed_on").min(), known.get_column("placed_on").max()
    if not isinstance(first, date) or not isinstance(last, date):
        raise InsufficientDataError("elasticities: order lines carry no placed_on day")
    return Candidate(
        name=MODEL_NAME,
        family="pricing",
        config=config.as_dict(),
        decision=tested.decision,
        metrics={**tested.metrics, **_describe(model, changes)},
        leaderboard=tested.leaderboard,
        bundle_dir=bundle_dir,
        data_from=first,
        data_to=last,
        input_rows=changes.input_rows,
        figures=_figures(model, changes, tested),
    )


def changes_at(
    lines: pl.DataFrame, standing: Changes, week: int, settings: ElasticityConfig, time_zone: str
) -> Changes:
    """The changes of the weeks before one, as they were known at its begin.

    Args:
        lines: With the columns of `models.states`.
        standing: All changes; their skus and weeks are taken over.
        week: Position of a week of `standing`.
        settings: How changes are made.
        time_zone: IANA zone in which the week begins.
    """
    monday = standing.first_week + timedelta(weeks=week)
    moment = datetime.combine(monday, time(), ZoneInfo(time_zone)).astimezone(UTC)
    then = lines.filter((pl.col("placed_at") < moment) & known_at(moment))
    return build_changes(then, min_other_merchants=settings.min_other_merchants, like=standing)


def _describe(model: ElasticityModel, changes: Changes) -> dict[str, float]:
    """What the final fit looks like, as flat metrics."""
    moved = np.unique(changes.sku)
    own = model.usual(model.sku)[moved]
    low, middle, high = np.quantile(own, [0.05, 0.5, 0.95])
    return {
        "changes": float(len(changes.sku)),
        "skus_with_changes": float(len(moved)),
        "uses_prices_of_other_merchants": float(changes.price_source == "others"),
        "pass_through": model.pass_through,
        "elasticity_overall": float(model.usual(model.overall)[0]),
        "elasticity_without_zero_weeks": elasticity_without_zero_weeks(changes),
        "elasticity_p05": float(low),
        "elasticity_p50": float(middle),
        "elasticity_p95": float(high),
        "spread_between_l2": model.l2.spread,
        "spread_between_l3": model.l3.spread,
        "spread_between_skus": model.sku.spread,
        "skus_held_by_sign_constraint_rate": float((model.sku.mean[moved] > model.max_elasticity).mean()),
        "display_effect": model.display,
        "mailer_effect": model.mailer,
        "promoted_price_effect": model.promoted,
        "promoted_share": model.promoted_share,
        "category_price_elasticity": model.category,
    }


def _figures(model: ElasticityModel, changes: Changes, tested: Backtest) -> dict[str, Any]:
    """Two plots: where elasticities lie, and the systems side by side."""
    from matplotlib.figure import Figure

    spread = Figure(figsize=(7, 4), layout="constrained")
    axes = spread.subplots()
    moved = np.unique(changes.sku)
    axes.hist(model.usual(model.sku)[moved], bins=60, color="#3b6ea5")
    axes.axvline(float(model.usual(model.overall)[0]), color="black", linestyle="--", label="all skus")
    axes.set(xlabel="elasticity", ylabel="skus", title="Shrunken elasticity of each sku")
    axes.legend()

    board = Figure(figsize=(7, 3), layout="constrained")
    axes = board.subplots()
    rows = [row for row in tested.leaderboard if row["metric"] == METRIC]
    axes.barh([row["system"] for row in rows], [row["value"] for row in rows], color="#3b6ea5")
    # The systems differ in the third digit, so the axis cannot start at 0; the caption says so.
    values = [row["value"] for row in rows]
    margin = max(max(values) - min(values), 1e-6)
    axes.set_xlim(min(values) - margin, max(values) + margin)
    axes.set(xlabel=f"{METRIC} (lower is better; axis does not start at 0)")
    return {"pricing_elasticities": spread, "pricing_backtest": board}
