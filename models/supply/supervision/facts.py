"""What the signs are read from, as typed frames. No logic beyond checking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import polars as pl

_MOMENT = pl.Datetime("us", "UTC")

COLUMNS: Mapping[str, Mapping[str, pl.DataType]] = {
    "listings": {
        "merchant_id": pl.String(),
        "sku_id": pl.String(),
        "brand_id": pl.String(),
        "list_price_cents": pl.Int64(),
        "title": pl.String(),
        "image_hash": pl.String(),
        "since": _MOMENT,
    },
    "offers": {
        "supplier_id": pl.String(),
        "sku_id": pl.String(),
        "brand_id": pl.String(),
        "maker_id": pl.String(),
        "supply_price_cents": pl.Int64(),
    },
    "authorisations": {"brand_id": pl.String(), "supplier_id": pl.String(), "merchant_id": pl.String()},
    "sold": {
        "merchant_id": pl.String(),
        "supplier_id": pl.String(),
        "sku_id": pl.String(),
        "order_id": pl.String(),
        "units": pl.Float64(),
        "placed_at": _MOMENT,
    },
    "complaints": {
        "merchant_id": pl.String(),
        "supplier_id": pl.String(),
        "sku_id": pl.String(),
        "order_id": pl.String(),
        "reason": pl.String(),
        "opened_at": _MOMENT,
    },
    "batches": {
        "batch_id": pl.String(),
        "sku_id": pl.String(),
        "supplier_id": pl.String(),
        "qty": pl.Int64(),
    },
    "scans": {
        "batch_id": pl.String(),
        "sku_id": pl.String(),
        "supplier_id": pl.String(),
        "order_id": pl.String(),
        "units": pl.Float64(),
        "seen_at": _MOMENT,
    },
    "invoices": {
        "party_type": pl.String(),
        "party_id": pl.String(),
        "invoice_id": pl.String(),
        "sku_id": pl.String(),
        "issued_on": pl.Date(),
        "units": pl.Int64(),
        "stated_at": _MOMENT,
    },
    "cleared": {
        "party_type": pl.String(),
        "party_id": pl.String(),
        "sku_id": pl.String(),
        "cleared_at": _MOMENT,
    },
}
"""Columns of each frame of `Facts`."""


@dataclass(frozen=True)
class Facts:
    """Everything that is looked at.

    Attributes:
        listings: Listings on sale, with the brand of the sku, what the merchant itself calls and shows it
            (null where it says nothing), and since when it is listed.
        offers: Offers in force, with the brand and the maker of the sku.
        authorisations: Brand authorisations in force, each of a supplier or a merchant.
        sold: Orders of the window by merchant, supplier and sku, with the units that were sold: none where it
            was cancelled.
        complaints: Cases of the window about such lines, with the reason as it was given.
        batches: Every batch that a supplier ever stated; `qty` null where it does not say how many.
        scans: The batches that parcels were scanned with, each with the units of the sku in its order.
        invoices: Purchase invoices that parties stated, with the units of the sku on them.
        cleared: Listings and offers that a person cleared: what happened before that is answered.
    """

    listings: pl.DataFrame
    offers: pl.DataFrame
    authorisations: pl.DataFrame
    sold: pl.DataFrame
    complaints: pl.DataFrame
    batches: pl.DataFrame
    scans: pl.DataFrame
    invoices: pl.DataFrame
    cleared: pl.DataFrame

    def __post_init__(self) -> None:
        """Check the columns.

        Raises:
            ValueError: A frame has other columns than `COLUMNS` says.
        """
        for one in fields(self):
            found, wanted = dict(getattr(self, one.name).schema), dict(COLUMNS[one.name])
            if found != wanted:
                raise ValueError(f"supervision: {one.name} has {found}, not {wanted}")


def frame_of(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    """A frame of `Facts` from rows; what a row leaves out is null.

    >>> frame_of("authorisations", [{"brand_id": "b"}])["merchant_id"].to_list()
    [None]
    """
    return pl.DataFrame(rows, schema=dict(COLUMNS[name]))
