"""Tags computed the slow, plain way: Python loops over rows, one consumer and one moment at a time.

Shares no code with the compiler. Used to judge it on random worlds.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

Row = dict[str, Any]
DAY = timedelta(days=1)


def quantile(values: list[float], q: float) -> float | None:
    """Linear interpolation between order statistics."""
    if not values:
        return None
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def share(top: float, bottom: float) -> float | None:
    return top / bottom if bottom else None


def rounded(value: float | None) -> int | None:
    return None if value is None else math.floor(value + 0.5)


def best(totals: dict[Any, float], position: int = 0) -> Any:
    """The key at a position by largest total, ties by smaller key; null where nothing above 0 is left."""
    ordered = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    return ordered[position][0] if len(ordered) > position and ordered[position][1] > 0 else None


class Oracle:
    """Tags over fixed tables.

    Args:
        tables: Table name to rows.
        offset_hours: Local time minus UTC.
    """

    def __init__(self, tables: dict[str, list[Row]], offset_hours: float) -> None:
        self.tables = tables
        self.offset = timedelta(hours=offset_hours)
        self.products = {row["sku_id"]: row for row in tables["dim_products"]}
        self.told: dict[tuple[str, str, datetime], bool] = {}
        self.owned: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for name, rows in tables.items():
            for row in rows:
                if "consumer_id" in row:
                    self.owned[name, row["consumer_id"]].append(row)

    def local(self, moment: datetime) -> datetime:
        return moment + self.offset

    @staticmethod
    def is_known(row: Row, t: datetime) -> bool:
        replaced = row.get("superseded_at")
        return bool(row["received_at"] <= t and (replaced is None or replaced > t))

    def visible(
        self, table: str, time: str, t: datetime, days: float | None = None, consumer: str | None = None
    ) -> list[Row]:
        rows = []
        for row in self.tables[table] if consumer is None else self.owned[table, consumer]:
            if row[time] is None or row[time] > t or not self.is_known(row, t):
                continue
            if days is not None and not row[time] > t - days * DAY:
                continue
            rows.append(row)
        return rows

    def reported(self, table: str, time: str, t: datetime) -> bool:
        key = table, time, t
        if key not in self.told:
            rows = self.tables[table]
            self.told[key] = any(r[time] is not None and r[time] <= t and self.is_known(r, t) for r in rows)
        return self.told[key]

    def orders(self, t: datetime, consumer: str, days: float | None = None) -> list[Row]:
        rows = self.visible("fct_orders", "placed_at", t, days, consumer)
        mine = [r for r in rows if r["is_sale"]]
        return sorted(mine, key=lambda r: (r["placed_at"], r["order_id"]))

    def lines(self, t: datetime, consumer: str | None, days: float | None = None) -> list[Row]:
        rows = self.visible("fct_order_lines", "placed_at", t, days, consumer)
        nothing = {"brand_id": None, "theme": None, "is_private_label": None, "launched_on": None}
        # Only what the source joins: a product has columns of its own that are called like those of a line.
        joined = {sku: {name: row[name] for name in nothing} for sku, row in self.products.items()}
        return [r | joined.get(r["sku_id"], nothing) for r in rows if r["is_sale"]]

    def money(self, t: datetime, consumer: str, days: float) -> int:
        """Revenue of counted orders, credit notes included."""
        rows = self.visible("fct_orders", "placed_at", t, days, consumer)
        return sum(r["net_sales_cents"] for r in rows if r["is_counted"])

    def merchandise(self, t: datetime, consumer: str | None, days: float | None = None) -> list[Row]:
        return [r for r in self.lines(t, consumer, days) if r["is_merchandise"]]

    def everybody(self, t: datetime) -> list[str]:
        known = {r["consumer_id"] for r in self.visible("dim_consumers", "registered_at", t)}
        return sorted(known | {r["consumer_id"] for r in self.visible("fct_orders", "placed_at", t)})

    def days_between(self, t: datetime, earlier: datetime) -> int:
        return (t - earlier) // DAY

    def gaps(self, t: datetime, consumer: str) -> list[int]:
        days = sorted({self.local(r["placed_at"]).date() for r in self.orders(t, consumer)})
        return [(b - a).days for a, b in itertools.pairwise(days)]

    # --- tags -------------------------------------------------------------------------------------

    def rfm(self, t: datetime, consumer: str) -> Row:
        out: Row = {}
        for name, days in (("7d", 7), ("30d", 30), ("90d", 90), ("365d", 365), ("lifetime", None)):
            rows = self.orders(t, consumer, days)
            out[f"orders_{name}"] = len(rows)
            out[f"net_spend_{name}"] = self.money(t, consumer, days or 36_500)
        rows = self.orders(t, consumer)
        year = self.orders(t, consumer, 365)
        out["recency_days"] = self.days_between(t, rows[-1]["placed_at"]) if rows else None
        out["first_order_days"] = self.days_between(t, rows[0]["placed_at"]) if rows else None
        for name in ("90d", "365d"):
            out[f"aov_{name}"] = rounded(share(out[f"net_spend_{name}"], out[f"orders_{name}"]))
        out["max_order_value_365d"] = max((r["sold_cents"] for r in year), default=None)
        goods = self.merchandise(t, consumer, 365)
        out["units_per_order_365d"] = share(sum(r["qty"] for r in goods), len({r["order_id"] for r in goods}))
        prices = [r["unit_price_cents"] for r in goods]
        out["unit_price_median_365d"] = rounded(statistics.median(prices)) if prices else None
        recent, half = self.orders(t, consumer, 90), self.orders(t, consumer, 180)
        later = self.money(t, consumer, 90)
        earlier = self.money(t, consumer, 180) - later
        out["spend_trend_90d"] = share(max(later, 0), max(earlier, 0))
        out["order_trend_90d"] = share(len(recent), len(half) - len(recent)) if half else None
        twelfths = [0] * 12
        for row in year:
            twelfths[int((t - row["placed_at"]) * 12 // (365 * DAY))] += row["sold_cents"]
        mean = statistics.fmean(twelfths)
        out["spend_cv_12m"] = statistics.pstdev(twelfths) / mean if mean else None
        out["active_months_12m"] = len({(t - r["placed_at"]) * 12 // (365 * DAY) for r in year})
        gaps = self.gaps(t, consumer)
        out["interpurchase_days_median"] = statistics.median(gaps) if len(gaps) >= 2 else None
        out["recency_over_gap"] = (
            share(out["recency_days"], out["interpurchase_days_median"]) if len(gaps) >= 2 else None
        )
        out["high_value_flag"] = out["net_spend_365d"] > 500_000
        out["synthetic_growth_value"] = max(out["net_spend_365d"], 0) // 100
        out["is_repeat_buyer"] = len({self.local(r["placed_at"]).date() for r in year}) >= 2
        return out

    def rhythm(self, t: datetime, consumer: str) -> Row:
        sixteen_weeks, half_year = self.orders(t, consumer, 112), self.orders(t, consumer, 182)
        newest: dict[int, timedelta] = {}
        for row in half_year:
            age = t - row["placed_at"]
            newest[age // DAY] = min(age, newest.get(age // DAY, age))
        ages = [newest[day] for day in sorted(newest, reverse=True)]
        gaps = [(before - after) / DAY for before, after in itertools.pairwise(ages)]
        out: Row = {
            "orders_28d": len(self.orders(t, consumer, 28)),
            "orders_112d": len(sixteen_weeks),
            "active_weeks_112d": len({(t - r["placed_at"]) // (7 * DAY) for r in sixteen_weeks}),
            "active_days_182d": len(newest),
            "visit_gap_mean_182d": statistics.fmean(gaps) if gaps else None,
            "visit_gap_median_182d": statistics.median(gaps) if gaps else None,
            "visit_gap_p90_182d": quantile(gaps, 0.9),
            "visit_gap_max_182d": max(gaps, default=None),
            "visit_gap_last_182d": gaps[-1] if gaps else None,
        }
        for days in (28, 182):
            out[f"order_weight_{days}d"] = sum(
                days - (t - r["placed_at"]) // DAY for r in self.orders(t, consumer, days)
            )
        rows = self.orders(t, consumer)
        recency = self.days_between(t, rows[-1]["placed_at"]) if rows else None
        for name in ("mean", "p90", "max"):
            gap = out[f"visit_gap_{name}_182d"]
            out[f"recency_over_gap_{name}"] = recency / gap if gap else None
        return out

    def category(self, t: datetime, consumer: str) -> Row:
        goods = self.merchandise(t, consumer, 365)
        quarter = self.merchandise(t, consumer, 90)
        l1, l1_recent, l2, brand = Counter(), Counter(), Counter(), Counter()  # type: ignore[var-annotated]
        l1_brand: dict[str, Counter[str]] = defaultdict(Counter)
        for r in goods:
            l1[r["category_l1_id"]] += r["net_paid_cents"]
            l2[r["category_l2_id"]] += r["net_paid_cents"]
            if r["brand_id"] is not None:
                brand[r["brand_id"]] += r["net_paid_cents"]
                l1_brand[r["category_l1_id"]][r["brand_id"]] += r["net_paid_cents"]
        for r in quarter:
            l1_recent[r["category_l1_id"]] += r["net_paid_cents"]
        out: Row = {
            "top_category_l1_90d": best(l1_recent),
            "top_category_l1_365d": best(l1),
            "top_category_l2_365d": best(l2),
            "second_category_l1_365d": best(l1, 1),
            "category_count_365d": len(l1),
            "top_brand_365d": best(brand),
            "brand_count_365d": len(brand),
        }
        total = sum(l1.values())
        parts = [n / total for n in l1.values() if n > 0]
        out["category_entropy_365d"] = sum(-p * math.log2(p) for p in parts) if parts else None
        older = {r["category_l1_id"] for r in goods if r["placed_at"] <= t - 90 * DAY}
        out["new_category_90d"] = bool({r["category_l1_id"] for r in quarter} - older)
        out["lapsed_category"] = self.lapsed(t, goods)
        if l1_brand:
            sums = {key: sum(c.values()) for key, c in l1_brand.items()}
            top = l1_brand[sorted(sums, key=lambda k: (-sums[k], k))[0]]
            out["brand_loyalty_hhi"] = share(sum(n * n for n in top.values()), sum(top.values()) ** 2)
        else:
            out["brand_loyalty_hhi"] = None
        out["brand_switch_rate"] = self.switch_rate(goods)
        net = sum(r["net_paid_cents"] for r in goods)
        private = sum(r["net_paid_cents"] for r in goods if r["is_private_label"])
        is_told = any(r["is_private_label"] is not None for r in goods)
        out["private_label_share"] = share(private, net) if is_told else None
        seen: set[str] = set()
        repeats = counted = 0
        for r in sorted(self.merchandise(t, consumer), key=lambda r: r["placed_at"]):
            if r["placed_at"] > t - 365 * DAY:
                counted += 1
                repeats += r["sku_id"] in seen
            seen.add(r["sku_id"])
        out["repeat_item_rate"] = share(repeats, counted)
        breadth: dict[str, set[str]] = defaultdict(set)
        for r in goods:
            breadth[r["order_id"]].add(r["category_l2_id"])
        out["basket_breadth_median"] = statistics.median(map(len, breadth.values())) if breadth else None
        for name, theme in (
            ("mother_baby_flag", "mother_baby"),
            ("pet_owner_flag", "pet"),
            ("beauty_buyer_flag", "beauty"),
            ("health_food_flag", "health_food"),
        ):
            hits = {r["order_id"] for r in goods if r["theme"] == theme}
            out[name] = len(hits) >= 2
        return out

    def lapsed(self, t: datetime, goods: list[Row]) -> str | None:
        days: dict[str, set[date]] = defaultdict(set)
        net: Counter[str] = Counter()
        for r in goods:
            days[r["category_l2_id"]].add(self.local(r["placed_at"]).date())
            net[r["category_l2_id"]] += r["net_paid_cents"]
        found = []
        for key, bought in days.items():
            ordered = sorted(bought)
            gaps = [(b - a).days for a, b in itertools.pairwise(ordered)]
            if len(ordered) >= 3 and (self.local(t).date() - ordered[-1]).days > 2 * statistics.median(gaps):
                found.append((-net[key], key))
        return min(found)[1] if found else None

    @staticmethod
    def switch_rate(goods: list[Row]) -> float | None:
        leading: dict[tuple[str, str], Row] = {}
        for r in goods:
            if r["brand_id"] is None:
                continue
            key = (r["category_l2_id"], r["order_id"])
            rival = leading.get(key, r)
            leading[key] = min(rival, r, key=lambda x: (-x["net_paid_cents"], x["brand_id"]))
        chains: dict[str, list[Row]] = defaultdict(list)
        for (category, _), r in leading.items():
            chains[category].append(r)
        pairs = changes = 0
        for rows in chains.values():
            rows.sort(key=lambda r: (r["placed_at"], r["order_id"]))
            for before, after in itertools.pairwise(rows):
                pairs += 1
                changes += before["brand_id"] != after["brand_id"]
        return share(changes, pairs)

    def price(self, t: datetime, consumer: str) -> Row:
        lines, goods = self.lines(t, consumer, 365), self.merchandise(t, consumer, 365)

        def discount(r: Row) -> int:
            return int(r["promo_discount_cents"] + r["coupon_discount_cents"])

        def promoted(r: Row) -> bool:
            return bool(r["promo_discount_cents"] > 0 or r["is_on_display"] or r["is_on_mailer"])

        year = self.orders(t, consumer, 365)
        out: Row = {
            "discount_share_365d": share(
                sum(map(discount, lines)), sum(r["list_price_cents"] for r in lines)
            ),
            "full_price_share_365d": share(sum(discount(r) == 0 for r in goods), len(goods)),
            "promo_line_share_365d": share(sum(map(promoted, goods)), len(goods)),
            "max_discount_needed": quantile(
                [discount(r) / r["list_price_cents"] for r in goods if r["list_price_cents"] > 0], 0.75
            ),
            "coupon_order_share_365d": share(sum(r["has_coupon"] for r in year), len(year)),
        }
        full = out["full_price_share_365d"]
        out["promo_only_buyer"] = len(year) >= 3 and full is not None and full < 0.05
        kinds: dict[str, dict[bool, list[int]]] = defaultdict(lambda: {True: [], False: []})
        for r in goods:
            kinds[r["category_l2_id"]][promoted(r)].append(r["qty"])
        out["stockpiler_flag"] = any(
            min(len(k[True]), len(k[False])) >= 3 and sum(k[True]) >= 2 * sum(k[False])
            for k in kinds.values()
        )
        return out

    def habit(self, t: datetime, consumer: str) -> Row:
        rows = self.orders(t, consumer, 365)
        local = [self.local(r["placed_at"]) for r in rows]
        hours = Counter(moment.hour for moment in local)
        weight = {h: 2 * hours[h] + hours[(h - 1) % 24] + hours[(h + 1) % 24] for h in range(24)}

        def part(h: int) -> str:
            bounds = [(6, "night"), (11, "morning"), (14, "noon"), (18, "afternoon"), (22, "evening")]
            return next((name for bound, name in bounds if h < bound), "night")

        def most(values: list[Any]) -> Any:
            counts = Counter(values)
            return min(counts, key=lambda k: (-counts[k], k)) if counts else None

        weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        weekday = most([m.weekday() for m in local])
        merchants = Counter(r["merchant_id"] for r in rows)
        quarters: Counter[int] = Counter()
        for r in self.orders(t, consumer, 730):
            quarters[(self.local(r["placed_at"]).month + 2) // 3] += r["sold_cents"]
        peak = best(quarters)
        n = len(rows)
        return {
            "preferred_hour": min(weight, key=lambda h: (-weight[h], h)) if rows else None,
            "preferred_daypart": most([part(m.hour) for m in local]),
            "preferred_weekday": None if weekday is None else weekdays[weekday],
            "weekend_share": share(sum(m.weekday() >= 5 for m in local), n),
            "night_share": share(sum(part(m.hour) == "night" for m in local), n),
            "month_start_share": share(sum(m.day <= 7 for m in local), n),
            "season_peak_quarter": None if peak is None else f"Q{peak}",
            "store_count_365d": len(merchants),
            "home_store_share": share(max(merchants.values(), default=0), n),
        }

    def lifecycle(self, t: datetime, consumer: str) -> Row:
        rows = self.orders(t, consumer)
        ages = [t - r["placed_at"] for r in rows]
        days = sorted({self.local(r["placed_at"]).date() for r in rows})
        returned = any(b < 30 * DAY and a - b >= 90 * DAY for a, b in itertools.pairwise(ages))
        newest, oldest = (ages[-1], ages[0]) if ages else (None, None)
        if newest is None or oldest is None:
            stage, tenure = "prospect", None
        else:
            tests: list[tuple[bool, str]] = [
                (oldest < 30 * DAY, "new"),
                (returned, "returned"),
                (newest < 30 * DAY, "active"),
                (newest < 60 * DAY, "cooling"),
                (newest < 180 * DAY, "dormant"),
            ]
            stage = next((name for passed, name in tests if passed), "lost")
            bands = [(30, "<1m"), (91, "1-3m"), (182, "3-6m"), (365, "6-12m"), (730, "1-2y")]
            tenure = next((name for bound, name in bands if oldest < bound * DAY), "2y+")
        first = self.local(rows[0]["placed_at"]).date() if rows else None
        return {
            "lifecycle_stage": stage,
            "is_new_30d": oldest is not None and oldest < 30 * DAY,
            "is_active_30d": newest is not None and newest < 30 * DAY,
            "is_dormant_30d": newest is not None and newest >= 30 * DAY,
            "is_lost_180d": newest is not None and newest >= 180 * DAY,
            "is_returned_30d": returned,
            "days_since_last_active": None if newest is None else newest // DAY,
            "second_order_done": len(days) >= 2,
            "days_first_to_second": (days[1] - days[0]).days if len(days) >= 2 else None,
            "cohort_month": None if first is None else first.replace(day=1),
            "tenure_band": tenure,
        }

    def personal(self, t: datetime, consumer: str) -> Row:
        """Tags of one consumer that rest on orders and lines alone."""
        parts: list[Callable[[datetime, str], Row]] = [
            self.rfm,
            self.rhythm,
            self.category,
            self.price,
            self.habit,
            self.lifecycle,
        ]
        out: Row = {}
        for compute in parts:
            out |= compute(t, consumer)
        if not self.reported("fct_order_lines", "placed_at", t):
            return dict.fromkeys(out)
        return out

    def redemptions(self, t: datetime, consumer: str) -> Row:
        used = len(self.visible("fct_coupon_redemptions", "redeemed_at", t, 90, consumer))
        known = self.reported("fct_coupon_redemptions", "redeemed_at", t)
        return {"coupon_used_90d": used if known else None}

    def population(self, t: datetime) -> dict[str, Row]:
        """Tags that compare consumers with each other, for everybody known at t."""
        everybody = self.everybody(t)
        base = {c: self.rfm(t, c) | self.lifecycle(t, c) for c in everybody}
        buyers = [c for c in everybody if base[c]["orders_lifetime"] > 0]
        out: dict[str, Row] = {c: {} for c in everybody}
        self._scores(out, base, buyers)
        gaps = {c: self.gaps(t, c) for c in everybody}
        prior = [quantile([*map(float, g)], 0.9) for g in gaps.values() if len(g) >= 5]
        middle = statistics.median(prior) if prior else None  # type: ignore[type-var]
        seconds = [base[c]["days_first_to_second"] for c in everybody]
        window = quantile([s for s in seconds if s is not None], 0.75)
        for c in everybody:
            n, p90 = len(gaps[c]), quantile([*map(float, gaps[c])], 0.9)
            if n < 2 or p90 is None:
                p90 = None
            elif n < 5:
                p90 = (n * p90 + (5 - n) * (middle if middle is not None else p90)) / 5
            recency = base[c]["recency_days"]
            # Gaps are whole days: the exact value is a fraction with a small denominator.
            exact = None if p90 is None else Fraction(p90).limit_denominator(1000)
            threshold = 30 if exact is None else math.ceil(max(Fraction(30), 2 * exact))
            out[c] |= {
                "interpurchase_days_p90": p90,
                "personal_dormancy_threshold": threshold,
                "overdue_personal": recency is not None and recency > threshold,
                "second_order_window_open": bool(
                    base[c]["orders_lifetime"] == 1 and window is not None and recency <= window
                ),
            }
        self._prices(out, t, everybody)
        self._categories(out, t, everybody)
        if not self.reported("fct_orders", "placed_at", t):
            return {c: dict.fromkeys(row) for c, row in out.items()}
        return out

    @staticmethod
    def _scores(out: dict[str, Row], base: dict[str, Row], buyers: list[str]) -> None:
        def ntile(ordered: list[str]) -> dict[str, int]:
            size, extra = divmod(len(ordered), 5)
            scores: dict[str, int] = {}
            start = 0
            for bucket in range(5):
                width = size + (1 if bucket < extra else 0)
                scores |= dict.fromkeys(ordered[start : start + width], bucket + 1)
                start += width
            return scores

        r = ntile(sorted(buyers, key=lambda c: (-base[c]["recency_days"], c)))
        m = ntile(sorted(buyers, key=lambda c: (base[c]["net_spend_365d"], c)))
        counts = [float(base[c]["orders_365d"]) for c in buyers]
        cuts = [quantile(counts, q) or 0.0 for q in (0.2, 0.4, 0.6, 0.8)]
        f = {c: 1 + sum(base[c]["orders_365d"] > cut for cut in cuts) for c in buyers}
        names = {
            (True, True): "value",
            (True, False): "develop",
            (False, True): "keep",
            (False, False): "win_back",
        }
        mean = {key: statistics.fmean(s.values()) if s else 0.0 for key, s in (("r", r), ("f", f), ("m", m))}
        for c, row in out.items():
            if c not in r:
                empty = ("r_score", "f_score", "m_score", "rfm_cell", "rfm_segment", "spend_percentile_365d")
                row |= dict.fromkeys(empty)
                continue
            weight = "important_" if m[c] >= mean["m"] else "general_"
            below = sum(base[o]["net_spend_365d"] < base[c]["net_spend_365d"] for o in buyers)
            row |= {
                "r_score": r[c],
                "f_score": f[c],
                "m_score": m[c],
                "rfm_cell": f"{r[c]}{f[c]}{m[c]}",
                "rfm_segment": weight + names[r[c] >= mean["r"], f[c] >= mean["f"]],
                "spend_percentile_365d": below / (len(buyers) - 1) if len(buyers) > 1 else 0.0,
            }

    def _prices(self, out: dict[str, Row], t: datetime, everybody: list[str]) -> None:
        goods = self.merchandise(t, None, 365)
        by_category: dict[str, list[float]] = defaultdict(list)
        for r in goods:
            by_category[r["category_l2_id"]].append(r["unit_price_cents"])
        for c in everybody:
            premium = net = 0
            quartiles: Counter[int] = Counter()
            for r in goods:
                if r["consumer_id"] != c:
                    continue
                prices = by_category[r["category_l2_id"]]
                below = sum(p < r["unit_price_cents"] for p in prices)
                rank = below / (len(prices) - 1) if len(prices) > 1 else 0.0
                net += r["net_paid_cents"]
                premium += r["net_paid_cents"] if rank >= 0.75 else 0
                quartiles[min(int(rank * 4), 3) + 1] += 1
            mode = min(quartiles, key=lambda k: (-quartiles[k], k)) if quartiles else None
            out[c]["premium_tier_share"] = share(premium, net)
            out[c]["price_band_pref"] = None if mode is None else f"q{mode}"

    def _categories(self, out: dict[str, Row], t: datetime, everybody: list[str]) -> None:
        goods = self.merchandise(t, None, 365)
        l1: Counter[str] = Counter()
        days: dict[tuple[str, str], set[date]] = defaultdict(set)
        for r in goods:
            l1[r["category_l1_id"]] += r["net_paid_cents"]
            days[r["category_l2_id"], r["consumer_id"]].add(self.local(r["placed_at"]).date())
        buyers: Counter[str] = Counter()
        repeaters: Counter[str] = Counter()
        for (category, _), bought in days.items():
            buyers[category] += 1
            repeaters[category] += len(bought) >= 2
        for c in everybody:
            mine = [r for r in goods if r["consumer_id"] == c]
            net = sum(r["net_paid_cents"] for r in mine)
            steady = sum(
                r["net_paid_cents"]
                for r in mine
                if repeaters[r["category_l2_id"]] >= 0.5 * buyers[r["category_l2_id"]]
            )
            out[c]["consumable_share"] = share(steady, net)
            own: Counter[str] = Counter()
            for r in mine:
                own[r["category_l1_id"]] += r["net_paid_cents"]
            top = best(own)
            out[c]["category_lift_top"] = (
                None if top is None else (own[top] / net) / (l1[top] / sum(l1.values()))
            )
