import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.api.cursor import Position, read_cursor, write_cursor
from serving.problems import ApiError

WORDS = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=40)


@given(version=WORDS, rank=st.integers(-(2**62), 2**62), name=WORDS)
def test_what_was_written_is_read(version, rank, name):
    position = Position("wakeup", version, [rank, name])
    assert read_cursor(write_cursor(position), "wakeup") == position


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.hex())))
def test_any_other_text_is_refused(text):
    with pytest.raises(ApiError) as failure:
        read_cursor(text, "prices")
    assert failure.value.status == 422


@pytest.mark.parametrize(
    ("position", "kind"),
    [
        (Position("prices", "v1", ["s1"]), "wakeup"),
        (Position("prices", "v1", [1]), "prices"),
        (Position("prices", "v1", ["s1", "s2"]), "prices"),
        (Position("prices", "v1", []), "prices"),
        (Position("wakeup", "v1", [True, "c"]), "wakeup"),
        (Position("wakeup", "v1", [2**63, "c"]), "wakeup"),
        (Position("prices", "v\x001", ["s1"]), "prices"),
        (Position("prices", "v1", ["s\x001"]), "prices"),
    ],
)
def test_forged_positions_are_refused(position, kind):
    with pytest.raises(ApiError):
        read_cursor(write_cursor(position), kind)


def test_no_cursor_is_the_first_page():
    assert read_cursor(None, "prices") is None
