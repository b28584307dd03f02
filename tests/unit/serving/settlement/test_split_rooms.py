"""Which payments carry a pay-out: never more than a payment, a share or a party has, and all that fits."""

from hypothesis import given
from hypothesis import strategies as st

from serving.ledger.accounts import Party
from serving.settlement.channel.splits import Room, share_out

PARTIES = [Party("supplier", "s"), Party("merchant", "m"), Party("agent", "a")]
ROOMS = st.lists(
    st.tuples(st.sampled_from(PARTIES), st.integers(0, 3), st.integers(-5, 50), st.integers(-5, 80)),
    max_size=12,
    unique_by=lambda room: room[:2],
)


@given(ROOMS, st.dictionaries(st.sampled_from(PARTIES), st.integers(0, 120)))
def test_every_limit_holds_and_nothing_that_fits_is_left(drawn, payable):
    left = {}
    for _, order, _, cents in drawn:
        left.setdefault(order, cents)
    rooms = [Room(party, f"o{order}", "c", f"p{order}", due, left[order]) for party, order, due, _ in drawn]
    splits = share_out(rooms, payable)
    given_to = {(split.party, split.order_id): split.cents for split in splits}
    assert len(given_to) == len(splits)
    assert all(split.cents > 0 for split in splits)
    for room in rooms:
        got = given_to.get((room.party, room.order_id), 0)
        of_payment = sum(split.cents for split in splits if split.order_id == room.order_id)
        of_party = sum(split.cents for split in splits if split.party == room.party)
        assert got <= max(room.due_cents, 0)
        assert of_payment <= max(room.left_cents, 0)
        assert of_party <= payable.get(room.party, 0)
        # Something stands in the way of one more fen.
        assert (
            got >= room.due_cents or of_payment >= room.left_cents or of_party >= payable.get(room.party, 0)
        )
