"""The LSTM network as a LightningModule: encoder, decoder, monotone quantile head, mean head, loss.

Imported lazily: importing this module imports torch and pytorch-lightning. Windows, fitting and files live
in `lstm_fit`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.demand.config import QUANTILES, LstmConfig
from models.errors import ModelError


class Batch(NamedTuple):
    """One batch of windows.

    Attributes:
        past: float32 (b, window, past inputs).
        future: float32 (b, horizon, future inputs).
        summary: float32 (b, summary inputs), level, spread and expectation of the window.
        category: int64 (b,), embedding row; 0 is unknown.
        merchant: int64 (b,), embedding row; 0 is unknown or pooled.
        scale: float32 (b,), mean units a week in the window, above 0.
        target: float32 (b, horizon), units a week; empty when predicting.
    """

    past: Tensor
    future: Tensor
    summary: Tensor
    category: Tensor
    merchant: Tensor
    scale: Tensor
    target: Tensor


class QuantileHead(nn.Module):
    """Quantiles that cannot cross, and a mean: every increment passes through softplus.

    The lowest quantile is softplus of a linear unit, each higher one adds a softplus increment, so
    0 <= q10 <= q50 <= q90 holds for any weights.
    """

    def __init__(self, width: int, n_quantiles: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, n_quantiles + 1)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Quantiles (..., Q), ascending, and mean (...), in units of the series' scale."""
        raw = functional.softplus(self.linear(hidden))
        return torch.cumsum(raw[..., :-1], dim=-1), raw[..., -1] + 1e-4


def pinball_loss(target: Tensor, quantiles: Tensor) -> Tensor:
    """Pinball loss of each point, mean over `QUANTILES`.

    Args:
        target: float (...,).
        quantiles: float (..., Q).

    Returns:
        float (...,), never negative.
    """
    levels = quantiles.new_tensor(QUANTILES)
    error = target[..., None] - quantiles
    return torch.maximum(levels * error, (levels - 1) * error).mean(dim=-1)


class DemandLstm(pl.LightningModule):
    """Global encoder-decoder over scaled weekly sales.

    Args:
        config: Sizes and rates.
        n_categories: Known categories; one embedding row more is kept for the unknown.
        n_merchants: Known merchants; the same.
        past_inputs: Inputs of a past week.
        future_inputs: Inputs of a future week.
        summary_inputs: Summary inputs of a window.
        total_steps: Optimiser steps of the one-cycle schedule.
    """

    def __init__(
        self,
        config: LstmConfig,
        n_categories: int,
        n_merchants: int,
        past_inputs: int,
        future_inputs: int,
        summary_inputs: int,
        total_steps: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.total_steps = total_steps
        self.future_inputs, self.summary_inputs = future_inputs, summary_inputs
        self.category = nn.Embedding(n_categories + 1, config.category_dim)
        self.merchant = nn.Embedding(n_merchants + 1, config.merchant_dim)
        static = config.category_dim + config.merchant_dim + summary_inputs
        self.encoder = nn.LSTM(past_inputs, config.hidden, batch_first=True)
        self.decoder = nn.LSTM(future_inputs + static, config.hidden, batch_first=True)
        self.state = nn.Linear(config.hidden + static, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.head = QuantileHead(config.hidden + summary_inputs, len(QUANTILES))
        for embedding in (self.category, self.merchant):
            nn.init.normal_(embedding.weight, std=0.1)
            nn.init.zeros_(embedding.weight[0])

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Quantiles (b, horizon, Q) and mean (b, horizon) in units of the scale."""
        static = torch.cat(
            [
                self.dropout(self.category(batch.category)),
                self.dropout(self.merchant(batch.merchant)),
                batch.summary,
            ],
            dim=1,
        )
        _, (hidden, cell) = self.encoder(batch.past)
        start = torch.tanh(self.state(torch.cat([hidden[0], static], dim=1)))[None]
        steps = batch.future.shape[1]
        known = torch.cat([batch.future, static[:, None].expand(-1, steps, -1)], dim=2)
        decoded, _ = self.decoder(known, (start, cell))
        # The summary reaches the head directly: the network only has to learn what departs from it.
        context = batch.summary[:, None].expand(-1, steps, -1)
        quantiles, mean = self.head(torch.cat([self.dropout(decoded), context], dim=2))
        return quantiles, mean

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Pinball loss in units over units sold, and the mean head's Poisson loss, both scalars."""
        quantiles, mean = self(batch)
        target = batch.target / batch.scale[:, None]
        weight = (batch.scale / batch.scale.mean())[:, None]
        pinball = (weight * pinball_loss(target, quantiles)).mean()
        poisson = (weight * (mean - target * torch.log(mean))).mean()
        return pinball, poisson

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of one batch.

        Raises:
            ModelError: The loss is not finite; a broken model is never saved.
        """
        pinball, poisson = self.losses(batch)
        loss = pinball + self.config.mean_weight * poisson
        if not bool(torch.isfinite(loss)):
            raise ModelError(
                f"{type(self).__name__}: loss is {float(loss)} at batch {index}; check the inputs"
            )
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Record the validation pinball loss."""
        pinball, _ = self.losses(batch)
        self.log("validation_pinball", pinball, batch_size=len(batch.scale), prog_bar=False, logger=False)

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle rate over `total_steps`."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.config.learning_rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=self.config.learning_rate, total_steps=self.total_steps, pct_start=0.2
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
