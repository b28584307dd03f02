"""Times and prices of a market whose channel holds payments, and looks at its requests and pay-outs."""

from datetime import timedelta

from small_market import NOW

DAY = timedelta(days=1)
# Released on 8 November; the supplier's plan pays it from Monday the 9th on.
PAID = NOW + 9 * DAY
PRICE = 1000
SUPPLY = 600


def asked(shop, till):
    """(Kind, order) of what a till's account was asked for to its state and fen."""
    return {
        (kind, order): (state, cents)
        for kind, order, state, cents in shop.sql(
            "select kind, order_id, state, amount_cents from channels.request where channel_id = %(c)s",
            c=till.channel_id,
        )
    }


def states(shop, batch):
    """Order (or party, of transfers) of a batch's pay-outs to their state."""
    return dict(
        shop.sql(
            "select coalesce(order_id, party_id), state from settlement.payout where batch_id = %(b)s",
            b=batch,
        )
    )
