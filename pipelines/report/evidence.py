"""What a run left behind, gathered for the report: accounts, model reports, scores, names, actual sales.

Everything may be missing: a part that is not there is None or empty, and the section says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb
import polars as pl

from models.contracts import PUBLISHED_TABLES
from pipelines.lake.tables import Lake
from pipelines.report.origins import Origins
from pipelines.settings import Settings
from pipelines.sources.contract import INGEST_ORDER
from pipelines.sources.loading.ingest import IngestReport, read_report
from pipelines.stores.publication import score_key
from pipelines.stores.versions import read_manifest
from pipelines.warehouse import given_back
from serving.scores.contracts import PublicationManifest

FAMILIES = ("recommendation", "demand", "pricing", "lifecycle")


@dataclass(frozen=True)
class Evidence:
    """Everything the sections read.

    Attributes:
        summary: The run's summary.
        currency: ISO code of the money columns.
        ingest: Account of every loaded table, in ingest order.
        origins: Where the rows of tables come from.
        models: Summary of each family: its models with leaderboards, and a note when none was trained.
        manifest: The published version; None when nothing is published.
        as_of: Business time of the scores; None when nothing tells.
        tags: Consumer tags; None when they were not computed.
        fans: Backtest fans of the demand models; None when none were kept.
        lake: For the scored tables.
        settings: For the warehouse file.
    """

    summary: dict[str, Any]
    currency: str
    ingest: list[IngestReport]
    origins: Origins
    models: dict[str, dict[str, Any]]
    manifest: PublicationManifest | None
    as_of: datetime | None
    tags: pl.DataFrame | None
    fans: pl.DataFrame | None
    lake: Lake
    settings: Settings

    def scores(self, name: str) -> pl.LazyFrame | None:
        """The scored table of that name; None when no step has written it."""
        key = score_key(PUBLISHED_TABLES[name].name)
        return self.lake.scan_key(key) if self.lake.derived_path(key).exists() else None

    def sku_titles(self, sku_ids: Iterable[str]) -> dict[str, str]:
        """Titles of skus; the id stands for a sku without one."""
        wanted = sorted(set(sku_ids))
        if not wanted:
            return {}
        found = self._query(
            """
            select sku_id, coalesce(title, category_l3_name, sku_id) as title
            from core.dim_products where sku_id in (select unnest($skus)) order by sku_id
            """,
            {"skus": wanted},
        )
        names = {} if found is None else dict(found.select("sku_id", "title").iter_rows())
        return {sku: names.get(sku, sku) for sku in wanted}

    def weekly_units(
        self, merchants: Iterable[str], categories: Iterable[str], since: date
    ) -> pl.DataFrame | None:
        """Merchandise units sold and kept a week by merchant and level-2 category, from a week on.

        Args:
            merchants: Merchant ids.
            categories: Level-2 category ids; every pair of a merchant and a category is read.
            since: First week, by its Monday.

        Returns:
            merchant_id, category_id, week_start_on, qty; weeks without a sale have no row. None without a
            warehouse.
        """
        return self._query(
            f"""
            select merchant_id, category_l2_id as category_id, week_start_on,
                sum(qty_milli)::double / 1000 as qty
            from {given_back.SALES}
            where qty_milli > 0 and week_start_on >= $since
                and merchant_id in $merchants and category_l2_id in $categories
            group by all order by all
            """,
            {"merchants": sorted(set(merchants)), "categories": sorted(set(categories)), "since": since},
        )

    def orders_by_state(self) -> pl.DataFrame | None:
        """Orders by state, most first.

        Returns:
            state, orders, net_paid_cents, and of those that count sale_orders, sold_cents, returned_cents,
            net_sales_cents, guest_orders, guest_cents. None without a warehouse.
        """
        return self._query(
            """
            select state, count(*) as orders, sum(net_paid_cents)::bigint as net_paid_cents,
                count(*) filter (is_sale) as sale_orders, sum(sold_cents)::bigint as sold_cents,
                sum(returned_cents)::bigint as returned_cents,
                sum(net_sales_cents)::bigint as net_sales_cents,
                count(*) filter (is_sale and is_guest) as guest_orders,
                coalesce(sum(net_sales_cents) filter (is_guest), 0)::bigint as guest_cents
            from core.fct_orders group by all order by orders desc, state
            """,
            {},
        )

    def sales_by_kind(self) -> pl.DataFrame | None:
        """Sales by kind of goods, most revenue first.

        Returns:
            line_kind, sale_lines, return_lines, units, net_sales_cents. None without a warehouse.
        """
        return self._query(
            """
            select line_kind, count(*) filter (is_sale) as sale_lines,
                count(*) filter (is_return) as return_lines, sum(qty_milli) / 1000.0 as units,
                sum(net_paid_cents)::bigint as net_sales_cents
            from core.fct_order_lines where is_sale or is_return
            group by all order by net_sales_cents desc, line_kind
            """,
            {},
        )

    def channels(self) -> pl.DataFrame | None:
        """Marketing channels: channel, touches, spend_cents, one row of what is unattributed.

        None without a warehouse.
        """
        return self._query(
            "select channel, touches, spend_cents from analyst.mart_channel_effect order by channel", {}
        )

    def public_funnel(self) -> pl.DataFrame | None:
        """Persons by the month and the channel that reached them first; None without a warehouse."""
        return self._query(
            "select * from analyst.mart_funnel_public_private order by month_start_on, channel", {}
        )

    def feedback_topics(self) -> pl.DataFrame | None:
        """Topics of texts in the newest month in which somebody wrote, all shops, most complaints first.

        Returns:
            month_start_on, topic, text_count, negative_count, unanswered_count, text_count_before,
            negative_change. None without a warehouse.
        """
        return self._query(
            """
            select month_start_on, topic, sum(text_count)::bigint as text_count,
                sum(negative_count)::bigint as negative_count,
                sum(unanswered_count)::bigint as unanswered_count,
                sum(text_count_before)::bigint as text_count_before,
                sum(negative_change)::bigint as negative_change
            from analyst.mart_feedback_topics
            where month_start_on = (
                select max(month_start_on) from analyst.mart_feedback_topics where text_count > 0)
            group by all order by negative_count desc, text_count desc, topic
            """,
            {},
        )

    def settled_shares(self) -> pl.DataFrame | None:
        """What was shared out: leg_kind, leg_state, legs, orders (of all), net_cents, reversed_cents.

        None without a warehouse.
        """
        return self._query(
            """
            select leg_kind, leg_state, count(*) as legs, sum(net_cents)::bigint as net_cents,
                sum(reversed_cents)::bigint as reversed_cents,
                (select count(distinct order_id) from core.fct_settlement_legs) as orders
            from core.fct_settlement_legs where not is_replaced group by all order by all
            """,
            {},
        )

    def assortment_answers(self) -> pl.DataFrame | None:
        """Answers to suggestions of assortment; None without a warehouse.

        Returns:
            answer, reason_code, suggestions, expected_qty (of the days that have passed), sold_qty,
            sold_net_paid_cents.
        """
        return self._query(
            """
            select answer, reason_code, count(*) as suggestions,
                sum(expected_qty * days_on_sale / 56.0) as expected_qty, sum(sold_qty) as sold_qty,
                sum(sold_net_paid_cents)::bigint as sold_net_paid_cents
            from analyst.mart_assortment_answers group by all order by all
            """,
            {},
        )

    def closing_balances(self) -> pl.DataFrame:
        """Accounts: opening, moved and closing of the last month, and what was paid out in all, in cents."""
        found = self._query(
            """
            with last as (select max(month_start_on) as last_on from analyst.mart_settlement_statement),
            signed as (
                select statement.*, month_start_on = last_on as is_last
                from analyst.mart_settlement_statement as statement cross join last
            )
            select party_type, party_id, account_kind,
                coalesce(sum(amount_cents) filter (is_last and row_kind = 'opening'), 0)::bigint
                    as opening_cents,
                coalesce(sum(amount_cents) filter (is_last and row_kind = 'movement'), 0)::bigint
                    as moved_cents,
                coalesce(sum(amount_cents) filter (is_last and row_kind = 'closing'), 0)::bigint
                    as closing_cents,
                coalesce(-sum(amount_cents) filter (movement_kind in ('payout_sent', 'payout_failed')), 0)
                    ::bigint as paid_cents
            from signed group by all order by all
            """,
            {},
        )
        return pl.DataFrame() if found is None else found

    def agent_months(self) -> pl.DataFrame:
        """Each agent over all months, who earned most first; money in cents."""
        found = self._query(
            """
            select agent_id, tier, sum(order_count)::bigint as orders, sum(sold_cents)::bigint as sold_cents,
                max(settled_customer_count) as customers,
                sum(commission_accrued_cents)::bigint as accrued_cents,
                sum(commission_released_cents)::bigint as released_cents,
                sum(commission_reversed_cents)::bigint as reversed_cents
            from analyst.mart_agent_performance group by all order by accrued_cents desc, agent_id
            """,
            {},
        )
        return pl.DataFrame() if found is None else found

    def _query(self, sql: str, parameters: dict[str, Any]) -> pl.DataFrame | None:
        if not self.settings.warehouse_good.exists():
            return None
        with duckdb.connect(str(self.settings.warehouse_good), read_only=True) as connection:
            connection.execute("SET TimeZone='UTC'")
            if given_back.SALES in sql:
                given_back.net(connection)
            return connection.execute(sql, parameters).pl()


def gather(settings: Settings, summary: dict[str, Any]) -> Evidence:
    """Read what a run left behind.

    Args:
        settings: The installation's settings.
        summary: As `pipelines.run.summary.summarize` makes it.
    """
    lake = Lake(settings.lake_dir)
    ingest = [report for name in INGEST_ORDER if (report := read_report(lake, name)) is not None]
    published = summary.get("published") or []
    manifest = read_manifest(lake, published[0]["version"]) if published else None
    tags = None
    if lake.derived_path("features/consumer_tags").exists():
        tags = lake.get("features/consumer_tags")
    fans_file = settings.home / "work" / "demand" / "fans.parquet"
    return Evidence(
        summary=summary,
        currency=settings.currency_code,
        ingest=ingest,
        origins=Origins(ingest),
        models={family: lake.read_report(f"models/{family}") or {"models": []} for family in FAMILIES},
        manifest=manifest,
        as_of=_as_of(settings, lake, manifest, tags),
        tags=tags,
        fans=pl.read_parquet(fans_file) if fans_file.exists() else None,
        lake=lake,
        settings=settings,
    )


def _as_of(
    settings: Settings, lake: Lake, manifest: PublicationManifest | None, tags: pl.DataFrame | None
) -> datetime | None:
    """Business time, by the first that knows it: the publication, the setting, the load, the tags."""
    if manifest is not None:
        return manifest.as_of
    if settings.as_of is not None:
        return settings.as_of
    source = lake.read_report("source")
    if source is not None and source.get("as_of"):
        return datetime.fromisoformat(source["as_of"])
    if tags is not None and tags.height:
        found = tags["as_of"].max()
        return found if isinstance(found, datetime) else None
    return None
