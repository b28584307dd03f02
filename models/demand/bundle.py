"""A saved demand model: a folder with `bundle.json` (system, settings, calibration) and the model's files.

Importing this module is light; torch or lightgbm are imported when a bundle of that kind is read or written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.demand.config import BOOSTED, LSTM, DemandConfig, from_json
from models.demand.judging import conformal
from models.demand.panel.series import Panel
from models.demand.weekly.forecasts import Forecast
from models.errors import BundleError

FORMAT = 1
SYSTEMS = (LSTM, BOOSTED)

PanelPredict = Callable[[Panel, int], Forecast]


@dataclass(frozen=True)
class Bundle:
    """A loaded model.

    Attributes:
        system: `demand_lstm` or `demand_boosted`.
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
    if system == LSTM:
        from models.demand.weekly import lstm_fit

        network = lstm_fit.load(folder)
        return Bundle(system, config, calibration, lambda panel, o: lstm_fit.predict(network, panel, o))
    if system == BOOSTED:
        from models.demand.weekly import boosting

        boosters = boosting.load(folder)
        horizon = config.horizon
        return Bundle(system, config, calibration, lambda p, o: boosting.predict(boosters, p, o, horizon))
    raise BundleError(f"{folder}: unknown system {system!r}; expected one of {SYSTEMS}")
