"""The simulated market: the clairvoyant by hand, the product inside its rails, and what counts as broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.pricing.config import GuardConfig, PricingConfig
from models.pricing.simulate import Market, MarketConfig, Morning, best_price, make_market, shipped, simulate

FREE = GuardConfig(ceiling_bps=20_000, change_budget_bps=10_000, price_endings=())


def test_the_clairvoyant_price_is_the_best_of_all() -> None:
    truth = make_market(np.random.default_rng(1), MarketConfig(skus=40, days=2))
    tried = truth.start * np.linspace(0.8, 3.0, 4401)[:, None]
    profit = (tried - truth.cost) * np.array([truth.rate(0, row) for row in tried])
    low, high = truth.cost * 1.05, truth.start * 3.0
    profit[(tried < low) | (tried > high)] = -np.inf
    best = best_price(truth, FREE)
    assert tried[profit.argmax(axis=0), np.arange(40)] == pytest.approx(best, rel=1e-3)


def test_standing_still_and_breaking_rails_are_counted() -> None:
    setting = MarketConfig(skus=10, days=12)

    def still(truth: Market, seed: int):
        return lambda morning: morning.prices[-1]

    def jumping(truth: Market, seed: int):
        return lambda morning: (morning.prices[-1] * (1.2 if morning.day == 3 else 1.0)).astype(np.int64)

    assert simulate(still, FREE, (0,), setting).violations == 0
    assert 0 < simulate(still, FREE, (0,), setting).regret < 1
    assert simulate(jumping, FREE, (0,), setting).violations >= 10


def test_a_seller_sees_what_it_published_and_what_sold() -> None:
    seen: list[Morning] = []

    def watching(truth: Market, seed: int):
        def seller(morning: Morning):
            seen.append(replace(morning, prices=morning.prices.copy(), since=morning.since.copy()))
            return morning.prices[-1] + (1 if morning.day in (2, 5) else 0)

        return seller

    simulate(watching, FREE, (0,), MarketConfig(skus=3, days=7))
    start = seen[0].prices[-1]
    assert [int((morning.prices[-1] - start)[0]) for morning in seen] == [0, 0, 0, 1, 1, 1, 2]
    assert [morning.since[0] for morning in seen] == [np.inf, np.inf, np.inf, 1, 2, 3, 1]
    # The day that a price was published is lived at it.
    assert [int(cents) for cents in (seen[6].prices - start)[:6, 0]] == [0, 0, 1, 1, 1, 2]
    assert [len(morning.sold) for morning in seen] == list(range(7))


def test_the_product_sells_the_same_twice_within_its_rails_and_better_than_standing_still(
    tmp_path: Path,
) -> None:
    setting = MarketConfig(skus=12, days=22)
    config = PricingConfig()
    found = simulate(shipped(config, tmp_path), config.guards, (3,), setting)
    assert found == simulate(shipped(config, tmp_path), config.guards, (3,), setting)
    assert found.violations == 0
    stands = simulate(lambda truth, seed: lambda morning: morning.prices[-1], config.guards, (3,), setting)
    assert found.last_days_regret < stands.last_days_regret * 0.7
