"""A global LSTM forecaster for any panel. Imported lazily: importing this module imports torch.

Weights are saved as NumPy arrays, settings as JSON; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from models.data import Panel
from models.demand.families.boosted import numbered, training_pairs
from models.demand.families.forecast import Forecast
from models.demand.families.functionals import expectation
from models.demand.families.inputs import Float32, Inputs, Int64, Reader
from models.demand.families.network import Batch, Network
from models.demand.families.trainer import mark_of, seeded, train
from models.errors import InsufficientDataError
from models.metrics import FloatArray
from models.store import bundles

KIND = "demand_recurrent"
FORMAT = 2
LARGEST_INPUT = 5.0
SEEN_SHARE = 0.005
SEEN_ROWS = 20_000
PREDICT_ROWS = 4096
WEIGHT = "weight "


@dataclass(frozen=True)
class RecurrentConfig:
    """Settings of `Recurrent`.

    Attributes:
        steps: Steps ahead that are trained, ascending.
        levels: Quantiles, ascending, an odd number of them.
        window: Periods that the encoder reads; their mean is a series' scale.
        min_history: Fewest periods since a series' start before an origin is used for training.
        hidden_share: Share of the training windows that are shown without their plans.
        weight_power: A window weighs as its scale to this power; 0 weighs series alike, 1 units.
        hidden: Units of the recurrent layers.
        embedding: Width of each static name's embedding.
        dropout: Share of units dropped while training.
        epochs: Passes over all windows.
        refresh_epochs: Passes over the newest `refresh_periods` origins when a fit starts from an older one.
        refresh_periods: See there.
        batch_size: Windows a step.
        learning_rate: Peak of the one-cycle schedule.
        threads: CPU threads.
        seed: Seed of every draw.
    """

    steps: tuple[int, ...] = (1, 2, 3, 4)
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    window: int = 26
    min_history: int = 12
    hidden_share: float = 0.0
    weight_power: float = 0.0
    hidden: int = 64
    embedding: int = 8
    dropout: float = 0.3
    epochs: int = 6
    refresh_epochs: int = 2
    refresh_periods: int = 52
    batch_size: int = 512
    learning_rate: float = 2e-3
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Standard:
    """What makes inputs comparable, as of the first fit.

    Beyond what was seen a network says anything, exponentially: inputs are held within it.

    Attributes:
        centre: float64 (f,).
        width: float64 (f,).
        low: float64 (f,), `SEEN_SHARE` of the values lay below.
        high: float64 (f,), as many lay above.
    """

    centre: FloatArray
    width: FloatArray
    low: FloatArray
    high: FloatArray

    def apply(self, values: Float32, plans: list[int]) -> Float32:
        """Standardised inputs, 0 where missing, with a mark (1 is missing) for each plan.

        Args:
            values: float32 (b, h, f).
            plans: Columns that are known inputs.

        Returns:
            float32 (b, h, f + len(plans)), within `LARGEST_INPUT`.
        """
        inside = np.clip(values, self.low, self.high)
        scaled = np.clip((inside - self.centre) / self.width, -LARGEST_INPUT, LARGEST_INPUT)
        missing = np.isnan(values[..., plans])
        return np.concatenate([np.nan_to_num(scaled), missing], axis=2).astype(np.float32)


@dataclass(frozen=True)
class FittedRecurrent:
    """A fitted network with what its inputs need.

    Attributes:
        config: Settings.
        codes: Number of each static word, by name.
        standard: Centre and width of the inputs.
        network: The network, in evaluation mode.
    """

    config: RecurrentConfig
    codes: dict[str, dict[str, int]]
    standard: Standard
    network: Network

    def predict(self, panel: Panel, origin: int, horizon: int) -> Forecast:
        """Forecast every series of the panel.

        Args:
            panel: The panel; its times reach to the last step.
            origin: Index of the first period to forecast; nothing observed from there on is read.
            horizon: Periods ahead.

        Returns:
            Units; the quantiles cannot cross, the mean is that of the distribution that they draw.
        """
        series = np.arange(len(panel.ids), dtype=np.int64)
        origins = np.full_like(series, origin)
        source = _Source(panel, self.config, self.codes)
        inputs = source.reader.read(series, origins, range(1, horizon + 1))
        batches = _Batches(source, inputs, series, origins, self.standard, np.zeros(len(series)))
        with torch.inference_mode():
            logs = [
                self.network(batches.take(series[at : at + PREDICT_ROWS])).double().numpy()
                for at in range(0, len(series), PREDICT_ROWS)
            ]
        quantiles = inputs.to_units(np.concatenate(logs))
        return Forecast(expectation(quantiles, self.config.levels), quantiles, self.config.levels)

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the quantiles, ascending."""
        return self.config.levels

    def save(self, folder: Path) -> None:
        """Write the bundle; `load` reads it."""
        weights = {f"{WEIGHT}{name}": value.numpy() for name, value in self.network.state_dict().items()}
        document = {
            "config": asdict(self.config),
            "codes": self.codes,
            "past_inputs": self.network.encoder.input_size,
            "step_inputs": self.network.step_inputs,
        }
        bundles.write(folder, KIND, FORMAT, document, arrays=weights | vars(self.standard))


class _Source:
    """What batches of one panel are cut from."""

    def __init__(self, panel: Panel, config: RecurrentConfig, codes: dict[str, dict[str, int]]) -> None:
        self.panel, self.config = panel, config
        self.reader = Reader(panel, config.window, codes)
        self.static = np.zeros((len(panel.ids), len(codes)), dtype=np.int64)
        for column, (name, known_words) in enumerate(codes.items()):
            self.static[:, column] = [known_words.get(word, -1) + 1 for word in panel.static[name]]
        seen = np.isfinite(self.reader.logs)
        known = []
        for name, values in panel.known.items():
            centre = np.nanmean(np.where(np.isfinite(values).any(axis=1, keepdims=True), values, 0.0), axis=1)
            known.append(np.nan_to_num((values - centre[:, None]) / self.reader.spread[name]))
        season = [np.broadcast_to(np.nan_to_num(wave), seen.shape) for wave in self.reader.season]
        self.past = np.stack([seen, *known, *season], axis=2).astype(np.float32)

    def history(self, series: Int64, origins: Int64, log_scale: FloatArray) -> Float32:
        """Scaled histories, float32 (b, window, p); 0 where nothing was observed."""
        columns = origins[:, None] + np.arange(-self.config.window, 0)[None, :]
        inside = columns >= 0
        at = (series[:, None], np.maximum(columns, 0))
        logs = np.where(inside, self.reader.logs[at], np.nan) - log_scale[:, None]
        rest = self.past[at] * inside[..., None]
        return np.concatenate([np.nan_to_num(logs)[..., None], rest], axis=2).astype(np.float32)


class _Batches:
    """Batches of given windows in random order; each pass draws anew from the seeded generator."""

    def __init__(
        self,
        source: _Source,
        inputs: Inputs,
        series: Int64,
        origins: Int64,
        standard: Standard,
        weight: FloatArray,
    ) -> None:
        self.source, self.series, self.origins = source, series, origins
        self.log_scale, self.weight = inputs.log_scale, weight
        plans = [inputs.names.index(name) for name in source.panel.known]
        self.ahead = standard.apply(inputs.values, plans)
        self.target = inputs.target
        self.size = source.config.batch_size
        self.rng = np.random.default_rng(source.config.seed)

    def __len__(self) -> int:
        return -(-len(self.series) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.rng.permutation(len(self.series))
        for at in range(0, len(order), self.size):
            yield self.take(order[at : at + self.size])

    def take(self, chosen: Int64) -> Batch:
        """The batch of some windows."""
        series, log_scale = self.series[chosen], self.log_scale[chosen]
        return Batch(
            past=torch.from_numpy(self.source.history(series, self.origins[chosen], log_scale)),
            ahead=torch.from_numpy(self.ahead[chosen]),
            static=torch.from_numpy(self.source.static[series]),
            target=torch.from_numpy(self.target[chosen].astype(np.float32)),
            weight=torch.from_numpy(self.weight[chosen].astype(np.float32)),
        )


@dataclass(frozen=True)
class Recurrent:
    """The family.

    Attributes:
        config: Settings.
        name: How leaderboards call it.
        checkpoints: Folder in which a fit keeps its state after each pass until it is done: after a kill the
            same fit goes on from there, to the same weights. None keeps nothing.
    """

    config: RecurrentConfig = RecurrentConfig()
    name: str = "lstm"
    checkpoints: Path | None = None

    def fit(self, panel: Panel, until: int, start: FittedRecurrent | None = None) -> FittedRecurrent:
        """Fit on targets before a period.

        Args:
            panel: The panel.
            until: Index of the first period that is not seen.
            start: An older fit of the same panel to go on from: a few passes over the newest origins.

        Returns:
            The network; same inputs and thread count give the same weights, and the global random state is
            left as it was.

        Raises:
            InsufficientDataError: No series has a target after `min_history` periods before `until`.
            ModelError: The loss became infinite or NaN.
        """
        config = self.config
        codes = numbered(panel.static) if start is None else start.codes
        series, origins = training_pairs(panel, until, config.min_history, 1)
        if start is not None:
            newest = origins >= until - config.refresh_periods
            series, origins = series[newest], origins[newest]
        rng = np.random.default_rng(config.seed)
        hidden = rng.random(len(series)) < config.hidden_share
        source = _Source(panel, config, codes)
        inputs = source.reader.read(series, origins, config.steps, hidden)
        ahead = origins[:, None] + np.asarray(config.steps)[None, :] - 1
        target = np.where(ahead < until, inputs.target, np.nan)
        usable = np.asarray(np.isfinite(target).any(axis=1), dtype=np.bool_)
        if not usable.any():
            raise InsufficientDataError(
                f"recurrent: no target after {config.min_history} observed periods before period {until}"
            )
        inputs = inputs.part(usable, target)
        standard = (
            _standard(inputs.values, [inputs.names.index(name) for name in codes])
            if start is None
            else start.standard
        )
        weight = np.exp(config.weight_power * inputs.log_scale)
        batches = _Batches(source, inputs, series[usable], origins[usable], standard, weight / weight.mean())
        epochs = config.epochs if start is None else config.refresh_epochs
        rate = config.learning_rate if start is None else config.learning_rate / 4
        with seeded(config.seed, config.threads):
            probe = batches.take(np.arange(1))
            network = _network(
                config, codes, probe.past.shape[2], probe.ahead.shape[2], rate, len(batches) * epochs + 1
            )
            if start is not None:
                network.load_state_dict(start.network.state_dict())
            mark = ""
            if self.checkpoints is not None:
                weights = [value.numpy() for value in network.state_dict().values()]
                data = batches.ahead, batches.target, batches.weight, batches.series, batches.origins
                past = source.panel.target[:, :until]
                mark = mark_of(config, epochs, until, codes, past, *data, *weights)
            train(network, batches, epochs, checkpoints=self.checkpoints, mark=mark)
        network.eval()
        return FittedRecurrent(config, codes, standard, network)


def _network(
    config: RecurrentConfig,
    codes: dict[str, dict[str, int]],
    past_inputs: int,
    step_inputs: int,
    rate: float,
    total_steps: int,
) -> Network:
    return Network(
        hidden=config.hidden,
        embedding=config.embedding,
        words=[len(words) for words in codes.values()],
        past_inputs=past_inputs,
        step_inputs=step_inputs,
        levels=config.levels,
        dropout=config.dropout,
        learning_rate=rate,
        total_steps=total_steps,
    )


def _standard(values: Float32, numbers: list[int]) -> Standard:
    """How each input is spread; columns that number words say nothing by their size and become 0."""
    flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
    known = np.isfinite(flat)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, flat, 0.0).sum(axis=0) / count
    width = np.sqrt((np.where(known, flat - centre, 0.0) ** 2).sum(axis=0) / count)
    width = np.where(width > 1e-6, width, 1.0)
    width[numbers] = np.inf
    rows = np.where(known, flat, np.nan)[:: max(1, len(flat) // SEEN_ROWS)]
    rows[0] = np.where(np.isnan(rows).all(axis=0), 0.0, rows[0])
    low, high = np.nanquantile(rows, [SEEN_SHARE, 1 - SEEN_SHARE], axis=0)
    return Standard(centre, width, low, high)


def load(folder: Path) -> FittedRecurrent:
    """Read what `FittedRecurrent.save` wrote; no code from the files is run.

    Raises:
        BundleError: The bundle is missing, of another format, damaged, or does not fit the network.
    """
    return bundles.read(folder, KIND, FORMAT).build(_built)


def _built(bundle: bundles.Bundle) -> FittedRecurrent:
    values, arrays = bundle.document["config"], bundle.arrays
    config = RecurrentConfig(**values | {name: tuple(values[name]) for name in ("steps", "levels")})
    codes = bundle.document["codes"]
    inputs = bundle.document["past_inputs"], bundle.document["step_inputs"]
    network = _network(config, codes, *inputs, rate=1e-3, total_steps=1)
    weights = {
        name.removeprefix(WEIGHT): torch.from_numpy(value)
        for name, value in arrays.items()
        if name.startswith(WEIGHT)
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    network.eval()
    standard = Standard(**{name: arrays[name] for name in ("centre", "width", "low", "high")})
    return FittedRecurrent(config, codes, standard, network)
