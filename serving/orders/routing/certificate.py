"""The proof that a flow is optimal: a bound by linear-programming duality, computed without the solver.

Any prices v >= 0 on the stock of the offers give a lower bound on the cost of every flow:
sum over lines of qty x min(overflow, min over offers of (unit cost + v)) - sum over offers of stock x v.
This holds whatever v is, so a wrong v can only fail to prove, never prove wrongly. A flow whose cost equals
the bound is optimal. The v that close the gap are the shadow prices: what one more unit of an offer would
save, found by shortest paths over the units that the flow has placed.

Source: weak and strong duality of the transportation problem.
"""

from __future__ import annotations

import numpy as np

from serving.orders.routing.flow_network import Flow, FlowNetwork, Ints


def flow_cost(network: FlowNetwork, flow: Flow) -> int:
    """Linear cost of a flow, units without a supplier at the overflow price."""
    return int(network.arc_cents @ flow.units) + network.overflow_cents * int(flow.overflow.sum())


def shadow_prices(network: FlowNetwork, flow: Flow) -> Ints:
    """What one more unit of each offer would save, in cents, 0 or more.

    One more unit at an offer lets a line move there and frees the unit that it had before, which saves its
    cost or lets another line follow. A chain passes each offer of a sku at most once, so as many rounds as
    the sku with the most offers has are enough; with a flow that is not optimal the chains do not settle and
    the bound stays below.
    """
    price = np.zeros(len(network.stock), dtype=np.int64)
    if not len(network.arc_cents):
        return price
    used = np.flatnonzero(flow.units > 0)
    by_offer = np.argsort(network.arc_offer, kind="stable")
    line, cents = network.arc_line[by_offer], network.arc_cents[by_offer]
    offers_with_arcs, starts = np.unique(network.arc_offer[by_offer], return_index=True)
    for _ in range(network.widest + 1):
        # What giving up one unit of each line's present supply is worth.
        worth = np.where(flow.overflow > 0, network.overflow_cents, 0)
        np.maximum.at(worth, network.arc_line[used], network.arc_cents[used] + price[network.arc_offer[used]])
        better = price.copy()
        better[offers_with_arcs] = np.maximum(0, np.maximum.reduceat(worth[line] - cents, starts))
        if np.array_equal(better, price):
            break
        price = better
    return price


def dual_bound(network: FlowNetwork, price: Ints) -> int:
    """Lower bound on the linear cost of every flow of the network, in cents.

    Args:
        network: The network.
        price: Any integer prices, 0 or more, one for each offer.

    Raises:
        ValueError: A price is negative; the bound would not hold.
    """
    if (price < 0).any():
        raise ValueError("prices of stock must be 0 or more, else the bound does not hold")
    line_price = np.full(len(network.qty), network.overflow_cents, dtype=np.int64)
    np.minimum.at(line_price, network.arc_line, network.arc_cents + price[network.arc_offer])
    return int(network.qty @ line_price) - int(network.stock @ price)
