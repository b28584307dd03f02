"""The product's panel as any family reads one."""

from __future__ import annotations

import numpy as np

from models.data import Panel as GeneralPanel
from models.demand.panel.calendar import CALENDAR_NAMES
from models.demand.panel.series import Panel

PLANS = ("display", "mailer")


def general(panel: Panel, *, hidden_from: int | None = None) -> GeneralPanel:
    """The panel with its weeks to forecast; prices are left out, they are not known in advance.

    Args:
        panel: The product's panel.
        hidden_from: Index of the first week whose promotion plan is not shown; None shows what is known.

    Returns:
        Series by category and merchant, missing weeks NaN; known are the promotion plan (NaN where none is on
        file) and the calendar.
    """
    shape = (panel.n_series, len(panel.weeks))
    target = np.full(shape, np.nan)
    target[:, : panel.n_weeks] = panel.qty
    seen = panel.plan_known.copy()
    if hidden_from is not None:
        seen[hidden_from:] = False
    plans = {
        name: np.where(seen[None, :], panel.promo[:, :, k].astype(np.float64), np.nan)
        for k, name in enumerate(PLANS)
    }
    calendar = {
        name: np.broadcast_to(panel.calendar[:, k].astype(np.float64), shape)
        for k, name in enumerate(CALENDAR_NAMES)
    }
    return GeneralPanel(
        ids=tuple(f"{c}|{m}" for c, m in zip(panel.category_id, panel.merchant_id, strict=True)),
        times=panel.weeks,
        target=target,
        known=plans | calendar,
        static={"category": panel.category_id, "merchant": panel.merchant_id},
        start=panel.start,
    )
