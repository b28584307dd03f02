"""Figures of a training run. matplotlib is imported inside; the Agg canvas needs no display."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.contracts import Interval


def system_bars(title: str, values: Mapping[str, Mapping[str, Interval]]) -> Any:
    """Bars with 95% intervals: one panel a metric, one bar a system.

    Args:
        title: Figure title.
        values: Metric to system to interval.

    Returns:
        A matplotlib figure that is not registered with pyplot, so nothing needs closing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * max(len(values), 1), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, max(len(values), 1), squeeze=False)[0]
    for panel, (metric, systems) in zip(axes, values.items(), strict=False):
        names = list(systems)
        means = [systems[name].mean for name in names]
        below = [systems[name].mean - systems[name].low for name in names]
        above = [systems[name].high - systems[name].mean for name in names]
        colours = ["#1f6f8b" if place == len(names) - 1 else "#b8c4cc" for place in range(len(names))]
        panel.barh(names, means, xerr=[below, above], color=colours, capsize=3)
        panel.set_xlabel(metric)
        panel.set_xlim(left=0)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure
