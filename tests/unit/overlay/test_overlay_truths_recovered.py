"""Each planted truth is estimated from the generated rows alone and must come back.

Tolerances: four standard errors of the estimate (binomial shares: 4 * sqrt(p (1-p) / n)), so that a planted
number shifted by more than that fails. Estimates use the rows and the observed tables, never the generator's
internals.
"""

from __future__ import annotations

from datetime import timedelta
from math import log, sqrt

import numpy as np
import polars as pl
import pytest
from overlay_panel import AS_OF, OFFSET, days, panel

from pipelines.sources.overlay import ObservedTables, PlantedTruths, generate, planted_truths

Tables = dict[str, pl.DataFrame]


def assert_share(hits: int, n: int, planted: float, *, at_least: int = 200) -> None:
    assert n >= at_least, f"only {n} rows: too few to recover anything"
    tolerance = 4 * sqrt(planted * (1 - planted) / n)
    assert abs(hits / n - planted) <= tolerance, (
        f"{hits / n:.4f} of {n} against planted {planted} +- {tolerance:.4f}"
    )


def group_of(truths: PlantedTruths) -> pl.DataFrame:
    return pl.DataFrame(
        {"supplier_id": list(truths.supplier_groups), "group": list(truths.supplier_groups.values())}
    )


def shelf_prices(observed: ObservedTables) -> pl.DataFrame:
    lines = observed.order_lines
    return lines.group_by("sku_id").agg(
        shelf=(pl.col("list_price_cents") * 1000 / pl.col("qty_milli")).median(), n=pl.len()
    )


def of_bad_batch(truths: PlantedTruths) -> pl.Expr:
    """Whether a line (sku_id, placed_at) is of the planted bad batch."""
    bad = truths.supply.bad_batch
    assert bad is not None
    placed = pl.col("placed_at")
    return (pl.col("sku_id") == bad.sku_id) & (placed > bad.sold_from) & (placed <= bad.sold_until)


@pytest.mark.parametrize("group", ["reliable", "average", "poor"])
def test_late_share_by_supplier_group(overlay: Tables, truths: PlantedTruths, group: str) -> None:
    # Parcels promised long ago: near as_of the late ones have not arrived yet and would be missing.
    parcels = overlay["shipments"].filter(
        pl.col("promised_at") < AS_OF - days(30), pl.col("delivered_at").is_not_null()
    )
    ours = parcels.join(group_of(truths), on="supplier_id").filter(pl.col("group") == group)
    late = ours.filter(pl.col("delivered_at") > pl.col("promised_at")).height
    assert_share(late, ours.height, truths.late_rate_by_group[group])


def test_lost_parcels(overlay: Tables, truths: PlantedTruths) -> None:
    old = overlay["shipments"].filter(pl.col("promised_at") < AS_OF - days(30))
    assert_share(old["delivered_at"].null_count(), old.height, truths.lost_share)
    assert set(old.filter(pl.col("delivered_at").is_null())["last_node"]) == {"exception"}


@pytest.mark.parametrize("group", ["reliable", "average", "poor"])
@pytest.mark.parametrize("is_prone", [False, True])
def test_case_rate_by_sku_and_supplier(
    observed: ObservedTables, overlay: Tables, truths: PlantedTruths, group: str, is_prone: bool
) -> None:
    # A line needs about a month before all of its cases have been opened.
    old = observed.orders.filter(pl.col("placed_at") < AS_OF - days(40)).select("order_id", "placed_at")
    lines = (
        observed.order_lines.join(old, on="order_id")
        .join(group_of(truths), on="supplier_id")
        .filter(pl.col("group") == group)
        .filter(pl.col("sku_id").is_in(list(truths.complaint_prone_skus)) == is_prone)
        .filter(~of_bad_batch(truths))
    )
    with_case = lines.join(overlay["after_sales"], on=["order_id", "line_no"], how="semi")
    rate = truths.case_rate_prone if is_prone else truths.case_rate_base
    assert_share(with_case.height, lines.height, rate * truths.case_factor_by_group[group])


def test_base_case_rate_pooled_over_groups(
    observed: ObservedTables, overlay: Tables, truths: PlantedTruths
) -> None:
    # One group holds too few cases to tell 0.009 from 0.011; weighted by their factors all of them do.
    old = observed.orders.filter(pl.col("placed_at") < AS_OF - days(40)).select("order_id", "placed_at")
    lines = (
        observed.order_lines.join(old, on="order_id")
        .join(group_of(truths), on="supplier_id")
        .filter(~pl.col("sku_id").is_in(list(truths.complaint_prone_skus)), ~of_bad_batch(truths))
    )
    cases = lines.join(overlay["after_sales"], on=["order_id", "line_no"], how="semi").height
    exposure = sum(truths.case_factor_by_group[group] for group in lines["group"].to_list())
    # Cases are nearly Poisson: the error of the rate is sqrt(cases) / exposure.
    assert abs(cases / exposure - truths.case_rate_base) <= 4 * sqrt(cases) / exposure
    assert 4 * sqrt(cases) / exposure < 0.25 * truths.case_rate_base, "too few cases to tell a wrong rate"


def test_prone_skus_stand_out(observed: ObservedTables, overlay: Tables, truths: PlantedTruths) -> None:
    """The list itself comes back: ranked by a shrunk case rate, the top are the planted ones."""
    cases = observed.order_lines.join(overlay["after_sales"], on=["order_id", "line_no"], how="semi")
    rate = (
        observed.order_lines.group_by("sku_id")
        .agg(lines=pl.len())
        .join(cases.group_by("sku_id").agg(cases=pl.len()), on="sku_id", how="left")
        .with_columns(rate=(pl.col("cases").fill_null(0) + 1) / (pl.col("lines") + 80))
        .sort("rate", "sku_id", descending=True)
    )
    top = set(rate["sku_id"].head(len(truths.complaint_prone_skus)))
    found = len(top & set(truths.complaint_prone_skus)) / len(truths.complaint_prone_skus)
    assert found >= 0.6


def test_case_kinds(overlay: Tables, truths: PlantedTruths) -> None:
    cases = overlay["after_sales"]
    for kind, share in truths.case_kind_shares.items():
        assert_share(cases.filter(pl.col("kind") == kind).height, cases.height, share)


def test_competitor_ratios(observed: ObservedTables, overlay: Tables, truths: PlantedTruths) -> None:
    # The panel's list prices never move, so the median is the shelf price. Neighbouring weeks are alike: with
    # autocorrelation r, n weeks are worth n (1-r)/(1+r).
    seen = overlay["competitor_prices"].join(shelf_prices(observed), on="sku_id")
    worth = (1 - truths.competitor_ar1) / (1 + truths.competitor_ar1)
    assert set(seen["competitor"]) == set(truths.competitor_mean_ratio)
    for rival, ratio in truths.competitor_mean_ratio.items():
        logs = seen.filter(pl.col("competitor") == rival).select(
            (pl.col("price_cents") / pl.col("shelf")).log()
        )
        values = logs.to_series().to_numpy()
        assert abs(values.mean() - log(ratio)) <= 4 * truths.competitor_log_sd / sqrt(len(values) * worth)
        assert values.std() == pytest.approx(truths.competitor_log_sd, rel=0.08)


def test_competitor_autocorrelation(observed: ObservedTables, overlay: Tables, truths: PlantedTruths) -> None:
    seen = (
        overlay["competitor_prices"]
        .join(shelf_prices(observed), on="sku_id")
        .with_columns(
            week=pl.col("observed_at").dt.truncate("1w"),
            ratio=(pl.col("price_cents") / pl.col("shelf")).log(),
        )
        .with_columns(pl.col("ratio") - pl.col("ratio").mean().over("competitor"))
        .select("sku_id", "competitor", "week", "ratio")
    )
    pairs = seen.join(
        seen.with_columns(pl.col("week").dt.offset_by("7d")),
        on=["sku_id", "competitor", "week"],
        suffix="_before",
    )
    slope = (pairs["ratio"] * pairs["ratio_before"]).sum() / (pairs["ratio_before"] ** 2).sum()
    assert slope == pytest.approx(truths.competitor_ar1, abs=0.03)


def test_margins_by_department(observed: ObservedTables, overlay: Tables, truths: PlantedTruths) -> None:
    products = observed.products.select("sku_id", "category_id", supplier_id="manufacturer_id")
    latest = (
        overlay["offers"]
        .join(products, on=["sku_id", "supplier_id"])
        .sort("valid_from")
        .group_by("sku_id")
        .last()
        .filter(~pl.col("sku_id").is_in(list(truths.loss_maker_skus)))
        .join(shelf_prices(observed), on="sku_id")
        .with_columns(
            margin=1 - pl.col("supply_price_cents") / pl.col("shelf"),
            department=pl.lit("l1-")
            + (pl.col("category_id").str.slice(3).cast(pl.Int64) % 5).cast(pl.String),
        )
    )
    assert set(latest["department"]) == set(truths.margin_mean_by_department)
    for department, planted in truths.margin_mean_by_department.items():
        margins = latest.filter(pl.col("department") == department)["margin"].to_numpy()
        assert abs(margins.mean() - planted) <= 4 * truths.margin_sd / sqrt(len(margins))
    within = latest.select(pl.col("margin") - pl.col("margin").mean().over("department"))["margin"].to_numpy()
    # A standard normal clipped at two has standard deviation 0.9594.
    assert within.std() == pytest.approx(0.9594 * truths.margin_sd, rel=4 / sqrt(2 * len(within)))


def test_loss_makers_and_only_they_cost_more_than_the_shelf_price(
    observed: ObservedTables, overlay: Tables, truths: PlantedTruths
) -> None:
    offers = overlay["offers"].join(shelf_prices(observed), on="sku_id")
    losing = offers.filter(pl.col("supply_price_cents") >= pl.col("shelf"))
    assert losing.height / offers.height <= 0.03
    primary = observed.products.select("sku_id", supplier_id="manufacturer_id")
    latest = offers.join(primary, on=["sku_id", "supplier_id"]).sort("valid_from").group_by("sku_id").last()
    found = latest.filter(pl.col("supply_price_cents") > pl.col("shelf"))["sku_id"].to_list()
    assert sorted(found) == list(truths.loss_maker_skus)
    assert truths.loss_maker_skus


def funnel(observed: ObservedTables, overlay: Tables) -> pl.DataFrame:
    """Return one row per viewed (session, sku): is_carted, is_ordered within 30 seconds of checkout."""
    events = overlay["events"]
    step = events.filter(pl.col("sku_id").is_not_null())
    pairs = step.group_by("session_id", "sku_id", "consumer_id").agg(
        is_viewed=(pl.col("event_type") == "view").any(),
        is_carted=(pl.col("event_type") == "add_to_cart").any(),
    )
    ends = events.filter(pl.col("event_type") == "checkout").select("session_id", ended_at="occurred_at")
    bought = observed.order_lines.join(observed.orders, on="order_id").select(
        "consumer_id", "sku_id", "placed_at"
    )
    ordered = (
        pairs.join(ends, on="session_id")
        .join(bought, on=["consumer_id", "sku_id"])
        .filter(
            pl.col("placed_at") >= pl.col("ended_at"),
            pl.col("placed_at") <= pl.col("ended_at") + timedelta(seconds=30),
        )
        .select("session_id", "sku_id", is_ordered=pl.lit(True))
    )
    return (
        pairs.filter("is_viewed")
        .join(ordered, on=["session_id", "sku_id"], how="left")
        .with_columns(pl.col("is_ordered").fill_null(False))
    )


def test_funnel(observed: ObservedTables, overlay: Tables, truths: PlantedTruths) -> None:
    pairs = funnel(observed, overlay)
    carted = pairs.filter("is_carted")
    # The numbers of failures are drawn before a fixed number of successes, so the error of a rate is a little
    # smaller than binomial; pairs that would repeat or have no past are replaced, so nothing else shifts it.
    assert_share(carted.height, pairs.height, truths.view_to_cart_rate)
    assert_share(carted["is_ordered"].sum(), carted.height, truths.cart_to_order_rate)
    assert pairs.filter(pl.col("is_ordered") & ~pl.col("is_carted")).height <= 0.01 * pairs.height


def test_order_session_share(overlay: Tables, truths: PlantedTruths) -> None:
    # Visits follow orders by days, so the first and the last weeks are left out of the ratio's estimate.
    ends = (
        overlay["events"]
        .group_by("session_id")
        .agg((pl.col("event_type") == "checkout").any().alias("orders"), pl.col("occurred_at").min())
    )
    middle = ends.filter(pl.col("occurred_at").is_between(AS_OF - days(330), AS_OF - days(30)))
    assert_share(middle["orders"].sum(), middle.height, truths.order_session_share)


def test_view_rate_by_position(overlay: Tables, truths: PlantedTruths) -> None:
    events = overlay["events"]
    shown = events.filter(pl.col("event_type") == "impression").group_by("position").len("shown")
    viewed = (
        events.filter((pl.col("event_type") == "view") & pl.col("position").is_not_null())
        .group_by("position")
        .len("viewed")
    )
    for position, count, hits in shown.join(viewed, on="position").sort("position").iter_rows():
        assert_share(hits, count, truths.view_rate_by_position[position - 1])


def test_propensities_are_calibrated(overlay: Tables) -> None:
    """What is shown with chance p is shown in a share p of the slates: inverse weights sum up."""
    first = overlay["events"].filter((pl.col("event_type") == "impression") & (pl.col("position") == 1))
    for (policy,), shown in first.group_by("policy_version"):
        slates, candidates = shown.height, 20
        # The sum of 1/p over what was shown has mean slates * candidates, variance slates * (sum 1/p - c^2).
        weights = 1 / shown["propensity"].to_numpy()
        chances = np.unique(shown["propensity"].to_numpy().round(9))
        assert len(chances) == candidates, policy
        deviation = sqrt(slates * (np.sum(1 / chances) - candidates**2))
        assert abs(weights.sum() - slates * candidates) <= 4 * deviation
        assert chances.sum() == pytest.approx(1.0, abs=1e-6)


def test_agent_tiers(overlay: Tables, truths: PlantedTruths) -> None:
    agents = overlay["agents"]
    for tier, share in truths.agent_tier_shares.items():
        assert_share(agents.filter(pl.col("tier") == tier).height, agents.height, share)
    assert_share(agents["is_active"].sum(), agents.height, truths.agent_active_share)


def test_pricing_modes(overlay: Tables, truths: PlantedTruths) -> None:
    listings = overlay["listings"]
    for mode, share in truths.pricing_mode_shares.items():
        assert_share(listings.filter(pl.col("pricing_mode") == mode).height, listings.height, share)


def latest_primary(observed: ObservedTables, overlay: Tables) -> pl.DataFrame:
    primary = observed.products.select("sku_id", supplier_id="manufacturer_id")
    latest = (
        overlay["offers"]
        .join(primary, on=["sku_id", "supplier_id"])
        .sort("valid_from")
        .group_by("sku_id")
        .last()
    )
    # The panel runs 52 full weeks plus a day.
    weekly = observed.order_lines.group_by("sku_id").agg(weekly=pl.col("qty_milli").sum() / 53_000)
    return latest.join(weekly, on="sku_id")


def test_stock_outs(observed: ObservedTables, overlay: Tables, truths: PlantedTruths) -> None:
    empty = latest_primary(observed, overlay).filter(pl.col("stock_qty") == 0)["sku_id"].sort().to_list()
    assert empty == list(truths.stock_out_skus)
    assert empty


def test_slow_movers(observed: ObservedTables, overlay: Tables, truths: PlantedTruths) -> None:
    cover = latest_primary(observed, overlay).with_columns(weeks=pl.col("stock_qty") / pl.col("weekly"))
    buried = cover.filter(pl.col("weeks") >= truths.slow_mover_cover_weeks)["sku_id"].to_list()
    planted = set(truths.slow_mover_skus)
    assert planted
    assert planted <= set(buried)
    assert len(set(buried) - planted) <= 0.02 * cover.height


def test_message_responses() -> None:
    # Many consumers with few orders each: thousands of gaps and campaign rounds.
    observed = panel(orders=12_000, consumers=4_000)
    truths = planted_truths(11, observed)
    messages = generate("messages", observed, seed=11, as_of=AS_OF, utc_offset_hours=OFFSET)
    # Rows of the last days have not all arrived: a click takes two days to settle.
    sent = messages.filter(pl.col("sent_at") < AS_OF - days(6))
    clicked = pl.col("outcome").is_in(["clicked", "converted"])
    planted = {"wake_up": truths.winback_response_share, "campaign": truths.campaign_response_share}
    for journey, share in planted.items():
        ours = sent.filter(pl.col("journey") == journey)
        assert_share(ours.filter(clicked).height, ours.height, share, at_least=4_000)
    # An opted-out consumer gets nothing more, which leaves the share among messages sent as planted.
    assert_share(sent.filter(pl.col("outcome") == "opted_out").height, sent.height, truths.opt_out_share)


def test_redemptions(observed: ObservedTables, overlay: Tables, truths: PlantedTruths) -> None:
    redeemed = overlay["points_ledger"].filter(pl.col("reason") == "redeem").height
    assert_share(redeemed, observed.orders.height, truths.redeem_share)
