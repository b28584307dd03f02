"""A month of hourly runs, each on the prices that the runs before it published: the rails hold over time.

The shop is a DuckDB with the tables that pricing reads. Costs, rivals, sales and stock move at random, a
merchant changes list prices now and then; what a run publishes by itself is in force from the next run on.
The rails are checked on the record of moves by their definitions, not by the code that keeps them.
"""

import random
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pytest

from models.pricing.bundle import PricingBundle, save_bundle
from models.pricing.config import PricingConfig
from pipelines.scoring.prices import score_prices

BEGIN = datetime(2018, 1, 1, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
MODES = ("auto", "auto", "auto", "approve", "fixed")
SKUS = [f"k{number:02d}" for number in range(30)]


class Shop:
    """Tables of a shop, what happens in it, and every price it had.

    Attributes:
        moves: By sku: moment, price and who moved it (`list` or `published`), oldest first.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, seed: int) -> None:
        self._db, self._rng = connection, random.Random(seed)
        self._db.execute(
            """
            set timezone = 'UTC'; create schema core; create schema intermediate;
            create table core.dim_products (sku_id varchar, category_l3_id varchar, is_merchandise boolean,
                category_l2_id varchar);
            create table core.dim_listings (merchant_id varchar, sku_id varchar, list_price_cents bigint,
                pricing_mode varchar, is_listed boolean, is_current boolean, valid_from timestamptz);
            create table core.dim_offers (supplier_id varchar, sku_id varchar, is_current boolean,
                supply_price_cents bigint, stock_qty bigint, valid_from timestamptz, valid_to timestamptz,
                is_active boolean, stated_capacity_per_day bigint);
            create table intermediate.int_stock_levelled (supplier_id varchar, sku_id varchar,
                on_hand_qty bigint);
            create table core.fct_competitor_prices (sku_id varchar, competitor varchar,
                observed_at timestamptz, price_cents bigint);
            create table core.fct_order_lines (order_id varchar, line_no int, merchant_id varchar,
                sku_id varchar, placed_at timestamptz, qty_milli bigint, is_sale boolean,
                is_merchandise boolean, consumer_id varchar, qty double, net_paid_cents bigint,
                is_return boolean default false, returned_order_id varchar, returned_line_no int,
                received_at timestamptz);
            create table core.fct_after_sales (case_id varchar, order_id varchar, line_no int, kind varchar,
                refund_cents bigint, resolved_at timestamptz, received_at timestamptz, origin varchar);
            create table core.fct_prices_in_force (merchant_id varchar, sku_id varchar,
                valid_from timestamptz, valid_to timestamptz, price_cents bigint, source varchar);
            """
        )
        self.moves: dict[str, list[tuple[datetime, int, str]]] = {sku: [] for sku in SKUS}
        self._orders = 0
        for number, sku in enumerate(SKUS):
            cost = self._rng.randint(300, 3000)
            mode = MODES[number % len(MODES)]
            list_price = round(cost * self._rng.uniform(1.1, 2.2))
            self._db.execute(
                "insert into core.dim_products values (?, ?, true, null)", [sku, f"c{number % 4}"]
            )
            self._db.execute(
                "insert into core.dim_offers values ('s', ?, true, ?, 90, ?, null, true, null)",
                [sku, cost, BEGIN - 50 * WEEK],
            )
            self._db.execute("insert into intermediate.int_stock_levelled values ('s', ?, 90)", [sku])
            self._db.execute(
                "insert into core.dim_listings values ('m', ?, ?, ?, true, true, ?)",
                [sku, list_price, mode, BEGIN - 30 * WEEK],
            )
            self.move(sku, BEGIN - 30 * WEEK, list_price, "list")

    def move(self, sku: str, at: datetime, price: int, source: str) -> None:
        self.moves[sku].append((at, price, source))
        self._db.execute(
            "update core.fct_prices_in_force set valid_to = ? where sku_id = ? and valid_to is null",
            [at, sku],
        )
        self._db.execute(
            "insert into core.fct_prices_in_force values ('m', ?, ?, null, ?, ?)", [sku, at, price, source]
        )

    def live_for_an_hour(self, now: datetime) -> None:
        rng = self._rng
        sold = rng.choice(SKUS)
        self._orders += 1
        self._db.execute(
            "insert into core.fct_order_lines (order_id, line_no, merchant_id, sku_id, placed_at, qty_milli,"
            " is_sale, is_merchandise) values (?, 1, 'm', ?, ?, ?, true, true)",
            [f"o{self._orders}", sold, now - HOUR / 2, rng.randint(1, 5) * 1000],
        )
        self._db.execute(
            "update intermediate.int_stock_levelled set on_hand_qty = ? where sku_id = ?",
            [rng.randint(0, 200), rng.choice(SKUS)],
        )
        rival, cents = rng.choice(SKUS), rng.randint(300, 6000)
        self._db.execute(
            "insert into core.fct_competitor_prices values (?, 'rival', ?, ?)", [rival, now - HOUR / 3, cents]
        )
        self._db.execute(
            "update core.dim_offers set supply_price_cents = greatest(1,"
            " (supply_price_cents * ?)::bigint) where sku_id = ?",
            [rng.choice((0.9, 0.97, 1.0, 1.0, 1.03, 1.1, 1.6)), rng.choice(SKUS)],
        )
        if rng.random() < 0.02:
            sku = rng.choice(SKUS)
            price = round(self.moves[sku][-1][1] * rng.uniform(0.7, 1.4))
            self._db.execute(
                "update core.dim_listings set list_price_cents = ? where sku_id = ?", [price, sku]
            )
            self.move(sku, now - HOUR / 4, price, "list")

    def run(self, now: datetime, bundle) -> pl.DataFrame:
        """Price everything and put into force what publishes by itself."""
        priced = score_prices(self._db, now, bundle, None)
        for sku, price in priced.filter(action="publish").select("sku_id", "price_cents").iter_rows():
            self.move(sku, now, price, "published")
        return priced


def in_force(moves: list[tuple[datetime, int, str]], since: datetime, until: datetime) -> list[int]:
    """Prices in force at some moment after `since` and before `until`."""
    ends = [move[0] for move in moves[1:]] + [datetime.max.replace(tzinfo=UTC)]
    return [price for (at, price, _), end in zip(moves, ends, strict=True) if at < until and end > since]


def broken_rails(moves: list[tuple[datetime, int, str]], config: PricingConfig) -> list[str]:
    """Every move by the platform that breaks step, week or dwell."""
    rails, found = config.guards, []
    for number, (at, price, source) in enumerate(moves):
        if source != "published":
            continue
        before_at, before, _ = moves[number - 1]
        if abs(price - before) * 10_000 > before * rails.step_bps:
            found.append(f"{at}: step from {before} to {price}")
        if at - before_at < timedelta(days=rails.dwell_days):
            found.append(f"{at}: moved after {at - before_at}")
        found += [
            f"{at}: {price} within a week of {other}"
            for other in in_force(moves, at - WEEK, at)
            if abs(price - other) * 10_000 > other * rails.week_step_bps
        ]
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    skus = pl.DataFrame(
        schema={"sku_id": pl.String, "category_l3_id": pl.String, "category_l2_id": pl.String,
                "elasticity": pl.Float64, "deviation": pl.Float64}
    )  # fmt: skip
    categories = pl.DataFrame(
        {"level": ["all"], "category_id": ["all"], "elasticity": [-2.0], "deviation": [0.6]}
    )
    folder = tmp_path_factory.mktemp("elasticities")
    save_bundle(PricingBundle(skus, categories, -0.1), folder, BEGIN, PricingConfig())
    return folder


def simulate(seed, hours, every, bundle):
    with duckdb.connect() as connection:
        shop = Shop(connection, seed)
        modes = dict(zip(SKUS, MODES * len(SKUS), strict=False))
        waiting = 0
        for hour in range(0, hours, every):
            now = BEGIN + hour * HOUR
            for late in range(every):
                shop.live_for_an_hour(now - late * HOUR)
            priced = shop.run(now, bundle)
            waiting += priced.filter(action="await_approval").height
            assert set(priced.filter(action="publish")["pricing_mode"]) <= {"auto"}
    published = {sku: [move for move in moves if move[2] == "published"] for sku, moves in shop.moves.items()}
    assert {modes[sku] for sku, moves in published.items() if moves} == {"auto"}
    assert waiting
    broken = {
        sku: found for sku, moves in shop.moves.items() if (found := broken_rails(moves, PricingConfig()))
    }
    assert broken == {}
    return published


@pytest.mark.slow
@pytest.mark.parametrize("with_model", [True, False])
def test_a_month_of_hourly_runs_keeps_step_week_and_dwell(bundle, with_model):
    published = simulate(7, 30 * 24, 1, bundle if with_model else None)
    moves = sum(len(moves) for moves in published.values())
    assert moves > 15
    assert max(len(moves) for moves in published.values()) <= 5


def test_a_month_of_runs_once_a_day_keeps_them_too(bundle):
    assert sum(len(moves) for moves in simulate(3, 30 * 24, 24, bundle).values()) >= 3


def test_the_check_finds_moves_that_break_the_rails():
    first, day = (BEGIN, 1000, "list"), timedelta(days=1)
    config = PricingConfig()
    assert broken_rails([first, (BEGIN + 7 * day, 1050, "published")], config) == []
    assert "step" in broken_rails([first, (BEGIN + 7 * day, 1051, "published")], config)[0]
    assert "moved after" in broken_rails([first, (BEGIN + 7 * day - HOUR, 1050, "published")], config)[0]
    cut = [first, (BEGIN + 10 * day, 800, "list"), (BEGIN + 17 * day - HOUR, 805, "published")]
    assert "within a week of 1000" not in str(
        broken_rails([*cut[:2], (BEGIN + 17 * day, 805, "published")], config)
    )
    assert "moved after" in broken_rails(cut, config)[0]
    swing = [first, (BEGIN + 10 * day, 800, "list"), (BEGIN + 16 * day, 805, "published")]
    assert "805 within a week of 1000" in str(broken_rails(swing, config))
