"""Lightning without its chatter: fit a network, or go on with a fit that was killed. Imported lazily."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import pickle
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint


class Batches(Protocol):
    """What a network is fitted on; every pass draws from one generator."""

    rng: np.random.Generator

    def __len__(self) -> int:
        """Batches of a pass."""

    def __iter__(self) -> Iterator[Any]:
        """The batches of a pass."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's start-up chatter and its advice on data loaders that do not apply here."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def seeded(seed: int, threads: int) -> Iterator[None]:
    """Torch with a seed, so many threads and repeatable kernels; afterwards everything is as it was."""
    devices = range(torch.cuda.device_count())
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with quiet(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])


def mark_of(*parts: object) -> str:
    """What tells one fit from every other: a hash of its settings (their `repr`) and arrays."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype}{part.shape}".encode())
            found.update(np.ascontiguousarray(part).data)
        else:
            found.update(repr(part).encode())
    return found.hexdigest()[:32]


def train(
    network: pl.LightningModule,
    batches: Batches,
    epochs: int,
    *,
    validation: Iterable[Any] | None = None,
    callbacks: Sequence[pl.Callback] = (),
    checkpoints: Path | None = None,
    mark: str = "",
) -> int:
    """Fit a network, on an accelerator where there is one, and bring it back to the processor.

    Call it inside `seeded`.

    Args:
        network: Changed in place.
        batches: What is learnt from.
        epochs: Passes, at most.
        validation: Looked at after each pass.
        callbacks: Of Lightning; their `state_dict` is kept with a checkpoint.
        checkpoints: Folder that keeps the state after each pass until the fit is done; the same fit goes on
            from there and ends with the very weights that it would have had. None keeps nothing.
        mark: From `mark_of`, of data and settings: a checkpoint of another fit, or of another network or
            library, is not read.

    Returns:
        Passes made, those before a kill included.
    """
    kept = None if checkpoints is None else checkpoints / f"{_mark_with(network, mark)}.ckpt"
    keeping: list[pl.Callback] = []
    if kept is not None:
        saves = ModelCheckpoint(
            kept.parent, kept.stem, save_on_train_epoch_end=True, enable_version_counter=False
        )
        keeping = [_Draws(batches.rng), saves]
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=kept is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        deterministic=True,
        default_root_dir=checkpoints,
        callbacks=[*callbacks, *keeping],
    )
    start = kept if kept is not None and _is_readable(kept) else None
    trainer.fit(network, batches, validation, ckpt_path=start, weights_only=True)
    network.cpu()
    if kept is not None:
        kept.unlink(missing_ok=True)
    return trainer.current_epoch


class _Draws(pl.Callback):
    """The random states from which the next pass goes on; they are kept with a checkpoint."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.restored: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return {
            "batches": json.dumps(self.rng.bit_generator.state),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.restored = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.restored:
            self.rng.bit_generator.state = json.loads(self.restored["batches"])
            torch.set_rng_state(self.restored["torch"].cpu())
            torch.cuda.set_rng_state_all([state.cpu() for state in self.restored["cuda"]])


def _mark_with(network: pl.LightningModule, mark: str) -> str:
    """The mark of a fit by this very network and these libraries: another release does not go on from it."""
    shapes = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
    return mark_of(
        mark, torch.__version__, version("pytorch-lightning"), inspect.getsource(type(network)), shapes
    )


def _is_readable(kept: Path) -> bool:
    """Whether a checkpoint is there and whole; a broken one is removed, and the fit begins anew."""
    if not kept.is_file():
        return False
    try:
        torch.load(kept, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError):
        kept.unlink()
        return False
    return True
