"""Who gets which suggestion from which offer: a min-cost flow for the largest expected margin.

A merchant has so many places, a category so many of them, a suggestion one offer, and an offer no more units
than it can spare. A flow counts suggestions and an offer counts units: its places are told from the mean
units of those that may take it, and what still does not fit is taken back, the least valuable first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from models.errors import ModelError
from models.supply.assortment.config import AssortmentConfig

_BONUS = 2
"""How many times the largest value a pair with a kept place is worth more."""


def assign(options: pl.DataFrame, config: AssortmentConfig) -> pl.DataFrame:
    """Choose.

    Args:
        options: merchant_id, sku_id, category_id, supplier_id, units (expected), value (>= 0), spare (units
            that the offer can spare), is_kept (whether the pair has a place before all others); one row a
            pair and offer that may supply it.
        config: Settings.

    Returns:
        The chosen rows, by merchant and value: a pair stands once. Equal input gives an equal choice.

    Raises:
        ModelError: The solver did not end with a plan.
    """
    rows = options.filter((pl.col("value") > 0) & (pl.col("spare") > 0)).sort(
        "merchant_id", "sku_id", "supplier_id"
    )
    if not rows.height:
        return rows
    chosen = rows.filter(pl.Series(_flow(rows, config)))
    order = ["is_kept", "value", "merchant_id", "sku_id"]
    fits = chosen.sort(order, descending=[True, True, False, False]).filter(
        pl.col("units").cum_sum().over("supplier_id", "sku_id") <= pl.col("spare")
    )
    return fits.sort("merchant_id", "value", "sku_id", descending=[False, True, False])


def _flow(rows: pl.DataFrame, config: AssortmentConfig) -> npt.NDArray[np.bool_]:
    """Which rows the flow uses."""
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    numbered = rows.select(
        merchant=pl.col("merchant_id").rank("dense"),
        shelf=pl.struct("merchant_id", "category_id").rank("dense"),
        pair=pl.struct("merchant_id", "sku_id").rank("dense"),
        offer=pl.struct("supplier_id", "sku_id").rank("dense"),
    ).with_columns(pl.all().cast(pl.Int64) - 1)
    sizes = numbered.max().row(0)
    begins = np.cumsum([0, *(size + 1 for size in sizes)])
    nodes = {name: begins[place] + numbered[name].to_numpy() for place, name in enumerate(numbered.columns)}
    sink = int(begins[-1])
    value = rows["value"].to_numpy()
    worth = np.maximum(np.round(value + rows["is_kept"].to_numpy() * _BONUS * value.max()), 1)
    quota = max(1, int(config.most_of_category * config.list_length))
    merchants = begins[0] + np.arange(sizes[0] + 1)
    shelves, first_of_shelf = np.unique(nodes["shelf"], return_index=True)
    pairs, first_of_pair = np.unique(nodes["pair"], return_index=True)
    offers, first_of_offer = np.unique(nodes["offer"], return_index=True)
    usual = np.bincount(numbered["offer"], rows["units"]) / np.bincount(numbered["offer"])
    places = rows["spare"].to_numpy()[first_of_offer] / np.maximum(usual, 1e-9)
    none = np.zeros
    arcs = [
        (nodes["pair"], nodes["offer"], np.ones(rows.height), -worth),
        (nodes["merchant"][first_of_shelf], shelves, np.full(len(shelves), quota), none(len(shelves))),
        (nodes["shelf"][first_of_pair], pairs, np.ones(len(pairs)), none(len(pairs))),
        (offers, np.full(len(offers), sink), np.clip(places, 0, rows.height), none(len(offers))),
        (merchants, np.full(len(merchants), sink), np.full(len(merchants), config.list_length),
         none(len(merchants))),
    ]  # fmt: skip
    tails, heads, capacities, costs = (np.concatenate(part) for part in zip(*arcs, strict=True))
    solver = SimpleMinCostFlow()
    solver.add_arcs_with_capacity_and_unit_cost(
        tails.astype(np.int32), heads.astype(np.int32), capacities.astype(np.int64), costs.astype(np.int64)
    )
    supplies = np.full(len(merchants), config.list_length, np.int64)
    solver.set_nodes_supplies(
        np.append(merchants, sink).astype(np.int32), np.append(supplies, -supplies.sum())
    )
    status = solver.solve()
    if status != solver.OPTIMAL:
        raise ModelError(f"the assignment of {rows.height} options ended as {status.name}")
    return np.asarray(solver.flows(np.arange(rows.height, dtype=np.int32))) > 0
