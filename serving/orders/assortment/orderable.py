"""Which offers may be ordered from, as conditions of SQL: one home for those who order and those who show.

Aliases: `o` is `orders.offer`, `s` `orders.stock`, of one supplier and sku.
"""

from __future__ import annotations

from typing import Final, LiteralString

from serving.quality.levels import FROZEN, STOPPED
from serving.supervision.held import HELD_LISTINGS, HELD_OFFER
from serving.supply.gates import GATED

# A value and no join: the planner would rather read the whole table of approvals.
IN_FORCE: Final[LiteralString] = (
    "o.is_active and (select m.is_approved from orders.supplier_sku m where m.tenant_id = o.tenant_id"
    " and m.supplier_id = o.supplier_id and m.sku_id = o.sku_id)"
    " and not exists (select from parties.party p where p.tenant_id = o.tenant_id"
    " and p.party_type = 'supplier' and p.party_id = o.supplier_id and not p.is_active)"
    f" and not {GATED} and not {FROZEN} and not {HELD_OFFER}"
)
"""The offer is in force and not held, and its supplier may offer the sku and is neither gated nor frozen."""

AVAILABLE: Final[LiteralString] = "greatest(0, s.on_hand_qty - s.reserved_qty - s.buffer_qty)"
"""Units that may be promised."""


def not_for_sale(skus: LiteralString) -> LiteralString:
    """The skus among some that are taken off sale, stopped or held, or that no offer can fill now.

    A sku that no offer was ever stated for is not judged here: the platform does not take its orders.

    Args:
        skus: An array of text.

    Returns:
        A query of one row and column, the array of them; binds `tenant` and `merchant_id`. Null for none.
    """
    return (
        "select array_agg(g.sku_id) from (select o.sku_id from orders.offer o"
        " left join orders.stock s using (tenant_id, supplier_id, sku_id)"
        f" where o.tenant_id = %(tenant)s and o.sku_id = any({skus}) group by o.sku_id"
        f" having bool_or({IN_FORCE} and {AVAILABLE} >= o.min_order_qty) is not true"
        " union all select l.sku_id from orders.listing l where l.tenant_id = %(tenant)s"
        f" and l.merchant_id = %(merchant_id)s and l.sku_id = any({skus}) and not l.is_listed"
        f" union all {STOPPED} and b.sku_id = any({skus})"
        f" union all {HELD_LISTINGS} and h.sku_id = any({skus})) g"
    )
