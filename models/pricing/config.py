"""Settings of the pricing family. Plain values only; nothing is computed or read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal


@dataclass(frozen=True)
class ElasticityConfig:
    """Settings of the elasticity estimate and of its backtest.

    Attributes:
        origins: Rolling origins of the backtest.
        test_weeks: Weeks tested after each origin.
        min_train_weeks: Fewest complete weeks before the first origin.
        min_move: Smallest absolute relative price change that counts as a held-out move.
        min_changes: Fewest week-to-week changes to fit on.
        min_moves: Fewest held-out moves to judge by.
        min_other_merchants: Other merchants that must have sold the sku in both weeks, for their mean price
            to stand for the market's.
        max_elasticity: Upper end of the sign constraint; an elasticity is never above it.
        newton_steps: Newton steps of the pooled fit.
        group_steps: Newton steps of each shrinkage level.
        seed: Seed of the bootstrap.
    """

    origins: int = 3
    test_weeks: int = 4
    min_train_weeks: int = 8
    min_move: float = 0.05
    min_changes: int = 500
    min_moves: int = 100
    min_other_merchants: int = 1
    max_elasticity: float = -0.1
    newton_steps: int = 5
    group_steps: int = 2
    seed: int = 0


@dataclass(frozen=True)
class GuardConfig:
    """Guard rails. Rates are basis points, so that every limit is exact integer arithmetic.

    Attributes:
        min_margin_bps: m_min of the floor C(1 + m_min).
        ceiling_bps: Ceiling above the listing's list price.
        step_bps: Largest change against the current price.
        week_step_bps: Largest change against any price of the last seven days.
        dwell_days: Days that a price must stand before it changes again.
        ending_unit_cents: Prices end on one of `price_endings` modulo this unit.
        price_endings: Allowed endings in cents, each below the unit; empty switches rounding off.
        change_budget_bps: Share of a category's listings that may change in one run, rounded up to a listing.
    """

    min_margin_bps: int = 500
    ceiling_bps: int = 2000
    step_bps: int = 500
    week_step_bps: int = 1500
    dwell_days: int = 7
    ending_unit_cents: int = 10
    price_endings: tuple[int, ...] = (5, 9)
    change_budget_bps: int = 2000

    def __post_init__(self) -> None:
        """Reject settings under which no price could be right.

        Raises:
            ValueError: A rate is out of range or an ending does not fit its unit.
        """
        if not (0 <= self.step_bps < 10_000 and 0 <= self.week_step_bps < 10_000):
            raise ValueError("guard rails: step_bps and week_step_bps must lie in 0..9999")
        if self.min_margin_bps < 0 or self.ceiling_bps < 0 or not 0 <= self.change_budget_bps <= 10_000:
            raise ValueError("guard rails: margins must be 0 or more, change_budget_bps 0..10000")
        if self.ending_unit_cents < 1 or any(
            not 0 <= ending < self.ending_unit_cents for ending in self.price_endings
        ):
            raise ValueError("guard rails: every price ending must be at least 0 and below ending_unit_cents")


@dataclass(frozen=True)
class PolicyConfig:
    """Settings of the anchor and of the search around it.

    Attributes:
        learning: `greedy` maximises the expected profit, `thompson` that of one posterior draw a week.
        temper: Factor of the posterior's deviation in a draw; below 1 explores less than the posterior does.
        stakes: The posterior that is drawn from is weighted with |e| to the power of minus this, because more
            profit is at stake where demand is less elastic, and a price climbs there by small steps only.
        learning_days: Window of prices in force and their sales that beliefs are learnt from; whole weeks.
        theta_deviation: Deviation of a sku's cross-price elasticity round `theta` before its sales are seen.
        season_units: Units of a category and week that count as much as the belief that the week is like any.
        ladder_width: Half width of the ladder, relative to the anchor.
        ladder_rungs: Number of prices on the ladder.
        posterior_nodes: Quantile nodes that stand for the elasticity posterior.
        theta: Cross-price elasticity of the index, and what a sku's own is believed to be before sales tell.
            A setting: competitor moves of the embedded panel are generated, so they cannot identify it.
        slack_share: Share of the index's exponents kept while stock is plentiful (theory says 0; a part is
            kept so that overstock still pulls the anchor down).
        min_abs_elasticity: Smallest |e| used for the markup 1/(|e|-1), which has no finite value at 1.
        cost_plus_markup: Markup of the simple rule, used where no model serves.
        demand_days: Window of demand D in days.
        competitor_days: Window of competitor prices in days.
        turnover_days: Window of the turnover warning in days.
        turnover_warning: Sell-through below which a sku is warned about.
        markdown_cuts_bps: The ladder of cuts shown with a warning.
        cost_jump_bps: A rise of the cost since the last change of the price beyond which the cost is doubted.
    """

    learning: Literal["greedy", "thompson"] = "thompson"
    temper: float = 0.5
    stakes: float = 2.0
    learning_days: int = 182
    theta_deviation: float = 0.3
    season_units: float = 100.0
    ladder_width: float = 0.15
    ladder_rungs: int = 13
    posterior_nodes: int = 5
    theta: float = 0.5
    slack_share: float = 0.5
    min_abs_elasticity: float = 1.5
    cost_plus_markup: float = 0.35
    demand_days: int = 28
    competitor_days: int = 28
    turnover_days: int = 30
    turnover_warning: float = 0.15
    markdown_cuts_bps: tuple[int, ...] = (500, 1000, 2000, 3000)
    cost_jump_bps: int = 3000


@dataclass(frozen=True)
class PricingConfig:
    """All settings of the pricing family."""

    elasticity: ElasticityConfig = field(default_factory=ElasticityConfig)
    guards: GuardConfig = field(default_factory=GuardConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)

    def as_dict(self) -> dict[str, Any]:
        """The settings as a JSON-able document."""
        return asdict(self)


def elasticity_settings(document: Mapping[str, Any]) -> ElasticityConfig:
    """Read the elasticity settings of a stored `Candidate.config`.

    Args:
        document: What `PricingConfig.as_dict` wrote; unknown keys of other versions are left out.

    Returns:
        The settings; values that the document lacks are the defaults.
    """
    stored = document.get("elasticity", {})
    known = {item.name for item in fields(ElasticityConfig)}
    return ElasticityConfig(**{key: value for key, value in stored.items() if key in known})
