"""A training in a process of its own, beside another one, is the training in this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import torch
from demand_samples import MakeLines, after

from models.contracts import Candidate
from models.demand.config import DemandConfig
from models.demand.training import train
from pipelines.overlap.apart import run_apart


def content(candidates: list[Candidate]) -> dict[str, object]:
    """Everything that decides and serves: figures, decisions, and the bytes of the bundles."""
    return {
        candidate.name: (
            candidate.decision,
            candidate.metrics,
            candidate.leaderboard,
            {
                file.name: file.read_bytes()
                for file in sorted(candidate.bundle_dir.rglob("*"))
                if file.suffix in (".txt", ".json")
            },
            {
                name: tensor.tolist()
                for file in sorted(candidate.bundle_dir.rglob("weights.pt"))
                for name, tensor in torch.load(file, weights_only=True).items()
            },
        )
        for candidate in candidates
    }


def test_two_trainings_at_a_time_equal_the_one_in_sequence(
    make_lines: MakeLines,
    small_weekly: dict[tuple[str, str], list[int]],
    no_promotions: pl.DataFrame,
    small_config: DemandConfig,
    tmp_path: Path,
) -> None:
    lines = make_lines(small_weekly)
    threads = torch.get_num_threads()
    here = content(train(lines, no_promotions, after(40), tmp_path / "here", small_config))
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(2) as both:
        apart = [
            both.submit(
                run_apart, train, lines, no_promotions, after(40), tmp_path / f"apart-{number}", small_config
            )
            for number in range(2)
        ]
        there = [content(one.result()) for one in apart]
    assert there == [here, here]
    assert len(here) == 3
