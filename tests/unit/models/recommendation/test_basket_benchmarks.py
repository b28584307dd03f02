"""The protocols of the recommendation benchmarks on baskets typed by hand."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from recommendation_panels import at, lines

from benchmarks.models import basket_panel, next_basket_tafeng
from models.data import Purchases

NAMES = {"item_id": "sku_id", "at": "placed_at", "basket_id": "order_id"}


class Fixed:
    """Says the same to everybody."""

    def __init__(self, items: list[str]) -> None:
        self.items = items

    def rank(self, users: Sequence[str], k: int, within: Sequence[str] | None = None) -> list[list[str]]:
        return [self.items[:k] for _ in users]


def test_tafeng_hides_the_last_baskets_of_those_who_are_asked(tmp_path: Path) -> None:
    file = tmp_path / "baskets.json.gz"
    file.write_bytes(gzip.compress(b'{"7": [[-1], [1, 2, 2], [3], [-1]], "8": [[-1], [4], [-1]]}'))
    histories = next_basket_tafeng.read_baskets(file)
    assert histories == {"7": [[1, 2, 2], [3]], "8": [[4]]}
    last = {"7": [[9, 3]], "8": [[5]]}
    found = next_basket_tafeng.known_purchases(histories, last, ["7"]).frame
    days = ((next_basket_tafeng.END - found["at"]).dt.total_days()).to_list()
    rows = sorted(zip(found["consumer_id"], found["item_id"], days, strict=True))
    assert rows == [("7", "1", 1), ("7", "2", 1), ("7", "3", 0), ("8", "4", 1), ("8", "5", 0)]
    # One of two items at rank 2: recall 1/2; the ideal list is not cut: 1 + 1 / log2(3).
    recall, ndcg = next_basket_tafeng.measured(Fixed(["4", "9"]), ["7"], last)
    assert recall == 0.5
    assert ndcg == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_a_fifth_is_asked_by_seed() -> None:
    users = [str(number) for number in range(50)]
    one, other = (next_basket_tafeng.asked_consumers(users, seed) for seed in (0, 1))
    assert len(one) == len(set(one)) == 10
    assert one != other
    assert one == next_basket_tafeng.asked_consumers(users, 0)


def test_a_cut_keeps_what_sold_before_it_and_asks_for_what_came_after() -> None:
    origin = at(100)
    ten = [(f"x{day}", "m", day, "a c") for day in range(80, 90)]
    late = [("new", "m", 105, "a"), ("u", "m", 95, "a b"), ("u", "m", 101, "a c d"), ("u", "m", 120, "c")]
    everything = Purchases.from_frame(lines([*ten, *late]), NAMES)
    data = basket_panel.at_a_cut(everything, origin)
    # b and d sold in fewer than ten baskets; what came after the window is gone.
    assert set(data.frame["item_id"]) == {"a", "c"}
    assert data.frame["at"].max() == at(105)
    assert basket_panel.truth_of(data, origin, new_only=False) == {"u": {"a", "c"}}
    assert basket_panel.truth_of(data, origin, new_only=True) == {"u": {"c"}}
    found = basket_panel.measured(Fixed(["c", "z"]), {"u": {"a", "c"}}, 2)
    assert found.recall.tolist() == [0.5]
    assert found.ndcg[0] == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert found.coverage == 1.0
    assert timedelta(days=14) == basket_panel.HORIZON
