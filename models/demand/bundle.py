"""A saved demand model: a folder with `bundle.json` (system, settings, calibration) and the model's files.

Importing this module is light; torch or lightgbm are imported when a bundle of that kind is read or written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.demand.config import BOOSTED, LSTM, STACKED, DemandConfig, from_json
from models.demand.judging import conformal
from models.demand.panel.series import Panel
from models.demand.weekly import stacking
from models.demand.weekly.forecasts import Forecast
from models.errors import BundleError

FORMAT = 1
SYSTEMS = (LSTM, BOOSTED, STACKED)
WEIGHTS = "weights.json"

PanelPredict = Callable[[Panel, int], Forecast]


@dataclass(frozen=True)
class Bundle:
    """A loaded model.

    Attributes:
        system: One of `SYSTEMS`.
        config: Settings it was fitted with.
        calibration: Shifts learnt in its backtest.
        predict: Panel and origin to raw forecast.
    """

    system: str
    config: DemandConfig
    calibration: conformal.Calibration
    predict: PanelPredict


def write(
    folder: Path,
    system: str,
    config: DemandConfig,
    calibration: conformal.Calibration,
    save_model: Callable[[Path], None],
) -> Path:
    """Write a bundle beside its final place and rename it, so that a crash leaves no half bundle.

    Args:
        folder: Final folder; an older bundle there is replaced.
        system: One of `SYSTEMS`.
        config: Settings.
        calibration: Shifts.
        save_model: Writes the model's files into the folder it is given.

    Returns:
        `folder`.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_model(partial)
    document = {
        "format": FORMAT,
        "system": system,
        "config": config.as_json(),
        "calibration": calibration.as_json(),
    }
    (partial / "bundle.json").write_text(json.dumps(document, indent=1, sort_keys=True))
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(partial, folder)
    return folder


def read(folder: Path) -> Bundle:
    """Load a bundle; nothing in it is executed or unpickled.

    Raises:
        BundleError: The folder is missing, incomplete, of another format, or of an unknown system.
    """
    path = folder / "bundle.json"
    if not path.is_file():
        raise BundleError(f"{folder}: no bundle.json; train the demand models again")
    try:
        document = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise BundleError(f"{folder}: bundle format {document['format']}, expected {FORMAT}; train again")
        system = document["system"]
        config = from_json(document["config"])
        calibration = conformal.from_json(document["calibration"])
    except (KeyError, ValueError, TypeError) as error:
        raise BundleError(f"{path}: not a demand bundle ({error}); train again") from error
    return Bundle(system, config, calibration, _predictor(folder, system, config))


def save_stack(
    weights: stacking.Weights, save_member: Mapping[str, Callable[[Path], None]], folder: Path
) -> None:
    """Write the weights, and each fitted member that has one into a folder of its own.

    Args:
        weights: Of all members.
        save_member: What writes a fitted member, by name.
        folder: An existing folder.
    """
    (folder / WEIGHTS).write_text(json.dumps(weights.as_json(), indent=1, sort_keys=True))
    for name in weights.used:
        if name in save_member:
            (folder / name).mkdir()
            save_member[name](folder / name)


def _predictor(folder: Path, system: str, config: DemandConfig) -> PanelPredict:
    """What predicts with the files of a system."""
    horizon = config.horizon
    if system == LSTM:
        from models.demand.weekly import lstm_fit

        network = lstm_fit.load(folder)
        return lambda panel, origin: lstm_fit.predict(network, panel, origin)
    if system == BOOSTED:
        from models.demand.weekly import boosting

        boosters = boosting.load(folder)
        return lambda panel, origin: boosting.predict(boosters, panel, origin, horizon)
    if system == STACKED:
        return _stack(folder, config)
    raise BundleError(f"{folder}: unknown system {system!r}; expected one of {SYSTEMS}")


def _stack(folder: Path, config: DemandConfig) -> PanelPredict:
    try:
        weights = stacking.from_json(json.loads((folder / WEIGHTS).read_text()))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise BundleError(f"{folder / WEIGHTS}: not the weights of a stack ({error}); train again") from error
    fitted = {
        name: _predictor(folder / name, name, config) for name in weights.used if name not in stacking.RULES
    }

    def predict(panel: Panel, origin: int) -> Forecast:
        parts = {
            name: fitted[name](panel, origin)
            if name in fitted
            else stacking.rule(name, panel, origin, config.horizon)
            for name in weights.used
        }
        return stacking.mixed(parts, weights, stacking.kinds(panel, origin))

    return predict
