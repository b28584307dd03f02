"""Settings of the reorder rule. No logic beyond checking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SlowMoverReading = Literal["each_day", "window_sum"]


@dataclass(frozen=True)
class ReorderConfig:
    """Settings of the reorder rule.

    Attributes:
        review_days: Days between two reviews; an order covers lead time plus this.
        service_quantile: Order up to this quantile of the demand over lead time and review, where the closed
            loop over the past (`past_loop`) has too little to tune it on. 0.7 and not the newsvendor ratio
            p/(p+h): unmet demand is lost and not backordered, so the ratio overstocks.
        holding_cost: Cost of a unit that is left at the end of a week, in the money of `lost_sale_cost`. 0.05
            of a lost margin is 25% of the value a year where the margin is a tenth of the value.
        lost_sale_cost: Cost of a unit of demand that found no stock.
        budget_cents: Most that all orders of a run may cost at supply prices; None means no limit. What
            avoids most lost sales for its money is ordered first.
        tuning_weeks: Past weeks over which the loop runs, after `share_weeks` that it begins with.
        tuning_skus: Most skus of a class in the loop.
        tuning_least_skus: A class of fewer skus is not tuned.
        lead_time_cv: Spread of the lead time over its mean; offers carry only the mean.
        share_weeks: Weeks whose sales split a merchant's category over its skus.
        share_prior_units: Units of the platform-wide split that are mixed into a merchant's own.
        assortment_weeks: A sku belongs to a merchant's assortment when it sold there within these weeks.
        newcomer_weeks: What a new listing sold in so many weeks tells how new ones sell.
        newcomer_ratio: A new listing sells so many times what an average one of its category sells, before
            any is seen. 0.5: new skus of the embedded panel sold 0.50 and 0.51 of an average pair's units.
        newcomer_prior: So many listings `newcomer_ratio` weighs beside those that were seen.
        newcomer_share: Most that all new listings of a merchant take of a category together.
        newcomer_cv: Spread of what a new listing sells over its mean: little is known of it.
        pack_qty: Units a pack where the offer has no `pack_qty` column.
        primary_share: Least share of the primary supplier where there are backups.
        backup_share: Largest share of all backups together.
        slow_days: Days within which goods are found to be stalled.
        slow_share: Share of the safety stock that sales must stay below.
        slow_reading: `each_day`: every single day lies below (as printed); `window_sum`: their sum does.
        utc_offset_hours: Local time minus UTC; decides what "today" is.
    """

    review_days: int = 7
    service_quantile: float = 0.7
    holding_cost: float = 0.05
    lost_sale_cost: float = 1.0
    budget_cents: int | None = None
    tuning_weeks: int = 26
    tuning_skus: int = 150
    tuning_least_skus: int = 30
    lead_time_cv: float = 0.25
    share_weeks: int = 8
    share_prior_units: float = 8.0
    assortment_weeks: int = 26
    newcomer_weeks: int = 4
    newcomer_ratio: float = 0.5
    newcomer_prior: float = 20.0
    newcomer_share: float = 0.2
    newcomer_cv: float = 1.0
    pack_qty: int = 1
    primary_share: float = 0.6
    backup_share: float = 0.3
    slow_days: int = 7
    slow_share: float = 0.2
    slow_reading: SlowMoverReading = "each_day"
    utc_offset_hours: int = 0

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: A setting is out of its range; the message names it.
        """
        if not 0 < self.service_quantile < 1:
            raise ValueError(
                f"reorder config: service_quantile must lie in (0, 1), got {self.service_quantile}"
            )
        if min(self.review_days, self.share_weeks, self.assortment_weeks, self.pack_qty, self.slow_days) < 1:
            raise ValueError("reorder config: days, weeks and pack_qty must be at least 1")
        if min(self.holding_cost, self.lost_sale_cost) <= 0:
            raise ValueError("reorder config: holding_cost and lost_sale_cost must be positive")
        if self.budget_cents is not None and self.budget_cents < 0:
            raise ValueError(f"reorder config: budget_cents must not be negative, got {self.budget_cents}")
        if min(self.tuning_weeks, self.tuning_skus, self.tuning_least_skus) < 1:
            raise ValueError("reorder config: tuning weeks and skus must be at least 1")
        if not (
            self.backup_share >= 0 and self.primary_share > 0 and self.primary_share + self.backup_share <= 1
        ):
            raise ValueError(
                "reorder config: primary_share and backup_share must be shares that sum to at most 1"
            )
        if self.lead_time_cv < 0 or self.share_prior_units < 0 or self.slow_share < 0:
            raise ValueError(
                "reorder config: lead_time_cv, share_prior_units and slow_share must not be negative"
            )
        if self.newcomer_weeks < 1 or min(self.newcomer_prior, self.newcomer_cv) < 0:
            raise ValueError("reorder config: newcomer_weeks must be at least 1, prior and cv not negative")
        if self.newcomer_ratio < 0 or not 0 <= self.newcomer_share < 1:
            raise ValueError(
                "reorder config: newcomer_ratio must not be negative, newcomer_share be in [0, 1)"
            )
        if self.slow_reading not in ("each_day", "window_sum"):
            raise ValueError(f"reorder config: unknown slow_reading {self.slow_reading!r}")
