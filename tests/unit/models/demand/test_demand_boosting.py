"""The product's panel as the general families read it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.demand.config import DemandConfig
from models.demand.panel.general import general
from models.demand.panel.series import Panel
from models.demand.weekly import boosting


def test_the_general_panel_says_what_is_known_and_no_more(small_panel: Panel) -> None:
    told = replace(small_panel, plan_known=np.arange(44) < 42, promo=small_panel.promo + 1)
    panel = general(told, hidden_from=38)
    assert panel.ids[1] == f"{small_panel.category_id[1]}|{small_panel.merchant_id[1]}"
    np.testing.assert_array_equal(panel.target[:, :40], small_panel.qty)
    assert np.isnan(panel.target[:, 40:]).all()
    assert np.isnan(panel.known["display"][:, 38:]).all()
    assert (panel.known["display"][:, :38] == 1).all()
    assert (general(told).known["mailer"][:, :42] == 1).all()
    assert np.isnan(general(told).known["mailer"][:, 42:]).all()
    np.testing.assert_array_equal(panel.known["month_start_share"][0], small_panel.calendar[:, 2])
    assert panel.times == small_panel.weeks


def test_no_week_at_or_after_the_origin_is_read(small_panel: Panel, small_config: DemandConfig) -> None:
    later = small_panel.qty.copy()
    later[:, 30:] += 50
    changed = replace(small_panel, qty=later)
    one, two = (
        boosting.predict(boosting.fit(panel, 30, small_config), panel, 30, 4)
        for panel in (small_panel, changed)
    )
    np.testing.assert_array_equal(one.quantiles, two.quantiles)
    np.testing.assert_array_equal(one.mean, two.mean)
