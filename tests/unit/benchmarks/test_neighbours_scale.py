"""The benchmark of neighbours: its world, its exponent, and what it reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import neighbours_scale
from benchmarks.models.neighbours_scale import BASKETS, ITEMS, KNOWN, world


def test_the_world_is_drawn_again_from_its_seed_and_holds_what_it_says() -> None:
    made, again = world(200, 3), world(200, 3)
    assert (made.vectors != again.vectors).nnz == 0
    assert made.vectors.shape == made.truth.shape == (200, ITEMS)
    assert np.diff(made.vectors.indptr).max() <= KNOWN
    assert made.vectors.data.min() > 0
    assert set(made.truth.data.tolist()) == {1.0}
    shared = made.vectors.multiply(made.truth).nnz / made.truth.nnz
    assert shared > 0.5, f"{BASKETS} baskets tell most of the next one"


def test_the_exponent_is_that_of_the_two_largest_sizes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert neighbours_scale._exponent((1, 10, 20), [9.0, 3.0, 12.0]) == pytest.approx(2.0)
    monkeypatch.setattr(neighbours_scale, "SIZES", (60, 120))
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    neighbours_scale.main()
    rows = json.loads((tmp_path / "bench" / "neighbours_scale.json").read_text())["rows"]
    value = {(row["system"], row["metric"]): row["value"] for row in rows}
    assert value["muyun", "tifu_120_neighbours_found"] == 1
    assert value["muyun", "upcf_60_recall_at_10"] == value["every pair", "upcf_60_recall_at_10"] > 0.2
