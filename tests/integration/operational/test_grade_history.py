"""The history of grades: one row a change, the same grading once, read back into the lake."""

import datetime as dt
from dataclasses import replace

import psycopg
import pytest

from pipelines.live import recorded
from serving.db.urls import libpq_url
from serving.supply.grade_history import HeldGrade, changes_page, keep_grades

AT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
WHOLE = HeldGrade("s-1", "", "B", None, 0.65)
CHANNEL = HeldGrade("s-1", "milk", "C", None, 0.5)


@pytest.fixture
def writer(database_url):
    with psycopg.connect(libpq_url(database_url)) as connection:
        yield connection


def history(writer, category=""):
    return [
        (one.grade, one.gate, one.graded_at)
        for one in changes_page(writer, "default", "s-1", category, before=None, limit=9)
    ]


def test_only_what_changed_is_written(writer):
    assert keep_grades(writer, "default", [WHOLE, CHANNEL], AT) == 2
    assert keep_grades(writer, "default", [WHOLE, CHANNEL], AT) == 0
    # Another score under the same grade is no change.
    assert keep_grades(writer, "default", [replace(WHOLE, score_low=0.7), CHANNEL], AT + DAY) == 0
    gated = replace(WHOLE, grade="D", gate="frozen")
    assert keep_grades(writer, "default", [gated, CHANNEL], AT + 2 * DAY) == 1
    assert keep_grades(writer, "other", [WHOLE], AT) == 1
    assert history(writer) == [("D", "frozen", AT + 2 * DAY), ("B", None, AT)]


def test_who_is_named_no_more_is_graded_no_more_and_may_come_back(writer):
    keep_grades(writer, "default", [WHOLE, CHANNEL], AT)
    assert keep_grades(writer, "default", [WHOLE], AT + DAY) == 1
    assert keep_grades(writer, "default", [WHOLE], AT + 2 * DAY) == 0
    assert keep_grades(writer, "default", [WHOLE, CHANNEL], AT + 3 * DAY) == 1
    assert history(writer, "milk") == [("C", None, AT + 3 * DAY), (None, None, AT + DAY), ("C", None, AT)]


def test_a_clock_that_was_set_back_does_not_rewrite_the_past(writer):
    keep_grades(writer, "default", [WHOLE], AT)
    assert keep_grades(writer, "default", [replace(WHOLE, grade="A")], AT - DAY) == 1
    assert history(writer) == [("A", None, AT), ("B", None, AT)]


def test_the_lake_reads_every_change_once(database_url, writer):
    keep_grades(writer, "default", [WHOLE, CHANNEL], AT)
    writer.commit()
    first = recorded.read(database_url, 0, tenant_id="default")
    rows = first.rows["grade_changes"].drop("change_id").rows()
    assert rows == [
        ("s-1", None, "B", None, 0.65, AT, AT, "observed"),
        ("s-1", "milk", "C", None, 0.5, AT, AT, "observed"),
    ]
    assert "grade_changes" not in recorded.read(database_url, first.cursor, tenant_id="default").rows


def test_nobody_rewrites_it(database_url, writer):
    keep_grades(writer, "default", [WHOLE], AT)
    writer.commit()
    with pytest.raises(psycopg.Error, match="append"):
        writer.execute("update supply.grade_change set grade = 'A'")
