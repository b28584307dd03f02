"""The recurrent network as a LightningModule: encoder, decoder with known inputs, monotone quantile head.

Imported lazily: importing this module imports torch and pytorch-lightning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError

LARGEST_LOG = 9.0
"""Bound of what the head may say: a factor of 8,000 around a series' scale."""


class Batch(NamedTuple):
    """One batch of windows.

    Attributes:
        past: float32 (b, window, p), scaled history.
        ahead: float32 (b, h, f), standardised inputs of each step, finite.
        static: int64 (b, s), numbers of the static words; 0 is unknown.
        target: float32 (b, h), log ratio to the scale; NaN where not observed.
        weight: float32 (b,).
    """

    past: Tensor
    ahead: Tensor
    static: Tensor
    target: Tensor
    weight: Tensor


class MonotoneHead(nn.Module):
    """Quantiles of a log ratio that cannot cross for any weights.

    The middle quantile is a linear unit; its neighbours are softplus increments away on both sides.
    """

    def __init__(self, width: int, n_levels: int) -> None:
        super().__init__()
        self.middle = n_levels // 2
        self.linear = nn.Linear(width, n_levels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Log quantiles (..., q), ascending, within `LARGEST_LOG`."""
        raw = self.linear(hidden)
        middle = raw[..., self.middle : self.middle + 1]
        below = functional.softplus(raw[..., : self.middle])
        above = functional.softplus(raw[..., self.middle + 1 :])
        low = middle - below.flip(-1).cumsum(-1).flip(-1)
        high = middle + above.cumsum(-1)
        return torch.cat([low, middle, high], dim=-1).clamp(-LARGEST_LOG, LARGEST_LOG)


def pinball_loss(target: Tensor, quantiles: Tensor, levels: Sequence[float]) -> Tensor:
    """Pinball loss of each point, mean over the levels.

    Args:
        target: float (...,).
        quantiles: float (..., q).
        levels: The q levels.

    Returns:
        float (...,), never negative.
    """
    at = quantiles.new_tensor(levels)
    error = target[..., None] - quantiles
    return torch.maximum(at * error, (at - 1) * error).mean(dim=-1)


class Network(pl.LightningModule):
    """Encoder over the history, decoder over the steps ahead, quantile head.

    Args:
        hidden: Units of both recurrent layers.
        embedding: Width of the embedding of each static name.
        words: Number of known words of each static name.
        past_inputs: Inputs of a past period.
        step_inputs: Inputs of a step ahead.
        levels: Quantiles, ascending.
        dropout: Share of units dropped while training.
        learning_rate: Peak of the one-cycle schedule.
        total_steps: Optimiser steps of the schedule.
    """

    def __init__(
        self,
        *,
        hidden: int,
        embedding: int,
        words: Sequence[int],
        past_inputs: int,
        step_inputs: int,
        levels: Sequence[float],
        dropout: float,
        learning_rate: float,
        total_steps: int,
    ) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.learning_rate, self.total_steps = learning_rate, total_steps
        tables = [nn.Embedding(count + 1, embedding) for count in words]
        for table in tables:
            nn.init.normal_(table.weight, std=0.1)
            nn.init.zeros_(table.weight[0])
        self.embeddings = nn.ModuleList(tables)
        self.step_inputs = step_inputs
        width = step_inputs + embedding * len(words)
        self.encoder = nn.LSTM(past_inputs, hidden, batch_first=True)
        self.decoder = nn.LSTM(width, hidden, batch_first=True)
        self.body = nn.Sequential(
            nn.Linear(hidden + width, 2 * hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * hidden, hidden),
            nn.GELU(),
        )
        self.head = MonotoneHead(hidden, len(self.levels))

    def forward(self, batch: Batch) -> Tensor:
        """Log quantiles over the scale, float32 (b, h, q)."""
        static = [table(batch.static[:, k]) for k, table in enumerate(self.embeddings)]
        steps = batch.ahead.shape[1]
        known = torch.cat([batch.ahead, *(one[:, None].expand(-1, steps, -1) for one in static)], dim=2)
        _, state = self.encoder(batch.past)
        decoded, _ = self.decoder(known, state)
        logs: Tensor = self.head(self.body(torch.cat([decoded, known], dim=2)))
        return logs

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Weighted pinball loss of log ratios over what was observed, scalar.

        Raises:
            ModelError: The loss is not finite; a broken network is never saved.
        """
        weight = batch.weight[:, None] * torch.isfinite(batch.target)
        loss = pinball_loss(torch.nan_to_num(batch.target), self(batch), self.levels)
        total = (weight * loss).sum() / weight.sum().clamp_min(1e-6)
        if not bool(torch.isfinite(total)):
            raise ModelError(f"recurrent: loss is {float(total)} at batch {index}; check the inputs")
        return total

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle rate over `total_steps`."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=self.learning_rate, total_steps=self.total_steps, pct_start=0.2
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
