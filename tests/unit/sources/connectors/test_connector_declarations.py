"""Declarations say what is wrong with them, and pure parts answer as their definitions do."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.connectors.declaration import load_connectors, parse_connector
from pipelines.sources.connectors.drift import split_lacking
from pipelines.sources.connectors.errors import ConnectorError
from pipelines.sources.connectors.marks import earlier, is_newer, value_of
from pipelines.sources.connectors.paging import read_page, request_for
from pipelines.sources.contract import SourceError

NOW = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)
WHOLE = """
connector: shop
base_url: https://api.example.com
auth: {bearer: SHOP_TOKEN}
streams:
  offers:
    table: offers
    path: /offers
    columns: {sku_id: code}
"""


TIMES = st.datetimes(NOW.replace(year=2000, tzinfo=None), NOW.replace(year=2100, tzinfo=None))


def stream_of(text):
    return parse_connector(WHOLE.replace("    columns: {sku_id: code}\n", text), "shop.yaml").streams[
        "offers"
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("path: /offers", "pth: /offers", "unknown key"),
        ("sku_id: code", "sku: code", "offers has no column 'sku'; did you mean 'sku_id'?"),
        ("table: offers", "table: consumers", "a connector cannot feed 'consumers'"),
        ("SHOP_TOKEN", "a-real-secret", "name of an environment variable"),
        ("https://api.example.com", "ftp://api.example.com", "no address"),
        ("https://api.example.com", "https://me:pw@api.example.com", "secrets belong under `auth`"),
        ("path: /offers", "path: offers", "no path"),
        ("path: /offers", "path: /offers\n    pages: {kind: cursor, param: after}", "need `next`"),
        ("path: /offers", "path: /offers\n    pages: {kind: page}", "need `param`"),
        ("connector: shop", "connector: shop2026", "no name of a connector"),
        ("  offers:", "  Offers:", "no name of a connector or stream"),
        ("{sku_id: code}", "{sku_id: code}\n    values: {is_active: {y: 1}}\n    since: {field: x}", "param"),
        ("{bearer: SHOP_TOKEN}", "{bearer: SHOP_TOKEN}\nretry: {attempts: 0}", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old, new, told):
    assert old in WHOLE
    with pytest.raises(SourceError) as error:
        parse_connector(WHOLE.replace(old, new), "shop.yaml")
    assert told in str(error.value)
    assert "shop.yaml" in str(error.value)
    assert "a-real-secret" not in str(error.value)


@pytest.mark.parametrize("name", ["nowhere.yaml", "../shop.yaml", "/etc/hosts"])
def test_declarations_lie_in_the_folder(tmp_path, name):
    with pytest.raises(SourceError, match="there is no file"):
        load_connectors(tmp_path, (name,))


def test_two_connectors_have_two_names(tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(WHOLE)
    with pytest.raises(SourceError, match="another connector is called 'shop'"):
        load_connectors(tmp_path, ("a.yaml", "b.yaml"))


def test_nested_fields_are_named_by_their_path_and_elements_become_rows():
    stream = stream_of("    records: a.b\n    each: parts\n    columns: {sku_id: parts.id}\n")
    answer = {
        "a": {"b": [{"no": "1", "of": {"x": None}, "parts": [{"id": "p"}, {"id": "q"}]}, {"parts": []}, 7]}
    }
    assert read_page(stream, answer, None).lines == (
        '{"no": "1", "of.x": "", "parts.id": "p"}',
        '{"no": "1", "of.x": "", "parts.id": "q"}',
        "7",  # no object: refused when it is read, with its text
    )


@pytest.mark.parametrize(
    ("value", "following"),
    [
        (True, "2"),
        ("true", "2"),
        (1, "2"),
        (False, None),
        ("false", None),
        (0, None),
        (None, None),
        ("", None),
    ],
)
def test_more_says_whether_a_page_follows(value, following):
    stream = stream_of("    records: rows\n    pages: {kind: page, param: p, more: more}\n")
    assert read_page(stream, {"rows": [], "more": value}, None).next == following


def test_a_cursor_that_ends_by_not_being_there_must_be_declared():
    pages = "    records: rows\n    pages: {kind: cursor, param: c, next: n%s}\n"
    with pytest.raises(ConnectorError, match="ends_without"):
        read_page(stream_of(pages % ""), {"rows": []}, None)
    stream = stream_of(pages % ", ends_without: true")
    assert read_page(stream, {"rows": []}, None).next is None
    assert request_for(stream, None, None) == ("/offers", {})
    assert request_for(stream, "x", None) == ("/offers", {"c": "x"})


@pytest.mark.parametrize(
    ("text", "than", "newer"),
    [
        ("2026-11-02T00:00:00Z", "2026-11-01T00:00:00Z", True),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", False),
        ("2026-11-01T08:00:00+08:00", "2026-11-01T00:00:00Z", False),
        ("10", "9", True),
        ("9", "9", False),
        ("10", "2026-11-01", False),
        ("soon", None, False),
        ("2026-11-29T00:00:00Z", None, True),
        ("2026-11-29T00:00:01Z", None, False),  # what changes until then is still to be asked for
    ],
)
def test_marks_compare_as_times_and_numbers(text, than, newer):
    assert is_newer(text, than, NOW) is newer


@given(TIMES, st.integers(0, 10**6))
def test_the_overlap_goes_back_by_its_seconds(at, seconds):
    mark = at.replace(microsecond=0).isoformat() + "Z"
    found = earlier(mark, seconds)
    assert found.endswith("Z")
    assert value_of(mark) - value_of(found) == dt.timedelta(seconds=seconds)
    assert earlier("170", 60) == "110"


def test_a_field_that_is_null_is_there_and_one_of_several_is_enough():
    frame = pl.DataFrame({"a": ["1", "", None, "4"], "b": [None, "2", None, "4"]})
    lacking, reasons = split_lacking(frame, [("a", "b")])
    assert lacking.to_list() == [False, False, True, False]
    assert "a or b" in reasons[2]
    lacking, reasons = split_lacking(frame, [("b",), ("gone",)])
    assert lacking.all()
    assert ["field b" in reason for reason in reasons] == [True, False, True, False]
