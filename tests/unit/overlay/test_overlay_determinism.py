"""Same seed, same rows: whatever the row order of the input, the thread count, the order of calls."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest
from overlay_panel import AS_OF, OFFSET, digest, overlay_of, panel

from pipelines.sources.overlay import OVERLAY_ORDER, ObservedTables, generate, planted_truths

Tables = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def small() -> ObservedTables:
    return panel(orders=1_500)


@pytest.fixture(scope="module")
def digests(small: ObservedTables) -> dict[str, str]:
    return {table: digest(rows) for table, rows in overlay_of(small).items()}


def test_same_seed_same_rows_in_any_order_of_calls(small: ObservedTables, digests: dict[str, str]) -> None:
    for table in reversed(OVERLAY_ORDER):
        rows = generate(table, panel(orders=1_500), seed=11, as_of=AS_OF, utc_offset_hours=OFFSET)
        assert digest(rows) == digests[table], table


def test_row_order_of_the_input_does_not_matter(small: ObservedTables, digests: dict[str, str]) -> None:
    shuffled = ObservedTables(
        **{
            f.name: getattr(small, f.name).sample(fraction=1.0, shuffle=True, seed=5)
            for f in fields(small)
            if f.init
        }
    )
    for table, rows in overlay_of(shuffled).items():
        assert digest(rows) == digests[table], table


@pytest.mark.parametrize("table", OVERLAY_ORDER)
def test_another_seed_gives_other_rows(small: ObservedTables, digests: dict[str, str], table: str) -> None:
    rows = generate(table, small, seed=12, as_of=AS_OF, utc_offset_hours=OFFSET)
    assert digest(rows) != digests[table]


def test_truths_depend_on_the_seed_alone(small: ObservedTables) -> None:
    assert planted_truths(11, small) == planted_truths(11, panel(orders=1_500))
    assert planted_truths(11, small).loss_maker_skus != planted_truths(12, small).loss_maker_skus


@pytest.mark.parametrize("threads", ["1", "3"])
def test_thread_count_does_not_matter(digests: dict[str, str], threads: str) -> None:
    script = Path(__file__).with_name("overlay_panel.py")
    printed = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "POLARS_MAX_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert dict(line.split() for line in printed.splitlines()) == digests
