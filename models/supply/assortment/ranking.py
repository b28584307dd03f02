"""The learnt ranking of pairs: how likely a merchant starts to sell a sku within the window, and its file.

The file is a folder: the booster as text and one JSON document, written last. No pickle. LightGBM is imported
inside the functions that need it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import BundleError
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.features import FEATURES
from models.supply.assortment.history import Floats

NAME = "supply_assortment"
FORMAT = 1
_THREADS = 1
"""The trees are small, and beside another busy process two threads wait for each other."""


@dataclass(frozen=True)
class Ranking:
    """A fitted ranking.

    Attributes:
        config: Settings of its training.
        booster: LightGBM's text form.
        units_per_score: Units that a point of score brought in lists of windows that it had not seen.
        units_per_new: Units that a place with a product brought there that nobody had sold before.
    """

    config: AssortmentConfig
    booster: str
    units_per_score: float
    units_per_new: float

    def score(self, features: Floats) -> Floats:
        """Probability of a start within the window: float32 (n,), 0-1."""
        return predict(self.booster, features)


def fit(windows: Sequence[tuple[Floats, npt.NDArray[np.bool_]]], config: AssortmentConfig) -> str:
    """Learn from windows that are over.

    Args:
        windows: Features of pairs, and which of them started to sell.
        config: Settings.

    Returns:
        The booster as LightGBM's text form.
    """
    import lightgbm as lgb

    settings = {
        "objective": "binary",
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.least_rows,
        "feature_fraction": 0.5,
        "lambda_l2": 5.0,
        "max_bin": 63,
        "num_threads": _THREADS,
        "deterministic": True,
        "force_row_wise": True,
        "seed": config.seed,
        "verbose": -1,
    }
    data = lgb.Dataset(
        np.concatenate([features for features, _ in windows]),
        np.concatenate([started for _, started in windows]).astype(np.float32),
        free_raw_data=True,
    )
    return str(lgb.train(settings, data, config.rounds).model_to_string())


def predict(booster: str, features: Floats) -> Floats:
    """Probability of a start: float32 (n,)."""
    import lightgbm as lgb

    if not len(features):
        return np.zeros(0, np.float32)
    told = lgb.Booster(model_str=booster).predict(features, num_threads=_THREADS)
    return np.asarray(told, np.float32)


def save(folder: Path, ranking: Ranking) -> None:
    """Write a ranking into `folder`, made where needed."""
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / "ranking.json"
    document.unlink(missing_ok=True)
    (folder / "booster.txt").write_text(ranking.booster, encoding="utf-8")
    content = {
        "format": FORMAT,
        "features": list(FEATURES),
        "units_per_score": ranking.units_per_score,
        "units_per_new": ranking.units_per_new,
        "config": ranking.config.to_dict(),
    }
    document.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> Ranking:
    """Read a ranking.

    Raises:
        BundleError: The folder is missing, unfinished, damaged, of another format, or was fitted on other
            features than this version builds.
    """
    try:
        document = json.loads((folder / "ranking.json").read_text(encoding="utf-8"))
        booster = (folder / "booster.txt").read_text(encoding="utf-8")
        if document["format"] != FORMAT or tuple(document["features"]) != FEATURES:
            raise BundleError(f"bundle {folder} is of another version; train again")
        config = AssortmentConfig.from_dict(document["config"])
        return Ranking(config, booster, float(document["units_per_score"]), float(document["units_per_new"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"bundle {folder} is missing or damaged ({error}); train again") from error
