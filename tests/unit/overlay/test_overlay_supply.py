"""What is planted on the supply side comes back from the rows: who, what and when."""

from __future__ import annotations

from math import sqrt

import polars as pl
import pytest
from overlay_panel import AS_OF, days
from test_overlay_truths_recovered import assert_share, of_bad_batch, shelf_prices

from pipelines.sources.overlay import ObservedTables, PlantedTruths

Tables = dict[str, pl.DataFrame]


def test_parcels_wait_at_the_closed_port_and_only_there(overlay: Tables, truths: PlantedTruths) -> None:
    closing = truths.supply.port_closing
    assert closing is not None
    left = pl.col("shipped_at")
    crossing = (pl.col("from_region") == closing.region) & (pl.col("to_region") != closing.region)
    within = (left >= closing.closed_at) & (left < closing.reopened_at)
    arrived = overlay["shipments"].filter(pl.col("delivered_at").is_not_null())
    held = arrived.filter(crossing & within)
    assert held.height > 20
    assert held["delivered_at"].min() > closing.reopened_at
    others = arrived.filter(within & ~crossing)
    assert others.filter(pl.col("delivered_at") < closing.reopened_at).height > 0.5 * others.height


def test_the_bad_batch_is_told_by_its_lines_and_by_its_parcels(
    observed: ObservedTables, overlay: Tables, truths: PlantedTruths
) -> None:
    bad = truths.supply.bad_batch
    assert bad is not None
    placed = observed.orders.select("order_id", "placed_at")
    lines = observed.order_lines.join(placed, on="order_id").filter(of_bad_batch(truths))
    cases = lines.join(overlay["after_sales"], on=["order_id", "line_no"], how="inner")
    assert_share(cases.height, lines.height, bad.case_rate, at_least=40)
    assert set(cases["reason_code"]) == {"quality"}
    # The parcels that scans say carried it are those of its lines, as far as a parcel of the supplier went.
    scans = overlay["supply_observations"].filter(pl.col("batch_id") == bad.batch_id)
    told = scans.join(overlay["shipments"], on="shipment_id")["order_id"]
    assert told.len() > 0
    assert set(told) <= set(lines["order_id"])
    assert overlay["batches"].filter(pl.col("batch_id") == bad.batch_id)["sku_id"].to_list() == [bad.sku_id]


def test_collapses_are_the_only_far_moves_of_a_capacity(overlay: Tables, truths: PlantedTruths) -> None:
    stated = overlay["supply_observations"].filter(pl.col("kind") == "capacity")
    far = (
        stated.with_columns(normal=pl.col("qty").median().over("supplier_id"))
        .filter((pl.col("qty") / pl.col("normal") - 1).abs() > 0.3)
        .group_by("supplier_id")
        .agg(since=pl.col("occurred_at").min())
    )
    planted = truths.supply.capacity_collapses
    assert set(far["supplier_id"]) == set(planted)
    for supplier, since in far.iter_rows():
        assert planted[supplier] <= since < planted[supplier] + days(1)
    logs = stated.join(far, on="supplier_id", how="anti").select(
        pl.col("qty").log() - pl.col("qty").log().mean().over("supplier_id")
    )["qty"]
    # A stated capacity is a whole number; 60 days a supplier estimate its mean.
    assert logs.std() == pytest.approx(truths.supply.capacity_log_sd, rel=4 / sqrt(2 * logs.len()) + 0.02)


def test_counterfeits_are_cheap_and_not_authorised(
    observed: ObservedTables, overlay: Tables, truths: PlantedTruths
) -> None:
    brands = observed.products.select("sku_id", "brand_id")
    listed = overlay["listings"].join(shelf_prices(observed), on="sku_id").join(brands, on="sku_id")
    cheap = listed.filter(pl.col("list_price_cents") < pl.col("shelf") * 0.5)
    pairs = {(row["merchant_id"], row["sku_id"]) for row in cheap.iter_rows(named=True)}
    assert pairs == set(truths.supply.counterfeit_listings)
    assert pairs
    papers = overlay["licences"].filter(pl.col("kind") == "brand_authorisation")
    assert cheap.join(papers, on=["merchant_id", "brand_id"], how="semi").height == 0
    others = listed.join(cheap.select("brand_id"), on="brand_id", how="semi").join(
        cheap, on=["merchant_id", "brand_id"], how="anti"
    )
    assert others.height > 0
    assert others.join(papers, on=["merchant_id", "brand_id"], how="anti").height == 0


def test_lookalikes_show_the_picture_and_the_name_of_another_brand(
    observed: ObservedTables, overlay: Tables, truths: PlantedTruths
) -> None:
    brands = dict(observed.products.select("sku_id", "brand_id").rows())
    named = overlay["listings"].filter(pl.col("title").is_not_null())
    planted = {(merchant, sku): of for merchant, sku, of in truths.supply.lookalike_listings}
    assert {(row["merchant_id"], row["sku_id"]) for row in named.iter_rows(named=True)} == set(planted)
    assert planted
    for row in named.iter_rows(named=True):
        of = planted[row["merchant_id"], row["sku_id"]]
        assert brands[of] != brands[row["sku_id"]]
        assert row["title"].startswith(brands[of])
        assert row["image_hash"] == f"img-{of}"
    honest = overlay["listings"].filter(pl.col("title").is_null(), pl.col("image_hash").is_not_null())
    assert (honest["image_hash"] == "img-" + honest["sku_id"]).all()


def test_made_up_batches_are_the_only_codes_that_nobody_stated(
    overlay: Tables, truths: PlantedTruths
) -> None:
    seen = overlay["supply_observations"].filter(pl.col("batch_id").is_not_null())
    unknown = seen.join(overlay["batches"], on="batch_id", how="anti")
    assert set(unknown["sku_id"]) == set(truths.supply.made_up_batches)
    assert len(truths.supply.made_up_batches) == 2
    for sku in truths.supply.made_up_batches:
        of_sku = seen.filter(pl.col("sku_id") == sku)
        made_up = (of_sku["batch_id"] == f"{sku}-x").sum()
        assert of_sku.height > 0
        assert abs(made_up - of_sku.height / 3) < 1 + of_sku.height / 6


def test_expired_and_copied_licences(overlay: Tables, truths: PlantedTruths) -> None:
    papers = overlay["licences"].filter(pl.col("kind") == "business")
    expired = papers.filter(pl.col("ends_on") < AS_OF.date())["supplier_id"].sort().to_list()
    assert expired == list(truths.supply.expired_licences)
    owner, copier = truths.supply.copied_licence or ("", "")
    twice = papers.filter(pl.col("licence_no") == f"BL-{owner}").sort("received_at")
    assert twice["supplier_id"].to_list() == [owner, copier]


def test_the_warm_device(overlay: Tables, truths: PlantedTruths) -> None:
    device, since = truths.supply.cold_chain_break or ("", AS_OF)
    warm = overlay["supply_observations"].filter(pl.col("reading") > 8)
    assert set(warm["device_id"]) == {device}
    assert (warm["occurred_at"].min() - since) < days(1 / 24)
    assert warm["occurred_at"].max() < since + days(6 / 24)


def test_scans_tell_what_parcels_tell(overlay: Tables) -> None:
    scans = overlay["supply_observations"].filter(pl.col("kind") == "parcel_scan")
    arrived = scans.filter(pl.col("status") == "delivered").join(overlay["shipments"], on="shipment_id")
    assert arrived.height > 100
    assert (arrived["occurred_at"] == arrived["delivered_at"]).all()
