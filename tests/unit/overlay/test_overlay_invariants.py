"""What must hold for every row, whatever was drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from overlay_panel import AS_OF, OFFSET, days, overlay_of

from pipelines.sources.contract import INGEST_ORDER, contract_table
from pipelines.sources.loading.validation import Parent, check_chunk
from pipelines.sources.overlay import OVERLAY_ORDER, OVERLAY_TABLES, ObservedTables, PlantedTruths, generate
from pipelines.sources.protocol import Chunk

Tables = dict[str, pl.DataFrame]
PLANNED = {"promised_at", "expires_on", "closed_on", "ends_on"}
HAPPENED = {
    "offers": "valid_from", "listings": "valid_from", "inventory_movements": "occurred_at",
    "shipments": "last_node_at", "after_sales": "opened_at", "events": "occurred_at",
    "competitor_prices": "observed_at", "messages": "sent_at", "points_ledger": "occurred_at",
    "supply_observations": "occurred_at",
}  # fmt: skip


@pytest.mark.parametrize("table", OVERLAY_ORDER)
def test_contract_accepts_every_row(observed: ObservedTables, overlay: Tables, table: str) -> None:
    contract = contract_table(table)
    known = overlay | {
        name: getattr(observed, name)
        for name in ("suppliers", "products", "merchants", "consumers", "orders", "order_lines")
    }
    parents = [
        Parent(
            key,
            known[key.parent].select(*key.parent_columns, *(key.not_before or ())[1:]).unique(),
            refused=pl.DataFrame,
        )
        for key in contract.foreign_keys
    ]
    rows = overlay[table]
    assert rows.height > 0
    checked = check_chunk(
        contract, Chunk(rows, file="overlay"), origin="overlay", as_of=AS_OF, parents=parents
    )
    assert checked.rejected.height == 0, checked.rejected.head(3)
    assert checked.accepted.height == rows.height
    assert dict(rows.schema) == dict(contract.dtypes)
    assert rows.select(contract.key).is_duplicated().sum() == 0


@pytest.mark.parametrize("table", OVERLAY_ORDER)
def test_origin_money_and_clock(overlay: Tables, table: str) -> None:
    rows = overlay[table]
    assert rows["origin"].unique().to_list() == ["overlay"]
    for name, dtype in rows.schema.items():
        if name.endswith(("_cents", "_qty")):
            assert dtype == pl.Int64, name
        if dtype.is_temporal() and name not in PLANNED:
            limit = AS_OF.date() if dtype == pl.Date else AS_OF
            assert rows[name].max() <= limit, name
    if table in HAPPENED:
        assert rows.filter(pl.col("received_at") < pl.col(HAPPENED[table])).height == 0


@pytest.mark.parametrize(
    "table", ["events", "points_ledger", "competitor_prices", "inventory_movements", "supply_observations"]
)
def test_a_few_rows_arrive_late(overlay: Tables, table: str) -> None:
    old = overlay[table].filter(pl.col(HAPPENED[table]) < AS_OF - days(3))
    late = (old["received_at"] - old[HAPPENED[table]] > timedelta(hours=1)).mean()
    assert 0.02 <= late <= 0.04


def order_sessions(observed: ObservedTables, events: pl.DataFrame) -> pl.DataFrame:
    """Return session_id, order_id, placed_at: the order that the visit's checkout precedes by seconds."""
    ends = events.filter(pl.col("event_type") == "checkout").select(
        "session_id", "consumer_id", "occurred_at"
    )
    return (
        ends.sort("occurred_at")
        .join_asof(
            observed.orders.sort("placed_at"),
            left_on="occurred_at",
            right_on="placed_at",
            by="consumer_id",
            strategy="forward",
            check_sortedness=False,
        )
        .select("session_id", "order_id", "placed_at", checkout_at="occurred_at")
    )


def test_visits_precede_their_order(observed: ObservedTables, overlay: Tables) -> None:
    events = overlay["events"]
    ends = order_sessions(observed, events)
    assert ends["order_id"].null_count() == 0
    gap = ends["placed_at"] - ends["checkout_at"]
    assert timedelta(seconds=1) <= gap.min() <= gap.max() <= timedelta(seconds=30)
    inside = events.join(ends, on="session_id")
    assert inside.filter(pl.col("occurred_at") >= pl.col("placed_at")).height == 0
    # Nothing in a visit comes after its checkout.
    assert inside.filter(pl.col("occurred_at") > pl.col("checkout_at")).height == 0


def test_every_cart_follows_a_view_and_is_listed_once(overlay: Tables) -> None:
    # A view that arrives after as_of is not there yet although its cart may be: leave the last days out.
    events = overlay["events"].filter(pl.col("occurred_at") < AS_OF - days(4), pl.col("sku_id").is_not_null())
    steps = events.pivot(
        "event_type", index=["session_id", "sku_id"], values="occurred_at", aggregate_function="min"
    )
    for later in ("favourite", "share", "add_to_cart"):
        after_view = (pl.col("view") <= pl.col(later)).fill_null(False)
        assert steps.filter(pl.col(later).is_not_null() & ~after_view).height == 0
    after_cart = (pl.col("add_to_cart") <= pl.col("remove_from_cart")).fill_null(False)
    assert steps.filter(pl.col("remove_from_cart").is_not_null() & ~after_cart).height == 0
    carts = overlay["events"].filter(pl.col("event_type") == "add_to_cart")
    assert not carts.select("session_id", "sku_id").is_duplicated().any()


def test_impressions_carry_the_policy_and_only_they(overlay: Tables) -> None:
    shown = pl.col("event_type") == "impression"
    impressions, others = overlay["events"].filter(shown), overlay["events"].filter(~shown)
    for name in ("position", "policy_version", "propensity", "sku_id"):
        assert impressions[name].null_count() == 0
    assert impressions["propensity"].is_between(0, 1, closed="right").all()
    assert others["propensity"].null_count() == others.height
    assert not impressions.select("session_id", "position").is_duplicated().any()
    assert not impressions.select("session_id", "sku_id").is_duplicated().any()


def test_each_visitor_is_either_known_or_anonymous(overlay: Tables) -> None:
    events = overlay["events"]
    assert (events["consumer_id"].is_null() ^ events["anonymous_id"].is_null()).all()
    assert events.group_by("session_id").agg(pl.col("consumer_id").n_unique())["consumer_id"].max() == 1
    anonymous = events.filter(pl.col("consumer_id").is_null())
    assert anonymous.height > 0
    assert "checkout" not in anonymous["event_type"].unique().to_list()


def test_visits_without_order_know_only_the_past(observed: ObservedTables, overlay: Tables) -> None:
    """Looked-at skus were sold before, and the visitor ordered before: no later order shines through."""
    events = overlay["events"]
    ends = events.filter(pl.col("event_type") == "checkout").select("session_id")
    visits = events.join(ends, on="session_id", how="anti").filter(pl.col("event_type") == "view")
    sold = (
        observed.order_lines.join(observed.orders, on="order_id")
        .group_by("sku_id")
        .agg(first=pl.col("placed_at").min())
    )
    seen = visits.join(sold, on="sku_id", how="left")
    assert seen.filter(~(pl.col("first") < pl.col("occurred_at"))).height == 0
    first_order = observed.orders.group_by("consumer_id").agg(since=pl.col("placed_at").min())
    known = visits.drop_nulls("consumer_id").join(first_order, on="consumer_id", how="left")
    assert known.filter(~(pl.col("since") < pl.col("occurred_at"))).height == 0


def test_agent_tree(overlay: Tables) -> None:
    agents = {row["agent_id"]: row for row in overlay["agents"].iter_rows(named=True)}
    depths = []
    for row in agents.values():
        depth, at = 1, row
        while at["inviter_agent_id"] is not None:
            inviter = agents[at["inviter_agent_id"]]
            assert inviter["merchant_id"] == at["merchant_id"]
            assert inviter["joined_on"] <= at["joined_on"]
            depth, at = depth + 1, inviter
            assert depth <= 3, f"{row['agent_id']} stands deeper than 3, or in a cycle"
        depths.append(depth)
    assert set(depths) == {1, 2, 3}


def test_parcels_hang_on_their_order(observed: ObservedTables, overlay: Tables) -> None:
    parcels = overlay["shipments"].join(observed.orders, on="order_id")
    assert parcels.height == overlay["shipments"].height
    assert parcels.filter(pl.col("shipped_at") <= pl.col("placed_at")).height == 0
    assert parcels.filter(pl.col("delivered_at") < pl.col("shipped_at")).height == 0
    assert parcels.filter(pl.col("promised_at") <= pl.col("placed_at")).height == 0
    pairs = observed.order_lines.select("order_id", "supplier_id").unique()
    assert parcels.join(pairs, on=["order_id", "supplier_id"], how="anti").height == 0
    assert set(parcels["last_node"]) <= {"created", "shipped", "in_transit", "exception", "delivered"}
    assert (
        parcels.filter((pl.col("last_node") == "delivered") != pl.col("delivered_at").is_not_null()).height
        == 0
    )


def test_cases_hang_on_their_line(observed: ObservedTables, overlay: Tables) -> None:
    cases = (
        overlay["after_sales"]
        .join(observed.order_lines, on=["order_id", "line_no"])
        .join(observed.orders, on="order_id")
    )
    assert cases.height == overlay["after_sales"].height
    assert cases.filter(pl.col("opened_at") <= pl.col("placed_at")).height == 0
    assert cases.filter(pl.col("resolved_at") < pl.col("opened_at")).height == 0
    assert cases.filter(pl.col("refund_cents") > pl.col("net_paid_cents")).height == 0
    paid = pl.col("refund_cents").is_not_null()
    assert (
        cases.filter(paid != ((pl.col("kind") != "complaint") & pl.col("resolved_at").is_not_null())).height
        == 0
    )


def test_stock_in_offers_is_the_sum_of_movements(observed: ObservedTables) -> None:
    # Six days after the last report every movement before it has arrived: late rows come within two days.
    offers, moves = (
        generate(table, observed, seed=11, as_of=AS_OF + days(4), utc_offset_hours=OFFSET)
        for table in ("offers", "inventory_movements")
    )
    primary = observed.products.select("sku_id", supplier_id="manufacturer_id")
    versions = offers.join(primary, on=["sku_id", "supplier_id"])
    versions = versions.join(moves.select("sku_id").unique(), on="sku_id")
    assert versions["valid_from"].n_unique() > 10
    summed = (
        versions.select("sku_id", "valid_from", "stock_qty")
        .join(moves, on="sku_id")
        .filter(pl.col("occurred_at") < pl.col("valid_from"))
        .group_by("sku_id", "valid_from")
        .agg(pl.col("stock_qty").first(), balance=pl.col("qty_delta").sum())
    )
    assert summed.height == versions.height
    assert summed.filter(pl.col("balance") != pl.col("stock_qty")).height == 0


def test_stock_never_goes_negative_and_sales_are_the_observed_ones(
    observed: ObservedTables, overlay: Tables
) -> None:
    moves = overlay["inventory_movements"].sort(
        "sku_id", "occurred_at", "qty_delta", descending=[False, False, True]
    )
    full = moves.filter(pl.col("occurred_at") < AS_OF - days(5))
    running = full.with_columns(balance=pl.col("qty_delta").cum_sum().over("sku_id"))
    assert running["balance"].min() >= 0
    sold = -full.filter(pl.col("reason") == "sale")["qty_delta"].sum()
    week_end = full.filter(pl.col("reason") == "sale")["occurred_at"].max()
    lines = observed.order_lines.join(observed.orders, on="order_id").join(
        full.select("sku_id").unique(), on="sku_id"
    )
    assert sold <= lines["qty_milli"].sum() / 1000
    assert sold >= lines.filter(pl.col("placed_at") < week_end - days(8))["qty_milli"].sum() / 1000


def test_the_largest_suppliers_keep_goods_in_a_second_warehouse(overlay: Tables) -> None:
    moves = overlay["inventory_movements"]
    brought = moves.filter(pl.col("reason") == "transfer")
    per_sku = brought.group_by("supplier_id", "sku_id").agg(pl.col("qty_delta").sum(), pl.len())
    assert per_sku.height > 0
    assert per_sku["qty_delta"].unique().to_list() == [0]
    assert per_sku["len"].unique().to_list() == [2]
    sizes = moves.group_by("supplier_id").agg(n=pl.col("sku_id").n_unique())
    chosen = sizes.join(per_sku, on="supplier_id", how="semi")["n"].sort(descending=True)
    assert chosen.to_list() == sizes["n"].sort(descending=True).head(3).to_list()
    lies = moves.sort("occurred_at", "qty_delta", descending=[False, True]).with_columns(
        balance=pl.col("qty_delta").cum_sum().over("supplier_id", "sku_id", "warehouse_id")
    )
    assert lies.filter(pl.col("occurred_at") < AS_OF - days(5))["balance"].min() >= 0
    assert set(moves["warehouse_id"]) == set(overlay["warehouses"]["warehouse_id"])


def test_offers_versions_and_suppliers(observed: ObservedTables, overlay: Tables) -> None:
    offers = overlay["offers"]
    per_pair = offers.group_by("supplier_id", "sku_id").agg(
        versions=pl.len(), first=pl.col("valid_from").min()
    )
    assert per_pair["versions"].max() <= 4
    assert per_pair.filter(pl.col("versions") >= 2).height > 0
    # The first version is in force, and known, before the first order: costs join at any time.
    assert per_pair["first"].max() <= observed.orders["placed_at"].min()
    per_sku = offers.group_by("sku_id").agg(pl.col("supplier_id").n_unique())
    assert per_sku["supplier_id"].max() == 3
    assert per_sku["supplier_id"].min() == 1
    primary = observed.products.select("sku_id", supplier_id="manufacturer_id")
    assert offers.join(primary, on=["sku_id", "supplier_id"])["sku_id"].n_unique() == per_sku.height
    midnight = offers["valid_from"].dt.offset_by("-5h")
    assert (midnight.dt.truncate("1w") == midnight).all()


def test_listing_price_is_the_latest_observed(
    observed: ObservedTables, overlay: Tables, truths: PlantedTruths
) -> None:
    lines = observed.order_lines.join(observed.orders, on="order_id")
    recent = lines.filter(pl.col("placed_at") > observed.orders["placed_at"].max() - days(180))
    oracle = (
        recent.sort("placed_at")
        .group_by("merchant_id", "sku_id", maintain_order=True)
        .last()
        .with_columns(unit=(pl.col("list_price_cents") * 1000 / pl.col("qty_milli")).round().cast(pl.Int64))
    )
    both = oracle.join(overlay["listings"], on=["merchant_id", "sku_id"], suffix="_listing")
    planted = len(truths.supply.counterfeit_listings) + len(truths.supply.lookalike_listings)
    assert both.height == oracle.height == overlay["listings"].height - planted
    assert (both["unit"] == both["list_price_cents_listing"]).all()
    assert 0.85 < overlay["listings"]["is_listed"].mean() < 1


def test_points_balance_is_never_negative(overlay: Tables) -> None:
    ledger = overlay["points_ledger"].filter(pl.col("occurred_at") < AS_OF - days(3)).sort("occurred_at")
    assert ledger.with_columns(b=pl.col("points_delta").cum_sum().over("consumer_id"))["b"].min() >= 0


def test_messages_need_consent_and_stop_after_opt_out(observed: ObservedTables, overlay: Tables) -> None:
    messages = overlay["messages"]
    refused = observed.consumers.filter(~pl.col("consent_marketing"))
    assert messages.join(refused, on="consumer_id", how="semi").height == 0
    left = (
        messages.filter(pl.col("outcome") == "opted_out")
        .group_by("consumer_id")
        .agg(left_at=pl.col("sent_at").min())
    )
    assert left.height > 0
    assert messages.join(left, on="consumer_id").filter(pl.col("sent_at") > pl.col("left_at")).height == 0


def test_wake_ups_follow_silence_and_tell_of_no_later_order(
    observed: ObservedTables, overlay: Tables
) -> None:
    wake_ups = overlay["messages"].filter(pl.col("journey") == "wake_up").sort("sent_at")
    before = wake_ups.join_asof(
        observed.orders.sort("placed_at"),
        left_on="sent_at",
        right_on="placed_at",
        by="consumer_id",
        strategy="backward",
        check_sortedness=False,
    )
    assert (before["sent_at"] - before["placed_at"]).min() >= days(30)
    converted = (
        overlay["messages"]
        .filter(pl.col("outcome") == "converted")
        .sort("sent_at")
        .join_asof(
            observed.orders.sort("placed_at"),
            left_on="sent_at",
            right_on="placed_at",
            by="consumer_id",
            strategy="forward",
            check_sortedness=False,
        )
    )
    assert converted.height > 0
    assert (converted["received_at"] >= converted["placed_at"]).all()
    clicked = overlay["messages"].filter(pl.col("outcome").is_in(["clicked", "converted"]))
    assert (clicked["received_at"] - clicked["sent_at"]).min() >= days(2)


def test_orders_after_as_of_do_not_exist(observed: ObservedTables) -> None:
    early = datetime(2017, 6, 1, tzinfo=UTC)
    tables = overlay_of(observed, as_of=early)
    for table, rows in tables.items():
        assert rows.height > 0
        assert rows["received_at"].max() <= early, table
    later = observed.orders.filter(pl.col("placed_at") > early)
    assert tables["shipments"].join(later, on="order_id", how="semi").height == 0
    # A sku first sold later is nowhere.
    lines = observed.order_lines.join(observed.orders, on="order_id")
    unknown = set(lines["sku_id"]) - set(lines.filter(pl.col("placed_at") <= early)["sku_id"])
    for table in ("offers", "listings", "competitor_prices", "inventory_movements"):
        assert not unknown & set(tables[table]["sku_id"])


def test_backup_suppliers_are_known_and_of_the_same_department(
    observed: ObservedTables, overlay: Tables
) -> None:
    department = observed.products.select(
        "sku_id",
        supplier_id="manufacturer_id",
        department=pl.col("category_id").str.slice(3).cast(pl.Int64) % 5,
    )
    makes = department.select("supplier_id", "department").unique()
    offered = overlay["offers"].join(department.select("sku_id", "department"), on="sku_id")
    assert offered.join(makes, on=["supplier_id", "department"], how="anti").height == 0


def test_tables_are_those_of_the_contract() -> None:
    assert set(OVERLAY_ORDER) == OVERLAY_TABLES
    assert list(OVERLAY_ORDER) == [table for table in INGEST_ORDER if table in OVERLAY_TABLES]
