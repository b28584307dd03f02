"""Fit, apply, save and load the LSTM. Imported lazily: importing this module imports torch and lightning.

Weights are saved with `torch.save` and read with `weights_only=True`; settings are JSON. Nothing is written
outside the folder given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from models.demand.config import DemandConfig, from_json
from models.demand.families.trainer import mark_of, seeded, train
from models.demand.panel.series import Bool, Int64, Panel
from models.demand.panel.windows import cut_windows, is_whole, training_pairs
from models.demand.weekly.forecasts import Forecast
from models.demand.weekly.lstm import Batch, DemandLstm
from models.errors import BundleError, InsufficientDataError

FORMAT = 1
PREDICT_ROWS = 4096


@dataclass
class FittedLstm:
    """A fitted network with the ids that its embeddings know.

    Attributes:
        network: The network, in evaluation mode.
        categories: Category ids of embedding rows 1..n.
        merchants: Merchant ids of embedding rows 1..n.
        config: Settings it was fitted with.
        epochs: Epochs run.
        best_epoch: Epochs after which the validation loss was least; equals `epochs` without validation.
    """

    network: DemandLstm
    categories: tuple[str, ...]
    merchants: tuple[str, ...]
    config: DemandConfig
    epochs: int
    best_epoch: int


def _rows(ids: tuple[str, ...], known: tuple[str, ...]) -> Int64:
    """Embedding row of each id; 0 for an id that was not known when fitting."""
    row_of = {name: row for row, name in enumerate(known, start=1)}
    return np.array([row_of.get(name, 0) for name in ids], dtype=np.int64)


def make_batch(
    panel: Panel,
    series: Int64,
    origins: Int64,
    category: Int64,
    merchant: Int64,
    config: DemandConfig,
    hide_plan: Bool | bool = False,
) -> Batch:
    """Windows of (series, origin) pairs as scaled, finite network inputs."""
    w = cut_windows(panel, series, origins, config, hide_plan)
    window, horizon = config.window, config.horizon
    usual = w.promo[:, :window].mean(axis=1, keepdims=True)
    promo = np.concatenate([w.promo / 4, w.promo - usual], axis=2)
    ratio = w.qty / w.scale[:, None]
    past = np.concatenate(
        [
            np.log1p(ratio)[:, :, None],
            w.log_price[:, :, None],
            w.on_sale[:, :, None],
            np.log(w.category_ratio + 0.1)[:, :, None],
            np.log(w.merchant_ratio + 0.1)[:, :, None],
            promo[:, :window],
            w.calendar[:, :window],
        ],
        axis=2,
    )
    steps = np.broadcast_to(np.arange(1, horizon + 1, dtype=np.float32) / horizon, (len(series), horizon))
    last_price = np.repeat(w.log_price[:, -1:], horizon, axis=1)
    summary = np.stack(
        [
            np.log(w.scale) / 3,
            np.clip(np.log(np.maximum(w.expected, 1e-3)), -2, 2),
            ratio[:, -4:].mean(axis=1) - 1,
            ratio[:, -13:].mean(axis=1) - 1,
            np.median(ratio, axis=1) - 1,
            ratio.std(axis=1) - 1,
            (ratio == 0).mean(axis=1),
        ],
        axis=1,
    )
    future = np.concatenate(
        [promo[:, window:], w.calendar[:, window:], steps[:, :, None], last_price[:, :, None]], axis=2
    )
    return Batch(
        past=torch.from_numpy(np.nan_to_num(past).astype(np.float32)),
        future=torch.from_numpy(np.nan_to_num(future).astype(np.float32)),
        summary=torch.from_numpy(np.nan_to_num(summary).astype(np.float32)),
        category=torch.from_numpy(category[series]),
        merchant=torch.from_numpy(merchant[series]),
        scale=torch.from_numpy(w.scale),
        target=torch.from_numpy(w.target),
    )


class _Epochs:
    """Batches of randomly drawn windows; each pass draws anew from the seeded generator."""

    def __init__(self, panel: Panel, cut: int, rows: tuple[Int64, Int64], config: DemandConfig) -> None:
        self.panel, self.rows, self.config = panel, rows, config
        self.pairs = training_pairs(panel, cut, config)
        wanted = panel.n_series * config.lstm.samples_per_series
        self.size = min(wanted, len(self.pairs[0]))
        self.rng = np.random.default_rng(config.seed)

    def __len__(self) -> int:
        return -(-self.size // self.config.lstm.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        chosen = self.rng.choice(len(self.pairs[0]), self.size, replace=False)
        for begin in range(0, self.size, self.config.lstm.batch_size):
            take = chosen[begin : begin + self.config.lstm.batch_size]
            # Half of the windows are shown without their plan: in use it is often not published yet.
            hide = self.rng.random(len(take)) < 0.5
            yield make_batch(
                self.panel, self.pairs[0][take], self.pairs[1][take], *self.rows, self.config, hide
            )


class _Whole:
    """The validation windows: every series at one origin of which no week is missing."""

    def __init__(self, panel: Panel, origin: int, rows: tuple[Int64, Int64], config: DemandConfig) -> None:
        begun = panel.start + config.min_history <= origin
        series = np.flatnonzero(begun & is_whole(panel, origin, config.horizon))
        if not len(series):
            raise InsufficientDataError(
                f"demand_lstm: every series misses a week of {origin} to {origin + config.horizon - 1}, "
                "by which its training would be stopped"
            )
        origins = np.full(len(series), origin, dtype=np.int64)
        self.batch = make_batch(panel, series, origins, *rows, config)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batch]:
        yield self.batch


class _BestWeights(pl.Callback):
    """Keep the weights of the best validation pass in memory; stop after `patience` worse ones."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = float("inf")
        self.best_epoch = 0
        self.weights: dict[str, torch.Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
        self.weights = state_dict["weights"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A fit that was killed after its last epoch makes no further one.
        trainer.should_stop = self.best_epoch > 0 and trainer.current_epoch - self.best_epoch >= self.patience

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        value = float(trainer.callback_metrics["validation_pinball"])
        epoch = trainer.current_epoch + 1
        if value < self.best:
            self.best, self.best_epoch = value, epoch
            self.weights = {name: value.cpu().clone() for name, value in pl_module.state_dict().items()}
        elif epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True


def fit(
    panel: Panel,
    cut: int,
    config: DemandConfig,
    *,
    epochs: int | None = None,
    checkpoints: Path | None = None,
) -> FittedLstm:
    """Fit the network on weeks before `cut`.

    Args:
        panel: The panel.
        cut: Week index; no target at or after it is seen.
        config: Settings.
        epochs: None: the last `horizon` weeks before `cut` are held out and stop the training early. A
            number: exactly that many epochs on everything before `cut`.
        checkpoints: Folder that keeps the state after each epoch until the fit is done; after a kill the same
            fit goes on from there, to the same weights. None keeps nothing.

    Returns:
        The network with the best validation loss, or the last one. Same inputs and thread count give the
        same weights; the global random state is left as it was.

    Raises:
        InsufficientDataError: No window fits before `cut`.
        ModelError: The loss became infinite or NaN.
    """
    categories = tuple(sorted(set(panel.category_id)))
    merchants = tuple(
        sorted({m for m, pooled in zip(panel.merchant_id, panel.is_pooled, strict=True) if not pooled})
    )
    rows = (_rows(panel.category_id, categories), _rows(panel.merchant_id, merchants))
    train_cut = cut if epochs is not None else cut - config.horizon
    batches = _Epochs(panel, train_cut, rows, config)
    if batches.size == 0:
        raise InsufficientDataError(
            f"demand_lstm: no window of {config.min_history}+{config.horizon} weeks before week {train_cut}"
        )
    probe = make_batch(panel, batches.pairs[0][:1], batches.pairs[1][:1], *rows, config)
    limit = epochs if epochs is not None else config.lstm.epochs
    keeper = _BestWeights(config.lstm.patience)
    with seeded(config.seed, config.threads):
        network = DemandLstm(
            config.lstm,
            len(categories),
            len(merchants),
            probe.past.shape[2],
            probe.future.shape[2],
            probe.summary.shape[1],
            # The schedule spans the configured epochs, so a shorter final fit follows the same curve.
            total_steps=len(batches) * max(config.lstm.epochs, limit) + 1,
        )
        made = train(
            network,
            batches,
            limit,
            validation=_Whole(panel, train_cut, rows, config) if epochs is None else None,
            callbacks=[keeper] if epochs is None else [],
            checkpoints=checkpoints,
            mark=_mark(panel, cut, config, limit, epochs is None) if checkpoints else "",
        )
    if epochs is None:
        network.load_state_dict(keeper.weights)
    network.eval()
    best = keeper.best_epoch if epochs is None else limit
    return FittedLstm(network, categories, merchants, config, made, best)


def _mark(panel: Panel, cut: int, config: DemandConfig, limit: int, is_validated: bool) -> str:
    """What the fit depends on: a checkpoint of anything else is not gone on from."""
    arrays = [value for value in vars(panel).values() if isinstance(value, np.ndarray)]
    ids = panel.category_id, panel.merchant_id, panel.weeks
    return mark_of(config, cut, limit, is_validated, *ids, *arrays)


def predict(fitted: FittedLstm, panel: Panel, origin: int, *, hide_plan: bool = False) -> Forecast:
    """Forecast every series of the panel at one origin.

    Args:
        fitted: The network.
        panel: The panel; its ids may differ from the fitted ones (unknown ids share row 0).
        origin: Index of the first week to forecast, at most T.
        hide_plan: Pretend that the promotion plan ahead is not known.

    Returns:
        Units a week.
    """
    config = fitted.config
    rows = (_rows(panel.category_id, fitted.categories), _rows(panel.merchant_id, fitted.merchants))
    quantiles, means = [], []
    with torch.inference_mode():
        for begin in range(0, panel.n_series, PREDICT_ROWS):
            series = np.arange(begin, min(begin + PREDICT_ROWS, panel.n_series))
            origins = np.full(len(series), origin, dtype=np.int64)
            batch = make_batch(panel, series, origins, *rows, config, hide_plan)
            quantile, mean = fitted.network(batch)
            scale = batch.scale.double()
            quantiles.append((quantile.double() * scale[:, None, None]).numpy())
            means.append((mean.double() * scale[:, None]).numpy())
    return Forecast(np.concatenate(means), np.concatenate(quantiles))


def save(fitted: FittedLstm, folder: Path) -> None:
    """Write `weights.pt` and `network.json` into an existing folder."""
    torch.save(fitted.network.state_dict(), folder / "weights.pt")
    document: dict[str, Any] = {
        "format": FORMAT,
        "config": fitted.config.as_json(),
        "categories": fitted.categories,
        "merchants": fitted.merchants,
        "past_inputs": fitted.network.encoder.input_size,
        "future_inputs": fitted.network.future_inputs,
        "summary_inputs": fitted.network.summary_inputs,
        "epochs": fitted.epochs,
        "best_epoch": fitted.best_epoch,
    }
    (folder / "network.json").write_text(json.dumps(document, indent=1, sort_keys=True))


def load(folder: Path) -> FittedLstm:
    """Read what `save` wrote; no code from the files is run.

    Raises:
        BundleError: A file is missing, of another format, or does not fit the network.
    """
    try:
        document = json.loads((folder / "network.json").read_text())
        if document["format"] != FORMAT:
            raise BundleError(
                f"{folder}: network format {document['format']}, expected {FORMAT}; train again"
            )
        config = from_json(document["config"])
        categories, merchants = tuple(document["categories"]), tuple(document["merchants"])
        network = DemandLstm(
            config.lstm,
            len(categories),
            len(merchants),
            document["past_inputs"],
            document["future_inputs"],
            document["summary_inputs"],
            total_steps=1,
        )
        network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True, map_location="cpu"))
    except BundleError:
        raise
    except Exception as error:
        raise BundleError(f"{folder}: not a readable LSTM bundle ({error}); train again") from error
    network.eval()
    return FittedLstm(network, categories, merchants, config, document["epochs"], document["best_epoch"])
