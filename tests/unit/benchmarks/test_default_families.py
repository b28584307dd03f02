"""What is said to serve is the family where the gate took it, and else the best simple rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from benchmarks.harness import OURS
from benchmarks.models.default_families import SERVED, Trial, rows_of
from models.data import Panel
from models.demand.families.intermittent import Intermittent
from models.demand.families.smoothing import Smoothing
from models.measures import wape
from models.splits import rolling_steps


@pytest.fixture(scope="module")
def tried():
    """ETS on trial against TSB and SBA, on twenty growing series."""
    rng = np.random.default_rng(2)
    units = np.round(30 * 1.02 ** np.arange(60) * np.exp(0.05 * rng.normal(size=(20, 60))))
    weeks = [
        {"shop": shop, "week": week, "units": units[shop, week]} for shop in range(20) for week in range(60)
    ]
    panel = Panel.from_frame(pl.DataFrame(weeks), id="shop", time="week", target="units")
    trial = Trial(Smoothing(), rolling_steps(60, 3, 2), [wape()], [Intermittent("tsb"), Intermittent("sba")])
    return trial, trial.on(panel)


def values(rows, system):
    return {row.metric: row.value for row in rows if row.system == system}


def test_a_promoted_family_serves(tried) -> None:
    trial, found = tried
    rows = rows_of("units", trial, found)
    ours = values(rows, OURS)
    assert ours["units_promoted"] == 1
    assert values(rows, SERVED) == {"units_wape": ours["units_wape"]}


def test_of_a_refused_one_the_best_rule_serves(tried) -> None:
    trial, found = tried
    refused = replace(found, decision=replace(found.decision, promoted=False))
    rows = rows_of("units", trial, refused)
    assert values(rows, OURS)["units_promoted"] == 0
    rules = {name: values(rows, name)["units_wape"] for name in ("tsb", "sba")}
    assert values(rows, SERVED)["units_wape"] == min(rules.values()) < max(rules.values())
