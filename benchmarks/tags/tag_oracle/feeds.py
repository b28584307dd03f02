"""Tags of every feed the slow, plain way: one consumer and one moment at a time.

Shares no code with the compiler. Each method gives the tags of one feed; `Feeds.tags` joins them and makes a
tag null whose feed has not reported.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

from benchmarks.tags.tag_oracle.loops import DAY, Oracle, Row, quantile, rounded, share
from benchmarks.tags.tag_oracle.world import SCHEMAS

OPENED = ("opened", "clicked", "converted")
CLICKED = ("clicked", "converted")


def most(values: Iterable[Any]) -> Any:
    """The most frequent value, ties by the smaller."""
    counts = Counter(values)
    return min(counts, key=lambda key: (-counts[key], key)) if counts else None


def part_of_day(hour: int) -> str:
    bounds = [(6, "night"), (11, "morning"), (14, "noon"), (18, "afternoon"), (22, "evening")]
    return next((name for bound, name in bounds if hour < bound), "night")


def band(age: int) -> str:
    bounds = [(18, "<18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (55, "45-54"), (65, "55-64")]
    return next((name for bound, name in bounds if age < bound), "65+")


def promoted(line: Row) -> bool:
    return bool(line["promo_discount_cents"] > 0 or line["is_on_display"] or line["is_on_mailer"])


def discount(line: Row) -> int:
    return int(line["promo_discount_cents"] + line["coupon_discount_cents"])


class Feeds:
    """Tags over the tables of an oracle."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.tables = oracle.tables
        self.known_people: dict[datetime, list[Row]] = {}

    def rows(
        self,
        table: str,
        time: str,
        t: datetime,
        consumer: str,
        days: float | None = None,
        by: str | None = None,
    ) -> list[Row]:
        """A consumer's rows that are known at t and younger than some days, oldest first."""
        found = self.oracle.visible(table, time, t, days, None if by else consumer)
        return sorted((r for r in found if r[by or "consumer_id"] == consumer), key=lambda r: r[time])

    def age_days(self, t: datetime, rows: list[Row], time: str) -> int | None:
        return (t - max(r[time] for r in rows)) // DAY if rows else None

    def local_day(self, moment: datetime) -> date:
        return self.oracle.local(moment).date()

    def spend(self, t: datetime, c: str) -> Row:
        o = self.oracle
        out: Row = {}
        for days in (60, 180):
            out[f"orders_{days}d"] = len(o.orders(t, c, days))
            out[f"net_spend_{days}d"] = o.money(t, c, days)
        orders, year = o.orders(t, c), o.orders(t, c, 365)
        out["aov_30d"] = rounded(share(o.money(t, c, 30), len(o.orders(t, c, 30))))
        out["aov_lifetime"] = rounded(share(o.money(t, c, 36_500), len(orders)))
        values = [r["sold_cents"] for r in year]
        out["order_value_median_365d"] = rounded(statistics.median(values)) if values else None
        out["min_order_value_365d"] = min(values, default=None)
        out["first_order_value"] = orders[0]["sold_cents"] if orders else None
        out["last_order_value"] = orders[-1]["sold_cents"] if orders else None
        out["last_merchant"] = orders[-1]["merchant_id"] if orders else None
        for days in (90, 365):
            goods = o.merchandise(t, c, days)
            out[f"units_{days}d"] = sum(r["qty"] for r in goods)
            out[f"skus_{days}d"] = len({r["sku_id"] for r in goods})
            out[f"purchase_days_{days}d"] = len(
                {self.local_day(r["placed_at"]) for r in o.orders(t, c, days)}
            )
        out["lines_per_order_365d"] = share(len(goods), len({r["order_id"] for r in goods}))
        out["list_spend_365d"] = sum(r["list_price_cents"] for r in o.lines(t, c, 365))
        newer, both = o.money(t, c, 30), o.money(t, c, 60)
        out["spend_trend_30d"] = share(max(newer, 0), max(both - newer, 0))
        out["order_trend_30d"] = share(
            len(o.orders(t, c, 30)), len(o.orders(t, c, 60)) - len(o.orders(t, c, 30))
        )
        placed = o.visible("fct_orders", "placed_at", t, None, c)

        def within(days: int, state: str | None) -> int:
            recent = [r for r in placed if r["placed_at"] > t - days * DAY]
            return sum(state in (None, r["state"]) for r in recent)

        out["unpaid_orders_30d"] = within(30, "unpaid")
        out["cancelled_orders_90d"] = within(90, "cancelled")
        out["refunded_orders_365d"] = within(365, "refunded")
        out["cancel_rate_365d"] = share(within(365, "cancelled"), within(365, None))
        freight = sum(r["freight_cents"] for r in year)
        out["freight_paid_365d"] = freight
        out["freight_share_365d"] = share(freight, sum(values))
        out["free_shipping_share_365d"] = share(sum(r["freight_cents"] == 0 for r in year), len(year))
        agents = [r["agent_id"] for r in year if r["agent_id"] is not None]
        out["agent_orders_365d"] = len(agents)
        out["agent_order_share_365d"] = share(len(agents), len(year))
        out["agents_365d"] = len(set(agents))
        return out

    def returns(self, t: datetime, c: str) -> Row:
        rows = [r for r in self.oracle.visible("fct_order_lines", "placed_at", t, None, c) if r["is_return"]]
        year = [r for r in rows if r["placed_at"] > t - 365 * DAY]
        back = sum(-r["qty"] for r in year if r["is_merchandise"])
        bought = sum(r["qty"] for r in self.oracle.merchandise(t, c, 365))
        return {
            "returned_units_365d": back,
            "returned_amount_365d": sum(-r["net_paid_cents"] for r in year),
            "return_orders_365d": len({r["order_id"] for r in year}),
            "return_rate_365d": share(back, bought),
            "days_since_return": self.age_days(t, rows, "placed_at"),
        }

    def margin(self, t: datetime, c: str) -> Row:
        rows = self.oracle.visible("fct_order_lines", "placed_at", t, 365, c)
        costed = [r for r in rows if r["supply_cost_cents"] is not None and (r["is_sale"] or r["is_return"])]
        net = sum(r["net_paid_cents"] for r in costed)
        margin = net - sum(r["supply_cost_cents"] for r in costed)
        return {
            "gross_margin_365d": margin if costed else None,
            "gross_margin_rate_365d": share(margin, net),
        }

    def categories(self, t: datetime, c: str) -> Row:
        o = self.oracle
        goods, recent = o.merchandise(t, c, 365), o.merchandise(t, c, 90)
        l1: Counter[str] = Counter()
        brands: Counter[str] = Counter()
        lines: Counter[str] = Counter()
        net: Counter[str] = Counter()
        themes: Counter[str] = Counter()
        days: dict[str, set[date]] = defaultdict(set)
        for r in goods:
            l1[r["category_l1_id"]] += r["net_paid_cents"]
            days[r["category_l2_id"]].add(self.local_day(r["placed_at"]))
            lines[r["sku_id"]] += 1
            net[r["sku_id"]] += r["net_paid_cents"]
            if r["brand_id"] is not None:
                brands[r["brand_id"]] += r["net_paid_cents"]
            if r["theme"] is not None:
                themes[r["theme"]] += r["net_paid_cents"]
        ranked = sorted(brands, key=lambda b: (-brands[b], b))
        sku = min(lines, key=lambda s: (-lines[s], -net[s], s)) if lines else None
        lapsed = 0
        for bought in days.values():
            ordered = sorted(bought)
            gaps = [(b - a).days for a, b in itertools.pairwise(ordered)]
            if len(ordered) >= 3 and (self.local_day(t) - ordered[-1]).days > 2 * statistics.median(gaps):
                lapsed += 1
        older = {r["sku_id"] for r in o.merchandise(t, c) if r["placed_at"] <= t - 90 * DAY}
        launched = [r for r in goods if r.get("launched_on") is not None]
        young = sum((self.local_day(r["placed_at"]) - r["launched_on"]).days < 60 for r in launched)
        return {
            "category_l2_count_365d": len(days),
            "top_category_share_365d": share(max(l1.values(), default=0), sum(l1.values())),
            "category_hhi_365d": share(sum(n * n for n in l1.values()), sum(l1.values()) ** 2),
            "top_brand_share_365d": share(max(brands.values(), default=0), sum(brands.values())),
            "second_brand_365d": ranked[1] if len(ranked) > 1 and brands[ranked[1]] > 0 else None,
            "top_sku_365d": sku,
            "top_sku_share_365d": share(lines[sku] if sku else 0, len(goods)),
            "repeat_skus_365d": sum(n >= 2 for n in lines.values()),
            "new_sku_share_90d": share(sum(r["sku_id"] not in older for r in recent), len(recent)),
            "lapsed_category_count": lapsed,
            "new_product_share_365d": share(young, len(launched)),
            "theme_count_365d": len(themes),
            **{
                f"{name}_spend_365d": themes[name] for name in ("pet", "beauty", "mother_baby", "health_food")
            },
        }

    def discounts(self, t: datetime, c: str) -> Row:
        o = self.oracle
        lines, goods = o.lines(t, c, 365), o.merchandise(t, c, 365)
        recent, recent_goods = o.lines(t, c, 90), o.merchandise(t, c, 90)
        net = sum(r["net_paid_cents"] for r in goods)
        depths = [discount(r) / r["list_price_cents"] for r in goods if r["list_price_cents"] > 0]
        return {
            "discount_amount_365d": sum(map(discount, lines)),
            "coupon_discount_365d": sum(r["coupon_discount_cents"] for r in lines),
            "discount_share_90d": share(
                sum(map(discount, recent)), sum(r["list_price_cents"] for r in recent)
            ),
            "full_price_share_90d": share(sum(discount(r) == 0 for r in recent_goods), len(recent_goods)),
            "display_line_share_365d": share(sum(r["is_on_display"] for r in goods), len(goods)),
            "mailer_line_share_365d": share(sum(r["is_on_mailer"] for r in goods), len(goods)),
            "promo_spend_share_365d": share(sum(r["net_paid_cents"] for r in goods if promoted(r)), net),
            "deepest_discount_365d": max(depths, default=None),
            "discounted_orders_365d": len({r["order_id"] for r in lines if discount(r) > 0}),
        }

    def habits(self, t: datetime, c: str) -> Row:
        year = self.oracle.orders(t, c, 365)
        local = [self.oracle.local(r["placed_at"]) for r in year]
        channels = [r["channel"] for r in year]
        weekdays = Counter(moment.isoweekday() for moment in local)
        n = len(year)
        shares = {
            f"{name}_order_share_365d": share(channels.count(name), n)
            for name in ("live", "store", "mini_program", "wecom")
        }
        return shares | {
            "order_channel_pref": most(channels),
            "channel_count_365d": len(set(channels)),
            "home_merchant_365d": most(r["merchant_id"] for r in year),
            "morning_share": share(sum(part_of_day(m.hour) == "morning" for m in local), n),
            "evening_share": share(sum(part_of_day(m.hour) == "evening" for m in local), n),
            "active_weekdays_365d": len(weekdays),
            "weekday_concentration_365d": share(max(weekdays.values(), default=0), n),
        }

    def stages(self, t: datetime, c: str) -> Row:
        orders = self.oracle.orders(t, c)
        times = [r["placed_at"] for r in orders]
        days = sorted({self.local_day(moment) for moment in times})
        gaps = [(b - a).days for a, b in itertools.pairwise(days)]
        newest = (t - times[-1]) // DAY if times else None
        weeks = {(t - moment) // (7 * DAY) for moment in times if moment > t - 84 * DAY}
        return {
            "purchase_days_lifetime": len(days),
            "longest_gap_days": max(gaps, default=None),
            "reactivations_lifetime": sum(b - a >= 90 * DAY for a, b in itertools.pairwise(times)),
            "active_weeks_12w": len(weeks),
            "is_one_time_buyer": len(orders) == 1,
            "customer_life_days": None if newest is None else (t - times[0]) // DAY - newest,
            "days_to_lost": 180 - newest if newest is not None and newest < 180 else None,
        }

    def coupons(self, t: datetime, c: str) -> Row:
        used = self.rows("fct_coupon_redemptions", "redeemed_at", t, c)
        year = [r for r in used if r["redeemed_at"] > t - 365 * DAY]
        values = [r["value_cents"] for r in year if r["value_cents"] is not None]
        out: Row = {
            "coupon_used_30d": sum(r["redeemed_at"] > t - 30 * DAY for r in used),
            "coupon_used_365d": len(year),
            "coupon_value_used_365d": sum(values) if values else None,
            "coupon_kinds_used_365d": len({r["kind"] for r in year if r["kind"] is not None}),
            "days_since_coupon_used": self.age_days(t, used, "redeemed_at"),
        }
        if not self.oracle.reported("fct_coupon_redemptions", "redeemed_at", t):
            out = dict.fromkeys(out)
        granted = self.rows("dim_coupons", "starts_at", t, c, 365)
        uses: dict[str, list[datetime]] = defaultdict(list)
        for r in year:
            uses[r["coupon_id"]].append(r["redeemed_at"])
        today = self.local_day(t)
        open_ends = []
        expired = 0
        waits = []
        for r in granted:
            first = min(uses[r["coupon_id"]], default=None)
            ends = (r["ends_at"] + self.oracle.offset).date()
            if first is not None and first >= r["starts_at"]:
                waits.append((first - r["starts_at"]) / DAY)
            if first is None and ends >= today:
                open_ends.append((ends - today).days)
            expired += first is None and ends < today
        redeemed = sum(bool(uses[r["coupon_id"]]) for r in granted)
        steps: Row = {
            "coupon_received_90d": len(self.rows("dim_coupons", "starts_at", t, c, 90)),
            "coupon_received_365d": len(granted),
            "coupon_redeem_rate_365d": share(redeemed, len(granted)) if len(granted) >= 3 else None,
            "coupon_days_to_use_365d": statistics.median(waits) if waits else None,
            "unused_coupon_count": len(open_ends),
            "coupon_expiring_3d": any(days <= 3 for days in open_ends),
            "coupon_expired_rate_365d": share(expired, len(granted)),
        }
        reported = self.oracle.reported("dim_coupons", "starts_at", t) or self.oracle.reported(
            "fct_coupon_redemptions", "redeemed_at", t
        )
        return out | (steps if reported else dict.fromkeys(steps))

    def touches(self, t: datetime, c: str) -> Row:
        rows = sorted(
            self.rows("fct_touches", "occurred_at", t, c), key=lambda r: (r["occurred_at"], r["touch_id"])
        )
        year = [r for r in rows if r["occurred_at"] > t - 365 * DAY]
        costs = [r["cost_cents"] for r in year if r["cost_cents"] is not None]
        cost = sum(costs) if costs else None
        orders = len(self.oracle.orders(t, c, 365))
        return {
            **{f"touches_{n}d": sum(r["occurred_at"] > t - n * DAY for r in rows) for n in (30, 90, 365)},
            "campaign_exposed_365d": len({r["campaign"] for r in year}),
            "touch_channels_365d": len({r["channel"] for r in year}),
            "first_touch_channel": rows[0]["channel"] if rows else None,
            "last_touch_channel": rows[-1]["channel"] if rows else None,
            "days_since_touch": self.age_days(t, rows, "occurred_at"),
            "touch_cost_365d": cost,
            "touch_cost_per_order_365d": None if cost is None else rounded(share(cost, orders)),
        }

    def messages(self, t: datetime, c: str) -> Row:
        rows = sorted(
            self.rows("fct_messages", "sent_at", t, c), key=lambda r: (r["sent_at"], r["message_id"])
        )

        def recent(days: int) -> list[Row]:
            return [r for r in rows if r["sent_at"] > t - days * DAY]

        quarter, half = recent(90), recent(180)
        clicked = [r for r in rows if r["outcome"] in CLICKED]
        opened = [r for r in half if r["outcome"] in OPENED]
        last_open = max((r["sent_at"] for r in opened), default=None)
        wakeups = [r for r in half if r["journey"] == "wake_up"]
        return {
            "marketing_msgs_7d": len(recent(7)),
            "marketing_msgs_30d": len(recent(30)),
            "messages_90d": len(quarter),
            "message_channels_90d": len({r["channel"] for r in quarter}),
            "message_clicks_90d": sum(r["outcome"] in CLICKED for r in quarter),
            "open_rate_90d": share(sum(r["outcome"] in OPENED for r in quarter), len(quarter)),
            "click_rate_90d": share(sum(r["outcome"] in CLICKED for r in quarter), len(quarter)),
            "message_conversions_180d": sum(r["outcome"] == "converted" for r in half),
            "days_since_message": self.age_days(t, rows, "sent_at"),
            "days_since_message_click": self.age_days(t, clicked, "sent_at"),
            "ignored_streak_180d": sum(last_open is None or r["sent_at"] > last_open for r in half),
            "opted_out_any": any(r["outcome"] == "opted_out" for r in rows),
            "preferred_message_channel_180d": most(r["channel"] for r in half if r["outcome"] in CLICKED),
            "best_open_hour_180d": most(self.oracle.local(r["sent_at"]).hour for r in opened),
            "wakeup_attempts_90d": sum(r["sent_at"] > t - 90 * DAY for r in wakeups),
            "last_wakeup_result_180d": wakeups[-1]["outcome"] if wakeups else None,
        }

    def points(self, t: datetime, c: str) -> Row:
        rows = self.rows("fct_points_ledger", "occurred_at", t, c)
        out: Row = {"points_balance": sum(r["points_delta"] for r in rows)}
        for days in (90, 365):
            recent = [r["points_delta"] for r in rows if r["occurred_at"] > t - days * DAY]
            out[f"points_earned_{days}d"] = sum(n for n in recent if n > 0)
            out[f"points_redeemed_{days}d"] = -sum(n for n in recent if n < 0)
        out["points_redeem_rate_365d"] = share(out["points_redeemed_365d"], out["points_earned_365d"])
        out["points_redemptions_365d"] = sum(n < 0 for n in recent)
        today = self.local_day(t)
        lapsing = [r for r in rows if r["points_delta"] > 0 and r["expires_on"] is not None]
        out["points_expiring_30d"] = sum(
            r["points_delta"] for r in lapsing if today <= r["expires_on"] <= today + timedelta(days=30)
        )
        spent = [r for r in rows if r["points_delta"] < 0]
        out["days_since_points_spent"] = self.age_days(t, spent, "occurred_at")
        return out

    def levels(self, t: datetime, c: str) -> Row:
        rows = self.rows("fct_level_changes", "changed_at", t, c)
        # Of two changes at one moment the one with the later number stands.
        rows.sort(key=lambda r: (r["changed_at"], len(r["change_id"]), r["change_id"]))
        stands: Row = rows[-1] if rows else {}
        moves = [r for r in rows if r["cause"] in ("joined", "up", "down")]
        return {
            "member_level": stands.get("level"),
            "growth_value": stands.get("growth"),
            "growth_to_next_level": stands.get("growth_to_next"),
            "is_level_at_risk": bool(stands.get("is_at_risk")),
            "days_as_member": (t - rows[0]["changed_at"]) // DAY if rows else None,
            "days_on_level": self.age_days(t, moves, "changed_at"),
        }

    def cases(self, t: datetime, c: str) -> Row:
        rows = self.rows("fct_after_sales", "opened_at", t, c)
        year = [r for r in rows if r["opened_at"] > t - 365 * DAY]
        done = self.rows("fct_after_sales", "resolved_at", t, c, 365)
        refunds = [r["refund_cents"] for r in done if r["refund_cents"] is not None]
        lengths = [r["resolution_days"] for r in done if r["resolution_days"] is not None]
        complaints = [r for r in year if r["kind"] == "complaint"]
        orders = len(self.oracle.orders(t, c, 365))
        out: Row = {
            "complaints_365d": len(complaints),
            "open_complaint": any(
                r["kind"] == "complaint" and (r["resolved_at"] is None or r["resolved_at"] > t) for r in rows
            ),
            "days_since_complaint": self.age_days(
                t, [r for r in rows if r["kind"] == "complaint"], "opened_at"
            ),
            "cases_90d": sum(r["opened_at"] > t - 90 * DAY for r in rows),
            "cases_365d": len(year),
            "refund_cases_365d": sum(r["kind"] == "refund" for r in year),
            "return_cases_365d": sum(r["kind"] == "return" for r in year),
            "quality_cases_365d": sum(r["reason_code"] in ("damaged", "quality") for r in year),
            "changed_mind_cases_365d": sum(r["reason_code"] == "changed_mind" for r in year),
            "case_skus_365d": len({r["sku_id"] for r in year if r["sku_id"] is not None}),
            "open_cases": sum(r["resolved_at"] is None or r["resolved_at"] > t for r in rows),
            "days_since_case": self.age_days(t, rows, "opened_at"),
            "complaint_top_reason_365d": most(r["reason_code"] for r in complaints),
            "complaint_rate_365d": share(len(complaints), orders),
            "case_rate_365d": share(len(year), orders),
        }
        resolved: Row = {
            "refund_amount_365d": sum(refunds),
            "refund_share_365d": share(sum(refunds), max(self.oracle.money(t, c, 365), 0)),
            "avg_refund_365d": rounded(share(sum(refunds), len(refunds))),
            "avg_resolution_days_365d": share(sum(lengths), len(lengths)),
        }
        known = self.oracle.reported("fct_after_sales", "resolved_at", t)
        return out | (resolved if known else dict.fromkeys(resolved))

    def parcels(self, t: datetime, c: str) -> Row:
        arrived = sorted(
            self.rows("fct_shipments", "delivered_at", t, c),
            key=lambda r: (r["delivered_at"], r["shipment_id"]),
        )
        half = [r for r in arrived if r["delivered_at"] > t - 180 * DAY]
        times = [r["delivery_days"] for r in half]
        left = self.rows("fct_shipments", "shipped_at", t, c)
        year = [r for r in left if r["shipped_at"] > t - 365 * DAY]
        orders = Counter(r["order_id"] for r in year)
        seen = self.rows("fct_shipments", "last_node_at", t, c, 90)
        parts: list[tuple[str, Row]] = [
            (
                "delivered_at",
                {
                    "avg_delivery_days_180d": share(sum(times), len(times)),
                    "late_delivery_rate_180d": share(sum(r["is_late"] for r in half), len(half)),
                    "deliveries_365d": sum(r["delivered_at"] > t - 365 * DAY for r in arrived),
                    "late_deliveries_90d": sum(
                        r["is_late"] and r["delivered_at"] > t - 90 * DAY for r in arrived
                    ),
                    "last_delivery_late": bool(arrived and arrived[-1]["is_late"]),
                    "max_delivery_days_180d": max(times, default=None),
                    "delivery_days_p90_180d": quantile(times, 0.9),
                    "days_since_delivery": self.age_days(t, arrived, "delivered_at"),
                },
            ),
            (
                "shipped_at",
                {
                    "parcels_under_way": sum(
                        r["delivered_at"] is None or r["delivered_at"] > t for r in left
                    ),
                    "parcel_suppliers_365d": len({r["supplier_id"] for r in year}),
                    "split_order_rate_365d": share(sum(n > 1 for n in orders.values()), len(orders)),
                    "home_region_365d": most(r["to_region"] for r in year),
                },
            ),
            ("last_node_at", {"delivery_exceptions_90d": sum(r["last_node"] == "exception" for r in seen)}),
        ]
        out: Row = {}
        for time, tags in parts:
            out |= tags if self.oracle.reported("fct_shipments", time, t) else dict.fromkeys(tags)
        return out

    def events(self, t: datetime, c: str) -> Row:
        quarter = self.rows("fct_events", "occurred_at", t, c, 90)

        def recent(days: float, kind: str | None = None) -> list[Row]:
            rows = [r for r in quarter if r["occurred_at"] > t - days * DAY]
            return [r for r in rows if kind in (None, r["event_type"])]

        month = recent(30)
        views = recent(30, "view")
        products = self.oracle.products
        nothing: Row = {"category_l1_id": None, "category_l2_id": None, "brand_id": None}

        def favourite(column: str) -> Any:
            weights: Counter[str] = Counter()
            for r in views:
                key = products.get(r["sku_id"], nothing)[column]
                if key is not None:
                    weights[key] += (8, 4, 2, 1, 1)[(t - r["occurred_at"]) // (7 * DAY)]
            return min(weights, key=lambda k: (-weights[k], k)) if weights else None

        def kinds(column: str) -> int:
            found = {products.get(r["sku_id"], nothing)[column] for r in views}
            return len(found - {None})

        terms = [r["query"].strip().lower() for r in recent(30, "search") if r["query"] is not None]
        dwell = [r["dwell_ms"] for r in month if r["dwell_ms"] is not None]
        sessions: dict[str, list[Row]] = defaultdict(list)
        for r in month:
            sessions[r["session_id"]].append(r)
        lengths = [
            max(x["occurred_at"] for x in s) - min(x["occurred_at"] for x in s) for s in sessions.values()
        ]
        contents = [Counter(x["event_type"] for x in s) for s in sessions.values()]
        carted = [n for n in contents if n["add_to_cart"]]
        viewing = len({r["session_id"] for r in recent(90, "view")})
        older = {r["session_id"] for r in recent(60) if r["occurred_at"] <= t - 30 * DAY}
        day = recent(1, "add_to_cart")
        paid = recent(1, "checkout")
        last_paid = max((r["occurred_at"] for r in recent(30, "checkout")), default=None)
        latest: dict[str, datetime] = {}
        for r in recent(30, "add_to_cart"):
            latest[r["sku_id"]] = max(r["occurred_at"], latest.get(r["sku_id"], r["occurred_at"]))
        removed: dict[str, datetime] = {}
        for r in recent(30, "remove_from_cart"):
            removed[r["sku_id"]] = max(r["occurred_at"], removed.get(r["sku_id"], r["occurred_at"]))
        open_skus = [
            sku
            for sku, at in latest.items()
            if (sku not in removed or at > removed[sku]) and (last_paid is None or at > last_paid)
        ]
        visits = {(part_of_day(self.oracle.local(r["occurred_at"]).hour), r["session_id"]) for r in month}
        seen = Counter(r["sku_id"] for r in recent(14, "view") if r["sku_id"] is not None)
        favourites = recent(90, "favourite")
        shared = recent(90, "share")
        return {
            "sessions_7d": len({r["session_id"] for r in recent(7)}),
            "sessions_30d": len(sessions),
            "days_visited_30d": len({self.local_day(r["occurred_at"]) for r in month}),
            "product_views_30d": len(views),
            "distinct_products_viewed_30d": len({r["sku_id"] for r in views if r["sku_id"] is not None}),
            "search_count_30d": len(recent(30, "search")),
            "add_to_cart_30d": len(recent(30, "add_to_cart")),
            "sessions_90d": len({r["session_id"] for r in quarter}),
            "days_visited_90d": len({self.local_day(r["occurred_at"]) for r in quarter}),
            "events_30d": len(month),
            "product_views_7d": len(recent(7, "view")),
            "product_views_90d": len(recent(90, "view")),
            "add_to_cart_7d": len(recent(7, "add_to_cart")),
            "remove_from_cart_30d": len(recent(30, "remove_from_cart")),
            "favourites_30d": len(recent(30, "favourite")),
            "impressions_30d": len(recent(30, "impression")),
            "checkouts_30d": len(recent(30, "checkout")),
            "search_count_7d": len(recent(7, "search")),
            "favourite_skus_90d": len({r["sku_id"] for r in favourites if r["sku_id"] is not None}),
            "distinct_searches_30d": len(set(terms)),
            "top_search_term_30d": most(term for term in terms if term),
            "dwell_seconds_30d": sum(dwell) // 1000,
            "avg_dwell_seconds_30d": share(sum(dwell), 1000 * len(dwell)),
            "categories_viewed_30d": kinds("category_l2_id"),
            "brands_viewed_30d": kinds("brand_id"),
            "view_repeat_max_14d": max(seen.values(), default=0),
            "views_per_impression_30d": share(len(views), len(recent(30, "impression"))),
            "carts_per_view_30d": share(len(recent(30, "add_to_cart")), len(views)),
            "avg_session_seconds_30d": share(sum(x / timedelta(seconds=1) for x in lengths), len(lengths)),
            "page_depth_30d": share(len(views), len(sessions)),
            "bounce_rate_30d": share(sum(n.total() == 1 for n in contents), len(contents)),
            "cart_abandon_rate_30d": share(sum(not n["checkout"] for n in carted), len(carted)),
            "session_checkout_rate_30d": share(sum(n["checkout"] > 0 for n in contents), len(contents)),
            "viewing_sessions_90d": viewing,
            "view_to_order_rate_90d": share(len(self.oracle.orders(t, c, 90)), viewing),
            "visit_trend_30d": share(len(sessions), len(older)),
            "days_since_visit": self.age_days(t, quarter, "occurred_at"),
            "days_since_cart": self.age_days(t, recent(90, "add_to_cart"), "occurred_at"),
            "days_since_checkout": self.age_days(t, recent(90, "checkout"), "occurred_at"),
            "cart_abandon_24h": bool(day)
            and (not paid or max(r["occurred_at"] for r in day) > max(r["occurred_at"] for r in paid)),
            "open_cart_skus_30d": len(open_skus),
            "preferred_visit_daypart_30d": most(daypart for daypart, _ in visits),
            "category_interest_browse": favourite("category_l1_id"),
            "category_l2_interest_browse": favourite("category_l2_id"),
            "brand_interest_browse": favourite("brand_id"),
            "shares_30d": len(recent(30, "share")),
            "shares_90d": len(shared),
            "shared_skus_90d": len({r["sku_id"] for r in shared if r["sku_id"] is not None}),
        }

    def people(self, t: datetime, c: str) -> Row:
        known = self.rows("dim_consumers", "registered_at", t, c)
        row = known[-1] if known else dict.fromkeys(SCHEMAS["dim_consumers"])
        versions = sorted(
            (r for r in self.oracle.owned["dim_consumers", c] if r["received_at"] <= t),
            key=lambda r: r["received_at"],
        )
        pairs = list(zip([None, *versions], versions, strict=False))
        given = [b for a, b in pairs if b["consent_marketing"] and (a is None or not a["consent_marketing"])]
        taken = [
            b
            for a, b in pairs
            if b["consent_marketing"] is False and a is not None and a["consent_marketing"]
        ]
        changed = [
            b
            for a, b in pairs
            if a is not None
            and b["received_at"] > t - 365 * DAY
            and any(
                a[k] is not None and b[k] is not None and a[k] != b[k]
                for k in ("consent_marketing", "consent_profiling")
            )
        ]
        moved = [
            b
            for a, b in pairs
            if a is not None and a["consent_marketing"] is not None and b["received_at"] > t - 365 * DAY
        ]
        wait = self.birthday_in(row["birthday"], self.local_day(t))
        return {
            "gender": row["gender"] or "unknown",
            "age_band": None if row["birthday"] is None else band(t.year - row["birthday"].year),
            "birthday_month": None if row["birthday"] is None else row["birthday"].month,
            "household_size": row["household_size"],
            "income_band": row["income_band"],
            "registration_age_days": self.age_days(t, known, "registered_at"),
            "consent_marketing": bool(row["consent_marketing"]),
            "consent_profiling": bool(row["consent_profiling"]),
            "acquisition_channel": row["acquisition_channel"] or "unknown",
            "stated_city": row["city"],
            "registered_merchant": row["merchant_id"],
            "days_to_birthday": wait,
            "birthday_within_30d": wait is not None and wait <= 30,
            "marketing_consent_given_days": self.age_days(t, given, "received_at"),
            "marketing_consent_withdrawn_days": self.age_days(t, taken, "received_at"),
            "consent_changes_365d": len(changed),
            "profile_changes_365d": len(moved),
            "referred_by": row["inviter_id"],
            "is_referred": row["inviter_id"] is not None,
        }

    @staticmethod
    def birthday_in(birthday: date | None, today: date) -> int | None:
        """Days to the next birthday, found by walking."""
        if birthday is None:
            return None
        target = (birthday.month, 28 if (birthday.month, birthday.day) == (2, 29) else birthday.day)
        return next(
            n
            for n in range(367)
            if ((today + timedelta(days=n)).month, (today + timedelta(days=n)).day) == target
        )

    def referrals(self, t: datetime, c: str) -> Row:
        if t not in self.known_people:
            self.known_people[t] = self.oracle.visible("dim_consumers", "registered_at", t)
        everybody = self.known_people[t]
        invited = [r for r in everybody if r["inviter_id"] is not None]
        mine = [r for r in invited if r["inviter_id"] == c]
        newest = {r["consumer_id"]: r["inviter_id"] for r in everybody}
        friends = [consumer for consumer, inviter in newest.items() if inviter == c]
        buyers = [consumer for consumer in friends if self.oracle.orders(t, consumer)]
        out: Row = {
            "invites_90d": len({r["consumer_id"] for r in mine if r["registered_at"] > t - 90 * DAY}),
            "invites_lifetime": len({r["consumer_id"] for r in mine}),
        }
        bought: Row = {
            "invited_buyers_lifetime": len(buyers),
            "referred_gmv_365d": sum(self.known_money(t, consumer) for consumer in friends),
        }
        ordered = any(
            self.oracle.visible("fct_orders", "placed_at", t, None, consumer)
            for consumer, inviter in newest.items()
            if inviter is not None
        )
        out = out if invited else dict.fromkeys(out)
        bought = bought if ordered else dict.fromkeys(bought)
        rate = share(len(buyers), out["invites_lifetime"]) if invited and ordered else None
        return out | bought | {"referral_conversion_rate": rate}

    def known_money(self, t: datetime, consumer: str) -> int:
        rows = self.oracle.visible("fct_orders", "placed_at", t, 365, consumer)
        return sum(r["net_sales_cents"] for r in rows)

    def tags(self, t: datetime, consumer: str) -> Row:
        """Every tag of this module."""
        bought: list[Callable[[datetime, str], Row]] = [
            self.spend,
            self.returns,
            self.categories,
            self.discounts,
            self.habits,
            self.stages,
        ]
        out: Row = {}
        for compute in bought:
            out |= compute(t, consumer)
        if not self.oracle.reported("fct_orders", "placed_at", t):
            out = dict.fromkeys(out)
        costs = self.margin(t, consumer)
        out |= costs if self.oracle.reported("fct_order_lines", "placed_at", t) else dict.fromkeys(costs)
        for table, time, compute in (
            ("fct_touches", "occurred_at", self.touches),
            ("fct_messages", "sent_at", self.messages),
            ("fct_points_ledger", "occurred_at", self.points),
            ("fct_level_changes", "changed_at", self.levels),
            ("fct_after_sales", "opened_at", self.cases),
            ("fct_events", "occurred_at", self.events),
            ("dim_consumers", "registered_at", self.people),
        ):
            tags = compute(t, consumer)
            out |= tags if self.oracle.reported(table, time, t) else dict.fromkeys(tags)
        return out | self.coupons(t, consumer) | self.parcels(t, consumer) | self.referrals(t, consumer)
