"""Figures of a training run. matplotlib is imported inside; the Agg canvas needs no display."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.contracts import Interval
from models.metrics import BoolArray, FloatArray


def reliability(title: str, label: BoolArray, probability: FloatArray, bins: int = 10) -> Any:
    """Promised against observed frequency in equally filled bins.

    Args:
        title: Figure title.
        label: bool (n,).
        probability: float (n,), 0-1.
        bins: Number of bins.

    Returns:
        A matplotlib figure that is not registered with pyplot, so nothing needs closing.
    """
    figure, axes = _canvas()
    parts = [part for part in np.array_split(np.argsort(probability, kind="stable"), bins) if len(part)]
    promised = [float(probability[part].mean()) for part in parts]
    observed = [float(label[part].mean()) for part in parts]
    top = max(*promised, *observed, 0.05) * 1.05
    axes.plot([0, top], [0, top], color="#b8c4cc", linewidth=1)
    axes.plot(promised, observed, marker="o", color="#1f6f8b")
    axes.set(xlabel="promised", ylabel="observed", xlim=(0, top), ylim=(0, top), title=title)
    return figure


def auc_bars(title: str, systems: Mapping[str, Interval]) -> Any:
    """Mean AUC with its 95% interval, one bar a system, the model first in `systems`."""
    figure, axes = _canvas()
    names = list(systems)[::-1]
    means = [systems[name].mean for name in names]
    below = [systems[name].mean - systems[name].low for name in names]
    above = [systems[name].high - systems[name].mean for name in names]
    colours = ["#b8c4cc"] * (len(names) - 1) + ["#1f6f8b"]
    errors = np.clip([below, above], 0, None)
    axes.barh(names, means, xerr=errors, color=colours, capsize=3)
    axes.set(xlabel="AUC", xlim=(min(0.5, *means), 1), title=title)
    return figure


def gain_bars(title: str, gains: Mapping[str, float], shown: int = 15) -> Any:
    """Share of the total gain of the strongest features, `gains` largest first."""
    figure, axes = _canvas()
    names = list(gains)[:shown][::-1]
    axes.barh(names, [gains[name] for name in names], color="#1f6f8b")
    axes.set(xlabel="share of gain", title=title)
    return figure


def _canvas() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
