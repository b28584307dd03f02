"""Lifecycle bundles on disk: the booster as text, two arrays of the calibration and one JSON document.

The JSON document is written last: a folder without it is an unfinished one and is refused. No pickle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import BundleError, ModelError
from models.lifecycle.boosting import predict
from models.lifecycle.config import LifecycleConfig
from models.lifecycle.features.tasks import feature_names
from models.lifecycle.judging.calibration import Calibration
from models.metrics import FloatArray

FORMAT = 1


@dataclass(frozen=True)
class Bundle:
    """A fitted model.

    Attributes:
        name: `lifecycle_churn` or `lifecycle_rebuy`.
        config: Settings of the family when it was fitted.
        booster: LightGBM's text form.
        calibration: From raw probability to frequency.
    """

    name: str
    config: LifecycleConfig
    booster: str
    calibration: Calibration

    def probability(self, values: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> FloatArray:
        """Calibrated probability of rows of features, float64 (n,)."""
        return self.calibration.apply(predict(self.booster, values, self.config.threads))


def save(folder: Path, bundle: Bundle) -> None:
    """Write a bundle into `folder`, made where needed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").unlink(missing_ok=True)
    (folder / "booster.txt").write_text(bundle.booster, encoding="utf-8")
    document = {
        "format": FORMAT,
        "name": bundle.name,
        "features": feature_names(bundle.name),
        "config": bundle.config.to_dict(),
        "calibration": {
            "kind": bundle.calibration.kind,
            "knots": bundle.calibration.knots.tolist(),
            "values": bundle.calibration.values.tolist(),
        },
    }
    (folder / "bundle.json").write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")


def features_of(folder: Path) -> tuple[str, ...]:
    """Names of the features that a bundle was fitted on.

    Raises:
        BundleError: The folder is missing or unfinished.
    """
    try:
        return tuple(json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["features"])
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"bundle {folder} is missing or unfinished ({error}); train again") from error


def name_of(folder: Path) -> str:
    """Name of the model that a bundle holds.

    Raises:
        BundleError: The folder is missing or unfinished.
    """
    try:
        return str(json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"bundle {folder} is missing or unfinished ({error}); train again") from error


def load(folder: Path, name: str) -> Bundle:
    """Read a bundle.

    Raises:
        BundleError: The folder is missing, unfinished, damaged, of another model or format, or was fitted on
            other features than this version builds.
    """
    try:
        document = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        booster = (folder / "booster.txt").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BundleError(f"bundle {folder} is missing or unfinished ({error}); train again") from error
    if document.get("format") != FORMAT or document.get("name") != name:
        raise BundleError(
            f"bundle {folder} is {document.get('name')} format {document.get('format')}, wanted {name} "
            f"format {FORMAT}; train again"
        )
    if tuple(document.get("features", ())) != feature_names(name):
        raise BundleError(
            f"bundle {folder} was fitted on other features than this version builds; train again"
        )
    try:
        curve = document["calibration"]
        if curve["kind"] not in ("platt", "isotonic"):
            raise ValueError(f"unknown calibration {curve['kind']}")
        calibration = Calibration(
            curve["kind"], np.array(curve["knots"], np.float64), np.array(curve["values"], np.float64)
        )
        return Bundle(name, LifecycleConfig.from_dict(document["config"]), booster, calibration)
    except (KeyError, TypeError, ValueError, ModelError) as error:
        raise BundleError(f"bundle {folder} is damaged ({error}); train again") from error
