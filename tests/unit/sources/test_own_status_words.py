"""A user's own status words: to one of our states, or to a word that we know; anything else stays unknown."""

import polars as pl

from pipelines.sources.states import states


def test_own_words_may_name_a_state_or_a_word_that_we_know():
    status = pl.Series(["wunderbar", "x", "y", "completed", "z", "q"])
    own = {"wunderbar": "completed", "x": "paid", "y": "unpaid", "z": "nonsense"}
    assert states(status, own).to_list() == ["paid", "paid", "unpaid", "paid", None, None]


def test_every_state_is_a_word_of_its_own():
    for state in ("unpaid", "paid", "cancelled", "refunded"):
        assert states(pl.Series(["k"]), {"k": state}).to_list() == [state]
