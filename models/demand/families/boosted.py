"""A global LightGBM forecaster: direct over all steps, one booster a quantile and one for the mean.

Imported lazily: importing this module imports lightgbm. Boosters are saved as LightGBM text, never pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from models.data import Panel
from models.demand.families.forecast import Forecast
from models.demand.families.inputs import Inputs, Int64, Reader
from models.errors import InsufficientDataError
from models.metrics import FloatArray
from models.store import bundles

KIND = "demand_boosted"
FORMAT = 2


@dataclass(frozen=True)
class BoostedConfig:
    """Settings of `Boosted`.

    Attributes:
        steps: Steps ahead that are trained, 1 is the first period after the history.
        levels: Quantiles, ascending.
        window: Periods whose mean is a series' scale.
        min_history: Fewest periods since a series' start before an origin is used for training.
        origin_stride: Every how many periods a training origin is taken.
        hidden_share: Share of the training windows that are shown without their plans; for use where plans
            are often not known yet.
        trees: Boosting rounds of a booster.
        leaves: Leaves a tree.
        learning_rate: Shrinkage.
        min_leaf_rows: Fewest rows of a leaf.
        bins: Most bins of an input.
        row_share: Share of the rows that a tree sees.
        input_share: Share of the inputs that a tree sees.
        threads: CPU threads.
        seed: Seed of every draw.
    """

    steps: tuple[int, ...] = (1, 2, 3, 4)
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    window: int = 26
    min_history: int = 12
    origin_stride: int = 1
    hidden_share: float = 0.0
    trees: int = 200
    leaves: int = 63
    learning_rate: float = 0.06
    min_leaf_rows: int = 50
    bins: int = 127
    row_share: float = 0.7
    input_share: float = 0.5
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: A setting is out of its range; the message names it.
        """
        if not self.steps or min(self.steps) < 1:
            raise ValueError(f"boosted: steps must be 1 or more, got {self.steps}")
        if list(self.levels) != sorted(set(self.levels)) or not all(0 < x < 1 for x in self.levels):
            raise ValueError(f"boosted: levels must ascend within (0, 1), got {self.levels}")


@dataclass(frozen=True)
class FittedBoosted:
    """Fitted boosters.

    Attributes:
        config: Settings.
        codes: Number of each static word, by name.
        quantiles: One booster a level, of log(units + half) over the scale.
        mean: The booster of units over the scale.
    """

    config: BoostedConfig
    codes: dict[str, dict[str, int]]
    quantiles: list[lightgbm.Booster]
    mean: lightgbm.Booster

    def predict(self, panel: Panel, origin: int, horizon: int) -> Forecast:
        """Forecast every series of the panel.

        Args:
            panel: The panel; its times reach to the last step.
            origin: Index of the first period to forecast; nothing observed from there on is read.
            horizon: Periods ahead. A step that was not trained takes the nearest trained one's trees.

        Returns:
            Units; quantiles are sorted, so they do not cross.
        """
        series = np.arange(len(panel.ids), dtype=np.int64)
        reader = Reader(panel, self.config.window, self.codes)
        inputs = reader.read(series, np.full_like(series, origin), range(1, horizon + 1))
        rows = inputs.values.reshape(-1, inputs.values.shape[2])

        def run(booster: lightgbm.Booster) -> FloatArray:
            value = np.asarray(booster.predict(rows, num_threads=self.config.threads), dtype=np.float64)
            return value.reshape(len(series), horizon)

        logs = np.sort(np.stack([run(booster) for booster in self.quantiles], axis=2), axis=2)
        mean = run(self.mean) * np.exp(inputs.log_scale)[:, None]
        return Forecast(mean, inputs.to_units(logs), self.config.levels)

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the quantiles, ascending."""
        return self.config.levels

    def save(self, folder: Path) -> None:
        """Write the bundle; `load` reads it."""
        quantiles = zip(self.config.levels, self.quantiles, strict=True)
        texts = {f"quantile_{level}": booster.model_to_string() for level, booster in quantiles}
        texts["mean"] = self.mean.model_to_string()
        document = {"config": asdict(self.config), "codes": self.codes}
        bundles.write(folder, KIND, FORMAT, document, texts=texts)


@dataclass(frozen=True)
class Boosted:
    """The family: settings and a name."""

    config: BoostedConfig = BoostedConfig()
    name: str = "lightgbm"

    def fit(self, panel: Panel, until: int) -> FittedBoosted:
        """Fit on targets before a period.

        Args:
            panel: The panel.
            until: Index of the first period that is not seen.

        Returns:
            The boosters; the same inputs and threads give the same trees.

        Raises:
            InsufficientDataError: No series has a target after `min_history` periods before `until`, or
                nothing was sold in any of them.
        """
        config = self.config
        until = min(until, panel.n_times)
        codes = numbered(panel.static)
        series, origins = training_pairs(panel, until, config.min_history, config.origin_stride)
        rng = np.random.default_rng(config.seed)
        hidden = rng.random(len(series)) < config.hidden_share
        inputs = Reader(panel, config.window, codes).read(series, origins, config.steps, hidden)
        ahead = origins[:, None] + np.asarray(config.steps)[None, :] - 1
        usable = (np.isfinite(inputs.target) & (ahead < until)).ravel()
        if not usable.any():
            raise InsufficientDataError(
                f"boosted: no target after {config.min_history} observed periods before period {until}"
            )
        rows = inputs.values.reshape(-1, inputs.values.shape[2])[usable]
        if not inputs.units.ravel()[usable].any():
            raise InsufficientDataError(
                f"boosted: nothing was sold before period {until}; the simple rule serves"
            )
        scale = np.repeat(np.exp(inputs.log_scale), len(config.steps))[usable]
        ratio = inputs.units.ravel()[usable] / scale
        logs = inputs.target.ravel()[usable]
        data = _dataset(rows, inputs, list(codes), config)
        data.set_label(logs)
        quantiles = [
            _boost(data, {"objective": "quantile", "alpha": level}, config) for level in config.levels
        ]
        data.set_label(ratio)
        data.set_weight(scale / scale.mean())
        mean = _boost(data, {"objective": "poisson"}, config)
        return FittedBoosted(config, codes, quantiles, mean)


def training_pairs(panel: Panel, until: int, min_history: int, stride: int) -> tuple[Int64, Int64]:
    """All (series, origin) pairs with enough history, newest origin first aligned, by origin and series."""
    origins = np.arange(until - 1, 0, -stride)[::-1]
    rows, series = np.nonzero(origins[:, None] >= panel.start[None, :] + min_history)
    return series.astype(np.int64), origins[rows].astype(np.int64)


def numbered(static: Any) -> dict[str, dict[str, int]]:
    """A number for each static word, by name, in sorted order."""
    return {
        name: {word: code for code, word in enumerate(sorted(set(words)))} for name, words in static.items()
    }


def _dataset(
    rows: Any, inputs: Inputs, categorical: Sequence[str], config: BoostedConfig
) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        rows,
        feature_name=list(inputs.names),
        categorical_feature=list(categorical),
        params={"verbosity": -1, "max_bin": config.bins, "min_data_in_leaf": config.min_leaf_rows},
        free_raw_data=False,
    )


def _boost(data: lightgbm.Dataset, objective: dict[str, Any], config: BoostedConfig) -> lightgbm.Booster:
    params = {
        **objective,
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.min_leaf_rows,
        "max_bin": config.bins,
        "feature_fraction": config.input_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1,
        "cat_smooth": 20.0,
        "lambda_l2": 1.0,
        "seed": config.seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": config.threads,
        "verbosity": -1,
    }
    return lightgbm.train(params, data, num_boost_round=config.trees)


def load(folder: Path) -> FittedBoosted:
    """Read what `FittedBoosted.save` wrote.

    Raises:
        BundleError: The bundle is missing, of another format, or damaged.
    """
    return bundles.read(folder, KIND, FORMAT).build(_built)


def _built(bundle: bundles.Bundle) -> FittedBoosted:
    values = bundle.document["config"]
    config = BoostedConfig(**values | {name: tuple(values[name]) for name in ("steps", "levels")})
    texts = [bundle.text(f"quantile_{level}") for level in config.levels]
    try:
        boosters = [lightgbm.Booster(model_str=text) for text in (*texts, bundle.text("mean"))]
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(str(error)) from error
    return FittedBoosted(config, bundle.document["codes"], boosters[:-1], boosters[-1])
