"""A small home folder as a run leaves it, for the tests of the report."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl

from models.attribution.credits import CREDITS, MODELS
from models.contracts import PUBLISHED_TABLES
from pipelines.channel_credits import CREDITS_KEY, EFFECTS, EFFECTS_KEY
from pipelines.decisions import explored
from pipelines.lake.tables import Lake
from pipelines.live.log import Comparison, Tick, TickLog
from pipelines.settings import Settings
from pipelines.sources.loading.ingest import IngestReport
from pipelines.stores import brake, communities, experiments, journeys, members, training_lifts
from pipelines.supply_watch import ALARMS
from pipelines.watch_told import ALARM_FIGURES, PARCEL_PROOF

AS_OF = datetime(2018, 1, 1, 4, tzinfo=UTC)
HOSTILE = "<script>alert('sku')</script>"
SECTIONS = [
    "headline",
    "intake",
    "sales",
    "forecasts",
    "recommendations",
    "prices",
    "reorder",
    "supply",
    "wakeup",
    "tags",
    "lifecycle",
    "growth",
    "levels",
    "experiments",
    "channels",
    "parties",
    "settlement",
    "live",
    "cost",
    "api",
]

_TYPES = {
    "text": pl.String,
    "json": pl.String,
    "int": pl.Int64,
    "float": pl.Float64,
    "bool": pl.Boolean,
    "date": pl.Date,
    "timestamp": pl.Datetime("us", "UTC"),
}

_TABLES = {
    "products": ("observed", 20, 0),
    "consumers": ("observed", 40, 0),
    "orders": ("observed", 1_200, 0),
    "settlement_legs": ("overlay", 5, 0),
    "ledger_entries": ("both", 7, 0),
    "order_lines": ("observed", 12_345, 45),
    "promotions": ("observed", 300, 5),
    "offers": ("overlay", 20, 0),
    "listings": ("overlay", 24, 0),
    "competitor_prices": ("overlay", 50, 0),
    "feedback": ("observed", 6, 0),
    "events": ("overlay", 900, 0),
    "shipments": ("overlay", 800, 0),
}


def settings_of(home):
    """Settings of a home folder, whatever the environment says."""
    return Settings(home=home, data=None, as_of=None, currency=None)


def summary_of(**changes):
    """A run's summary with two steps and two answers."""
    summary = {
        "run_id": "0f1e2d3c-run",
        "started_at": "2026-01-01T10:00:00+00:00",
        "wall_s": 301.5,
        "peak_rss_mb": 3327.0,
        "failed": {},
        "failed_checks": [],
        "steps": [
            {"name": "raw/orders", "wall_s": 12.5, "peak_rss_mb": 900.0},
            {"name": "models/demand/forecasters", "wall_s": 71.0, "peak_rss_mb": 2100.0},
        ],
        "tables": [],
        "models": [],
        "published": [{"name": "prices", "rows": 24, "version": "20180101T040000-abc"}],
        "api": [
            {"request": "GET /v1/prices/m1/s1", "status": 200, "ms": 2.31, "body": {"price_cents": 105}},
            {"request": "GET /v1/nothing", "status": 404, "ms": 0.9, "body": {"title": "not found"}},
        ],
    }
    return summary | changes


def make_home(home, sku="s1"):
    """Fill a home folder: accounts, model reports, scores, tags, fans and a warehouse with titles and sales.

    Args:
        home: The folder.
        sku: Id and title of the first sku; tests make it hostile.
    """
    lake = Lake(settings_of(home).lake_dir)
    for table, (origin, received, quarantined) in _TABLES.items():
        lake.write_report(f"ingest/{table}", _account(table, origin, received, quarantined))
    lake.write_report(members.REPORT, {"levels": _levels()})
    lake.write_report(experiments.REPORT, {"ended": [], "experiments": _experiments()})
    for family, report in _models().items():
        lake.write_report(f"models/{family}", report)
    for name, rows in _scores(sku).items():
        lake.put(f"scores/{name}", score_frame(name, rows))
    lake.put("features/consumer_tags", _tags())
    for name, frame in {**_brake(sku), **_channels()}.items():
        lake.put(name, frame)
    for name, frame in _journeys().items():
        lake.put(name, frame)
    lake.put(communities.WEEKS, _communities())
    lake.put(training_lifts.LIFTS, _trainings())
    lake.write_report(
        journeys.STEPS,
        {
            "wake": [
                ["coupon", "send"],
                ["day", "wait"],
                ["seen", "branch"],
                ["list", "send"],
                ["call", "task"],
            ],
            "cart": [["remind", "send"]],
            "birthday": [["congratulate", "send"], ["week", "wait"]],
        },
    )
    lake.put(ALARMS, _open_alarms())
    lake.write_report(ALARM_FIGURES, _ALARM_FIGURES)
    lake.write_report(PARCEL_PROOF, _PROOF)
    few = "effective sample of 88 decisions, an estimate needs 100"
    told = [("usual", "snips", 0.05, 0.04, 0.06, 4000, 2800.0, None)]
    told.append(("first_of_pool", "doubly_robust", None, None, None, 4000, 88.0, few))
    lake.put(explored.TABLE, pl.DataFrame(told, schema=explored.SCHEMA, orient="row"))
    fans = home / "work" / "demand" / "fans.parquet"
    fans.parent.mkdir(parents=True)
    _fans().write_parquet(fans)
    _write_warehouse(settings_of(home).warehouse_good, sku)
    for tick in _ticks():
        TickLog(settings_of(home).live_dir).append(tick)
    return settings_of(home)


def _journeys():
    """A simulated journey that gains, with its ways, and one of which nothing can be said yet."""

    def arm(journey, title, name, size, reached, **more):
        return {
            "journey_id": journey, "title": title, "version": 1, "state": "live", "goal": "order",
            "arm": name,
            "is_simulated": journey == "wake", "run_count": size, "assigned_count": size, "sent_count": size,
            "delivered_count": size, "failed_count": 0, "clicked_count": 9, "opted_out_count": 1,
            "converted_count": reached, "conversion_share": reached / size, "margin_cents": 70_000,
            "message_cost_cents": 500, "net_margin_cents": 69_500, **more,
        }  # fmt: skip

    gain = {"difference": 0.3, "difference_low": 0.21, "difference_high": 0.36, "verdict": "gain"}
    unsure = {"difference": 0.01, "difference_low": -0.04, "difference_high": 0.05, "verdict": "not_yet"}
    arms = [
        arm("wake", "Wake the dormant", "treated", 310, 110, **gain),
        arm("wake", "Wake the dormant", "control", 33, 2),
        arm("cart", "Left carts", "treated", 90, 30, **unsure),
        arm("cart", "Left carts", "control", 10, 3),
        arm("birthday", "A coupon for the birthday", "treated", 5, 1),
    ]
    ways = [
        ("coupon", "day", "", 330), ("coupon", "end", "no_consent", 13), ("day", "seen", "", 240),
        ("day", "end", "reacted", 60), ("day", "end", "converted", 30), ("seen", "list", "", 200),
        ("seen", "call", "", 40), ("list", "call", "", 150), ("list", "end", "converted", 50),
        ("call", "end", "finished", 190),
    ]  # fmt: skip
    rows = [("wake", 1, "treated", *way) for way in ways] + [
        ("cart", 1, "treated", "remind", "end", "finished", 100),
        ("birthday", 1, "treated", "congratulate", "end", "no_consent", 5),
    ]
    return {
        journeys.EFFECT: pl.DataFrame(arms, schema=journeys.EFFECT_COLUMNS),
        journeys.WAYS: pl.DataFrame(rows, schema=journeys.WAY_COLUMNS, orient="row"),
    }


def _brake(sku):
    """A sku that is watched, one that is limited, one that is stopped."""
    others = [f"{sku}-watched", f"{sku}-limited"]
    levels = [
        (sku, 3, "above_stop_line"),
        (others[0], 1, "likely_above_line"),
        (others[1], 2, "surely_above_line"),
    ]
    judged = {"batch_id": None, "units": 300.0, "mean": 0.05, "line": 0.01, "above": 0.999}
    rows = [{"sku_id": name, "complaints": 15 - n, **judged} for n, name in enumerate([sku, *others])]
    return {
        brake.LEVELS: pl.DataFrame(levels, schema=["sku_id", "level", "reason_code"], orient="row"),
        brake.ESTIMATES: pl.DataFrame(rows, schema_overrides={"batch_id": pl.String}),
        brake.FROZEN: pl.DataFrame({"supplier_id": ["s-9"]}),
    }


def _open_alarms():
    rows = [
        ("delay", "p-1", "s-1", AS_OF - timedelta(hours=5)),
        ("capacity", "w-1", None, AS_OF - timedelta(hours=30)),
    ]
    schema = ["kind", "object_id", "supplier_id", "opened_at"]
    return pl.DataFrame(rows, schema=schema, orient="row")


_LEVEL = {"opened": 4, "open_now": 1, "oldest_open_hours": 5.0, "seen_in_time": 2, "closed_in_time": 3,
          "median_hours_to_close": 2.0}  # fmt: skip
_ALARM_FIGURES = {
    "days": 28,
    "kinds": [
        _LEVEL | {"kind": "capacity", "warned_ahead": 0, "median_hours_ahead": None, "proposed": 0,
                  "taken": 0, "lines_moved": 0},
        _LEVEL | {"kind": "delay", "warned_ahead": 3, "median_hours_ahead": 17.5, "proposed": 4, "taken": 2,
                  "lines_moved": 6},
    ],
}  # fmt: skip
_AT = "2018-01-01T03:00:00.000000Z"
_PROOF = {
    "shipment_id": "p-1",
    "proven": 1,
    "unsealed": 1,
    "broken": None,
    "records": [
        {
            "kind": "step",
            "text": json.dumps(["step", 7, 3, "delay", "p-1", "opened", "watch", {}, _AT]),
            "proof": {"block_no": 2, "leaves": 3, "previous_hash": "00" * 32, "root": "11" * 32,
                      "block_hash": "ab" * 32, "path": [{"side": "left", "hash": "22" * 32}]},
        },
        {
            "kind": "observation",
            "text": json.dumps(
                ["observation", "ob-1", "parcel_scan", "s-1", None, None, "p-1", None, None, HOSTILE,
                 "in_transit", None, None, None, _AT, _AT]
            ),
            "proof": None,
        },
    ],
}  # fmt: skip


def _levels():
    names = ("level", "from_growth", "members", "at_risk", "not_told", "joined", "up", "down", "coupons",
             "redeemed", "cost_cents")  # fmt: skip
    rows = [("ordinary", 0, 310, 0, 0, 12, 0, 3, 0, 0, 0), ("silver", 500, 41, 4, 2, 1, 7, 0, 48, 9, 45_000)]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _experiments():
    """One that runs and found something, and one whose arms do not fit."""
    arm = {"name": "control", "exposed": 1_000, "measured": 800, "mean": 0.1}
    against = {"arm": "popular", "difference": -0.04, "low": -0.06, "high": -0.02, "always_low": -0.07,
               "always_high": -0.01, "detectable": 0.04, "word": "worse"}  # fmt: skip
    found = {"metric": "ordered", "arms": [arm, arm | {"name": "popular", "mean": 0.06}], "ratio_p": 0.5,
             "is_blocked": False, "compared": [against]}  # fmt: skip
    earned = found | {
        "metric": "margin_cents",
        "arms": [arm | {"mean": 512.0}, arm | {"name": "held", "mean": None}],
        "compared": [],
        "is_blocked": True,
    }
    one = {"experiment_id": "lists", "title": "Own lists", "surface": "recommendations", "unit": "consumer",
           "state": "running", "reason": None, "metric": found, "guardrail": None}  # fmt: skip
    return [one, one | {"experiment_id": "moves", "surface": "prices", "state": "stopped", "metric": earned}]


def _communities():
    """One community in its last whole week and in the running one."""
    week = {
        "community_id": "mothers", "merchant_id": "m1", "title": "Mothers", "week_on": date(2017, 12, 25),
        "members": 40, "joined": 5, "left_members": 2, "active_members": 12, "orders": 9,
        "net_sales_cents": 90_000, "margin_cents": 30_000, "promotion_orders": 4,
        "promotion_cost_cents": 4_000, "texts": 8, "complaints": 2,
    }  # fmt: skip
    running = week | {"week_on": date(2018, 1, 1), "members": 41, "joined": 1, "left_members": 0}
    return pl.DataFrame([running, week], schema=communities.WEEK_COLUMNS)


def _trainings():
    """One whose months are not over, one with a gain."""
    rows = [
        ("live-2", "Live again", "agent", date(2017, 12, 1), date(2018, 1, 1), 20, 10, 30, *[None] * 4),
        ("live-1", "Live streams", "agent", date(2017, 10, 1), date(2017, 11, 1), 60, 30, 40, "gain",
         4_000.0, 1_000.0, 7_000.0),
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=training_lifts.LIFT_COLUMNS, orient="row")


def _channels():
    """Two orders, one of them touched twice; a channel that a test measured, one that nobody tested."""
    shared = [("o1", "wecom", 60), ("o1", "feed_ads", 40), ("o2", "unattributed", 25)]
    rows = [(order, model, channel, cents) for model in MODELS for order, channel, cents in shared]
    day = date(2017, 12, 1)
    tested = ("wecom", "t", "holdout", 5_000, 1_200, 8_800, 900, 100, 3, day, date(2017, 12, 29))
    return {
        CREDITS_KEY: pl.DataFrame(rows, schema=CREDITS, orient="row"),
        EFFECTS_KEY: pl.DataFrame([tested], schema=EFFECTS, orient="row"),
    }


def _ticks():
    """A tick that found nothing, one that was in time, one that was late and differed from the night."""
    plain = Tick(
        number=1,
        generation="v1",
        as_of=AS_OF,
        began_at=AS_OF,
        wall_s=0.1,
        cpu_s=0.1,
        peak_rss_mb=300.0,
    )
    good = replace(
        plain,
        number=2,
        began_at=AS_OF + timedelta(minutes=5),
        cpu_s=1.4,
        found=True,
        dirty={"15m": 1},
        changed={"15m": 1},
        lag_s=301.0,
    )
    late = replace(
        good,
        number=3,
        began_at=AS_OF + timedelta(minutes=10),
        lag_s=1200.0,
        comparison=Comparison(rows=90, differences={"tags.consumer_15m": 2}),
    )
    return [plain, good, late]


def empty_scores(home):
    """Every scored table there, none with a row; nothing loaded, nothing trained."""
    lake = Lake(settings_of(home).lake_dir)
    for name in PUBLISHED_TABLES:
        lake.put(f"scores/{name}", score_frame(name, []))
    lake.put("features/consumer_tags", _tags().clear())
    nothing = "effective sample of 0 decisions, an estimate needs 100"
    unripe = [("usual", "snips", None, None, None, 0, 0.0, nothing)]
    lake.put(explored.TABLE, pl.DataFrame(unripe, schema=explored.SCHEMA, orient="row"))
    return settings_of(home)


def score_frame(name, rows):
    """Rows of a published table with its columns and types."""
    columns = PUBLISHED_TABLES[name].columns
    return pl.DataFrame(rows, schema={column.name: _TYPES[column.type] for column in columns}, orient="row")


def _account(table, origin, received, quarantined):
    return IngestReport(
        table=table,
        origin=origin,
        received=received,
        accepted=received - quarantined,
        quarantined=quarantined,
        reasons={"less than 1": quarantined} if quarantined else {},
        extra_columns=(),
        first_time=AS_OF - timedelta(days=365),
        last_time=AS_OF,
        notes=(),
    ).to_json()


def _model(name, rows, **changes):
    model = {
        "name": name,
        "version": "1",
        "metric": "auc",
        "value": 0.8,
        "baseline": "recency",
        "baseline_value": 0.75,
        "lift": [0.03, 0.05, 0.07],
        "promoted": True,
        "reason": "promoted: beats recency by 0.05",
        "leaderboard": rows,
        "metrics": {"base_rate": 0.25},
    }
    return model | changes


def _row(system, metric, value, level, **interval):
    return {"system": system, "metric": metric, "value": value, "level": level, **interval}


def _models():
    lane = "repeat, all test cuts"
    weeks = "merchant x category x week, horizon 1-4"
    ranked = [
        _row("ranker", "ndcg_at_10", 0.34, lane, low=0.33, high=0.35),
        _row("topfreq", "ndcg_at_10", 0.31, lane, low=0.3, high=0.32),
        _row("ranker", "ndcg_at_10", 0.36, "repeat, test cut 2017-12-04"),
        _row("topfreq", "ndcg_at_10", 0.32, "repeat, test cut 2017-12-04"),
    ]
    forecasts = [
        _row("demand_lstm", "wape", 0.44, weeks),
        _row("mean_4w", "wape", 0.5, weeks),
        _row("mean_4w", "crossings", 0.0, weeks),
    ]
    churn = [
        _row("lightgbm", "auc", 0.8, "lifecycle_churn, mean of 3 cuts", low=0.79, high=0.81),
        _row("recency", "auc", 0.75, "lifecycle_churn, mean of 3 cuts", low=0.74, high=0.76),
    ]
    return {
        "recommendation": {
            "models": [
                _model(
                    "recommendation_repeat",
                    ranked,
                    metric="ndcg_at_10",
                    value=0.34,
                    baseline="topfreq",
                    baseline_value=0.31,
                )
            ]
        },
        "demand": {
            "models": [
                _model(
                    "demand_lstm",
                    forecasts,
                    metric="wape",
                    value=0.44,
                    baseline="mean_4w_median",
                    baseline_value=0.49,
                )
            ]
        },
        "pricing": {"models": [], "note": "too few price moves"},
        "lifecycle": {"models": [_model("lifecycle_churn", churn, promoted=False)]},
    }


_NUMBERS = {
    "anchor": {"rule": "cost_plus", "markup": 0.35},
    "step": {"most_bps": 500},
    "floor": {"min_margin_bps": 500},
    "change_budget": {"most_bps": 2000},
}
"""What steps of a price say beside the prices before and after them."""


def _price(sku, number, current, price, action, mode, steps):
    explanation = [
        {"step": name, "before_cents": before, "after_cents": after, **_NUMBERS.get(name, {})}
        for name, before, after in steps
    ]
    explanation[0] |= {"current_cents": current}
    return (
        *("m1", f"{sku}{number or ''}", 80, current, price, 84, round(current * 1.2), 110, -3, -2.0),
        *(mode, action, json.dumps(explanation)),
    )


def _rung(cut, price, days, cost, is_below_floor):
    return {
        "cut_bps": cut,
        "price_cents": price,
        "days_to_clear": days,
        "margin_cost_cents": cost,
        "is_below_floor": is_below_floor,
    }


_LADDER = [_rung(500, 950, 180.5, 5000, False), _rung(3000, 700, 98.0, 30_000, True)]
_UNSOLD = [_rung(500, None, None, None, None)]


def _scores(sku):
    rise = [("anchor", 80, 110), ("step", 110, 105)]
    cut = [("anchor", 80, 90), ("step", 90, 95)]
    monday = date(2018, 1, 1)
    return {
        "recommendations": [("m1", f"c{n}", 1, sku, 0.5, "repeat", "bought_before", 1.0) for n in range(30)],
        "prices": [
            _price(sku, 0, 100, 105, "publish", "auto", rise),
            _price(sku, 1, 100, 95, "publish", "auto", cut),
            _price(sku, 2, 100, 105, "await_approval", "approve", rise),
            _price(sku, 3, 80, 85, "await_approval", "fixed", [("fixed", 110, 80), ("floor", 80, 85)]),
            _price(sku, 4, 100, 100, "keep", "auto", [*rise, ("change_budget", 105, 100)]),
            _price(sku, 5, 100, 100, "keep", "fixed", [("anchor", 80, 110), ("fixed", 110, 100)]),
        ],
        "demand_forecasts": [
            ("m1", "l2-g/soup", monday + timedelta(weeks=n), n + 1, 30.0, 20.0, 29.0, 42.0, "demand_lstm")
            for n in range(4)
        ],
        "reorder_suggestions": [
            (
                "s-1",
                sku,
                None,
                7,
                31.5,
                44.0,
                40,
                36,
                date(2018, 1, 3),
                True,
                "below_order_up_to_level",
                "{}",
            ),
            ("s-1", "s9", 90, 7, 31.5, 44.0, 40, 0, None, False, "enough_stock", "{}"),
        ],
        "supplier_grades": [
            ("s-1", "A", None, 0.9, 0.8, 0.95, 0.9, 0.9, None, 1, 900, date(2018, 1, 1), "[]"),
            ("s-2", "C", None, 0.6, 0.5, 0.7, 0.8, 0.2, 0.5, 2, 30, date(2018, 1, 1), "[]"),
            ("s-3", "D", "licence_expired", 0.8, 0.7, 0.9, 0.9, 0.6, 0.6, 1, 5, date(2018, 1, 1), "[]"),
        ],
        "channel_scores": [
            (
                supplier,
                "l2-g/soup",
                rank,
                grade,
                gate,
                0.6,
                0.5,
                0.7,
                0.8,
                0.2,
                0.5,
                lines,
                date(2018, 1, 1),
                "[]",
            )
            for rank, (supplier, grade, gate, lines) in enumerate(
                [("s-1", "A", None, 900), ("s-2", "C", None, 30), ("s-3", "D", "licence_expired", 5)], start=1
            )
        ],
        "supply_resilience": [
            ("l2-g/soup", 10.0, 2, "s-1", 0.9, True, 0.25, True, 0.15, '["s1"]', 0.25, 120),
            ("l2-g/tea", 4.0, 2, "s-2", 0.5, False, 0.5, False, 0.0, "[]", 0.0, 0),
        ],
        "supply_failures": [
            ("s-1", 28, 3, 252.0, 63.0, 31500, 4200, 1.5, 9, '["s1"]'),
            ("s-2", 28, 1, 56.0, 0.0, 0, -30, None, None, "[]"),
        ],
        "assortment_suggestions": [
            (
                "m1",
                rank,
                f"{sku}-{rank}",
                "general",
                "l2-g/soup",
                56,
                2.5,
                300,
                500,
                "s-1",
                380,
                "[]",
                False,
                1.0,
                "popular_in_scene",
                reason,
                "[]",
            )
            for rank, reason in enumerate(["fits_demand", "new_product"], start=1)
        ],
        "party_reviews": [_reviewed(place) for place in range(1, 8)],
        "clearance_warnings": [
            ("s-1", sku, 100, 15.0, 30, 0.1304, 200.0, 1000, 800, -2.0, json.dumps(_LADDER)),
            ("s-2", "s9", 4, 0.0, 30, 0.0, None, None, None, -2.0, json.dumps(_UNSOLD)),
        ],
        "wakeup_list": [
            *(
                (f"c{n}", "m1", n + 1, 35 + n, 0.7, 1234, n == 0, "WAKE", 5000, 500, '["dormant_30d"]', False)
                for n in range(9)
            ),
            ("c9", "m1", 10, 60, 0.5, 900, False, None, None, None, '["dormant_30d", "control"]', True),
        ],
        "rebuy_reminders": [("c1", n + 1, "l3-g/soup/canned", 0.4, "due_now") for n in range(5)],
    }


def _reviewed(place):
    """The month of an agent: six are ranked, the seventh has too few peers."""
    is_ranked = place < 7
    counts = (3, 3, 800 - 100 * place, 0, 900, 0, None, 0, 2, 1, 1, 4, 3, 2)
    ranks = (place, max(1, place - 1), min(6, place + 1)) if is_ranked else (None, None, None)
    return (
        "agent", f"agent-{place}", date(2017, 11, 1), "m1", "gold", "east", "from_1_year", True, True,
        *counts, "orders", 80_000 - 10_000 * place, 2_500.0, *ranks, 6 if is_ranked else 1, "[]", "{}", "[]",
        "[]", "sells", 0, 0.2,
    )  # fmt: skip


def _tags():
    n = 40
    return pl.DataFrame(
        {
            "consumer_id": [f"c{k}" for k in range(n)],
            "as_of": [AS_OF] * n,
            "lifecycle_stage": ["active", "cooling", "dormant", None] * (n // 4),
            "recency_days": list(range(n)),
            "net_spend_365d": [1000 * k for k in range(n)],
            "discount_share_365d": [k / n for k in range(n)],
            "sessions_30d": [k % 7 for k in range(n)],
            "late_delivery_rate_180d": [None] * n,
            "gross_margin_365d": [100 * k for k in range(n)],
        },
        schema_overrides={"as_of": pl.Datetime("us", "UTC"), "late_delivery_rate_180d": pl.Float64},
    )


def _fans():
    monday = date(2017, 10, 2)
    rows = []
    for n in range(12):
        ahead = (20.0, 30.0, 40.0) if n >= 8 else (None, None, None)
        rows.append(("l2-g/soup", "m1", monday + timedelta(weeks=n), 25.0 + n, *ahead, "demand_lstm"))
    return pl.DataFrame(
        rows,
        schema={
            "category_id": pl.String,
            "merchant_id": pl.String,
            "week_start_on": pl.Date,
            "actual": pl.Float64,
            "p10": pl.Float64,
            "p50": pl.Float64,
            "p90": pl.Float64,
            "system": pl.String,
        },
        orient="row",
    ).with_columns(origin_week=pl.lit(monday + timedelta(weeks=8)))


def _write_warehouse(file, sku):
    file.parent.mkdir(parents=True)
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            """
            create schema core;
            create table core.dim_products (sku_id varchar, title varchar, category_l3_name varchar);
            create table core.fct_order_lines (
                merchant_id varchar, category_l2_id varchar, week_start_on date, qty double,
                qty_milli bigint, line_kind varchar, is_merchandise boolean, is_sale boolean,
                is_return boolean, net_paid_cents bigint, order_id varchar, line_no int, sku_id varchar,
                consumer_id varchar, placed_at timestamptz, received_at timestamptz,
                returned_order_id varchar, returned_line_no int
            );
            create table core.fct_after_sales (case_id varchar, order_id varchar, line_no int, kind varchar,
                refund_cents bigint, resolved_at timestamptz, received_at timestamptz, origin varchar);
            insert into core.fct_order_lines (merchant_id, category_l2_id, week_start_on, qty, qty_milli,
                line_kind, is_merchandise, is_sale, is_return, net_paid_cents) values
                ('m1', 'l2-g/soup', date '2017-12-04', 11, 11000, 'merchandise', true, true, false, 1100),
                ('m1', 'l2-g/soup', date '2017-12-18', 7, 7000, 'merchandise', true, true, false, 700),
                ('m1', 'l2-g/soup', date '2017-12-18', 2, 2000, 'merchandise', true, true, false, 200),
                ('m1', 'l2-g/soup', date '2017-12-18', -1, -1000, 'merchandise', true, false, true, -100),
                ('m1', 'l2-g/soup', date '2017-12-18', 5, 5000, 'merchandise', true, false, false, 500),
                ('m1', 'l2-g/soup', date '2017-12-18', 999, 999000, 'service', false, true, false, 600),
                ('m2', 'l2-g/soup', date '2017-12-18', 999, 999000, 'merchandise', true, true, false, 99900);
            update core.fct_order_lines set order_id = 'o' || qty_milli, line_no = 1, sku_id = 'soup';
            update core.fct_order_lines set returned_order_id = 'o2000', returned_line_no = 1 where is_return;
            create table core.fct_orders (
                state varchar, is_guest boolean, is_sale boolean, net_paid_cents bigint, sold_cents bigint,
                returned_cents bigint, net_sales_cents bigint
            );
            insert into core.fct_orders values
                ('paid', false, true, 101_900, 101_900, 0, 101_900),
                ('paid', true, true, 600, 600, 0, 600),
                ('paid', false, false, -100, 0, 100, -100),
                ('cancelled', false, false, 500, 0, 0, 0);
            """
        )
        connection.execute(
            """
            create schema analyst;
            create table core.fct_settlement_legs (
                order_id varchar, leg_kind varchar, leg_state varchar, is_replaced boolean, net_cents bigint,
                reversed_cents bigint
            );
            insert into core.fct_settlement_legs values
                ('o1', 'supplier', 'released', false, 700, 100), ('o1', 'direct', 'pending', false, 150, 20),
                ('o1', 'subsidy', 'pending', false, -30, 0), ('o2', 'platform', 'pending', false, 80, 0),
                ('o2', 'platform', 'voided', true, 0, 999);
            create table analyst.mart_settlement_statement (
                party_type varchar, party_id varchar, month_start_on date, account_kind varchar,
                row_kind varchar, movement_kind varchar, amount_cents bigint
            );
            insert into analyst.mart_settlement_statement values
                ('supplier', 's1', '2017-12-01', 'supplier_available', 'opening', 'opening', 0),
                ('supplier', 's1', '2017-12-01', 'supplier_available', 'movement', 'release', 700),
                ('supplier', 's1', '2017-12-01', 'supplier_available', 'movement', 'payout_sent', -450),
                ('supplier', 's1', '2017-12-01', 'supplier_available', 'closing', 'closing', 250),
                ('platform', 'platform', '2017-12-01', 'channel_frozen', 'opening', 'opening', 0),
                ('platform', 'platform', '2017-12-01', 'channel_frozen', 'movement', 'accrual', -900),
                ('platform', 'platform', '2017-12-01', 'channel_frozen', 'closing', 'closing', -900);
            create table analyst.mart_assortment_answers (
                answer varchar, reason_code varchar, expected_qty double, days_on_sale double,
                sold_qty double, sold_net_paid_cents bigint
            );
            insert into analyst.mart_assortment_answers values
                ('taken', null, 5.6, 28, 3, 1500), ('taken', null, 2, 56, 0, 0),
                ('refused', 'too_expensive', 4, null, null, null);
            create table analyst.mart_feedback_topics (
                month_start_on date, topic varchar, text_count bigint, negative_count bigint,
                unanswered_count bigint, text_count_before bigint, negative_change bigint
            );
            insert into analyst.mart_feedback_topics values
                ('2017-11-01', 'price', 9, 9, 9, 0, 9),
                ('2017-12-01', 'quality', 3, 2, 1, 1, 1), ('2017-12-01', 'quality', 1, 1, 0, 0, 1),
                ('2017-12-01', 'unsure', 2, 1, 0, 0, 1), ('2017-12-01', 'price', 0, 0, 0, 9, -9);
            create table analyst.mart_agent_performance (
                agent_id varchar, tier varchar, order_count bigint, sold_cents bigint,
                settled_customer_count bigint, commission_accrued_cents bigint,
                commission_released_cents bigint, commission_reversed_cents bigint
            );
            insert into analyst.mart_agent_performance values
                ('agt-1', 'gold', 2, 900, 1, 170, 0, 20), ('agt-1', 'gold', 1, 100, 3, 10, 60, 0),
                ('agt-2', 'none', 1, 50, 0, 5, 0, 0);
            create table analyst.mart_channel_effect (channel varchar, touches bigint, spend_cents bigint);
            insert into analyst.mart_channel_effect values
                ('wecom', 4, null), ('feed_ads', 9, 700), ('unattributed', 0, null);
            create table analyst.mart_funnel_public_private (
                month_start_on date, channel varchar, reached bigint, clicked bigint, known bigint,
                consented bigint, bought bigint, bought_again bigint, origin varchar
            );
            insert into analyst.mart_funnel_public_private values
                ('2017-11-01', 'wecom', 10, 8, 7, 5, 4, 2, 'observed'),
                ('2017-12-01', 'wecom', 5, 4, 3, 2, 1, 0, 'observed');
            """
        )
        connection.execute("insert into core.dim_products values ($sku, $sku, null)", {"sku": sku})
