"""Settings of the demand family and the words its modules share. No logic beyond reading and checking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any

from holidays import list_supported_countries

QUANTILES: tuple[float, ...] = (0.1, 0.5, 0.9)
"""The published quantiles, in this order on the last axis of every quantile array."""

POOLED_MERCHANT = "*"
"""Merchant id of the series that pools a category's small series; never published under this id."""

NO_HOLIDAYS = "none"
"""In place of a country: no holidays are known."""

LSTM = "demand_lstm"
BOOSTED = "demand_boosted"
STACKED = "demand_stacked"


@dataclass(frozen=True)
class LstmConfig:
    """Hyper-parameters of the LSTM.

    Attributes:
        hidden: Units of the one recurrent layer.
        category_dim: Width of the category embedding.
        merchant_dim: Width of the merchant embedding.
        epochs: Upper bound; early stopping usually ends before.
        patience: Epochs without a better validation loss before stopping.
        samples_per_series: Forecast origins drawn a series and epoch.
        batch_size: Windows a step.
        learning_rate: Peak of the one-cycle schedule.
        dropout: Share of the embedding and hidden units dropped while training.
        mean_weight: Weight of the mean head's Poisson loss beside the pinball loss.
    """

    hidden: int = 64
    category_dim: int = 12
    merchant_dim: int = 6
    epochs: int = 12
    patience: int = 3
    samples_per_series: int = 1
    batch_size: int = 512
    learning_rate: float = 2e-3
    dropout: float = 0.3
    mean_weight: float = 0.2


@dataclass(frozen=True)
class GbmConfig:
    """Hyper-parameters of the LightGBM quantile models.

    Attributes:
        trees: Boosting rounds of each of the four models (three quantiles and the mean).
        leaves: Leaves a tree.
        learning_rate: Shrinkage.
        min_leaf_rows: Fewest rows of a leaf.
        bins: Most bins of an input.
        row_share: Share of the rows that a tree sees.
        input_share: Share of the inputs that a tree sees.
        origin_stride: Every how many weeks a training origin is taken.
    """

    trees: int = 100
    leaves: int = 15
    learning_rate: float = 0.06
    min_leaf_rows: int = 200
    bins: int = 63
    row_share: float = 0.5
    input_share: float = 0.4
    origin_stride: int = 3


@dataclass(frozen=True)
class DemandConfig:
    """Settings of the panel, the backtest and both models.

    Attributes:
        horizon: Weeks ahead.
        window: Weeks an encoder sees.
        min_history: Fewest weeks on sale before a forecast origin is used for training.
        min_weeks_on_sale: A series of its own needs this many weeks since its first sale.
        min_weekly_units: ... and this many units a week since then.
        min_merchant_lines: ... and a merchant with this many merchandise lines.
        pool_weeks: Weeks whose sales give a small series its share of the pool.
        origins: Rolling test origins.
        origin_stride: Weeks between two origins.
        refit_weeks: In the backtest boosting is fitted anew after so many weeks; by default not within it.
        season_min_weeks: Week-of-year inputs and the 52-week season need this much history.
        category_weight: How far learned forecasts move to their category's level (0 to 1).
        max_category_bias: Largest bias of the mean at category x horizon with which a model may serve.
        utc_offset_hours: Standard time minus UTC, the same all year so that the settings of a champion do not
            change with the clocks; decides which local weeks are complete at `as_of`.
        week_grace_hours: A week counts as complete when at most this much of it lies after `as_of`.
        holidays: Country whose holidays and shopping days are known beforehand (ISO 3166 code), or `none`.
        extra_holidays: Further holiday dates.
        threads: CPU threads of LightGBM and of the LSTM's fit. One: the models are small, and families train
            side by side; results depend on it in the last bits only.
        seed: Seed of every draw.
        lstm: LSTM settings.
        gbm: LightGBM settings.
    """

    horizon: int = 4
    window: int = 26
    min_history: int = 8
    min_weeks_on_sale: int = 26
    min_weekly_units: float = 2.0
    min_merchant_lines: int = 1000
    pool_weeks: int = 26
    origins: int = 6
    origin_stride: int = 2
    refit_weeks: int = 52
    season_min_weeks: int = 104
    category_weight: float = 1.0
    max_category_bias: float = 0.03
    utc_offset_hours: int = 0
    week_grace_hours: float = 2.0
    holidays: str = NO_HOLIDAYS
    extra_holidays: tuple[date, ...] = ()
    threads: int = 1
    seed: int = 20180101
    lstm: LstmConfig = field(default_factory=LstmConfig)
    gbm: GbmConfig = field(default_factory=GbmConfig)

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: A setting is out of its range; the message names it.
        """
        for name in (
            "horizon",
            "window",
            "min_history",
            "origins",
            "origin_stride",
            "refit_weeks",
            "pool_weeks",
            "threads",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"demand config: {name} must be at least 1, got {getattr(self, name)}")
        if self.holidays != NO_HOLIDAYS and self.holidays not in list_supported_countries():
            raise ValueError(
                f"demand config: holidays must be a country such as CN, or {NO_HOLIDAYS!r}, "
                f"got {self.holidays!r}"
            )

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON-able values; `from_json` reads them back."""
        document = asdict(self)
        document["extra_holidays"] = [day.isoformat() for day in self.extra_holidays]
        return document


def from_json(document: Mapping[str, Any]) -> DemandConfig:
    """Read settings that `DemandConfig.as_json` wrote.

    Raises:
        ValueError: An unknown setting stands in the document.
    """
    values = dict(document)
    unknown = sorted(set(values) - {f.name for f in fields(DemandConfig)})
    if unknown:
        raise ValueError(f"demand config: unknown settings {unknown}; was it saved by another version?")
    if values.get("holidays") == "us":  # as earlier releases wrote it
        values["holidays"] = "US"
    values["lstm"] = LstmConfig(**values.get("lstm", {}))
    values["gbm"] = GbmConfig(**values.get("gbm", {}))
    values["extra_holidays"] = tuple(date.fromisoformat(day) for day in values.get("extra_holidays", ()))
    return DemandConfig(**values)
