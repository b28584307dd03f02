"""Cases in the database: opened once, raised, lapsed; papers, appeals and decisions move them at once."""

import psycopg
import pytest
from small_market import NOW, TENANT
from supervised_market import (
    OF_LEVEL,
    PAPER,
    PRICE,
    SAID,
    case,
    changes,
    day,
    decide,
    listing,
    night,
    put,
    state,
)

from models.supply.supervision.ladder import Level, Sign
from serving.supervision.cases import cases_page
from serving.supervision.errors import (
    CaseEndedError,
    NothingSaidError,
    OwnCaseError,
    StatementWaitsError,
    UnknownListingCaseError,
)
from serving.supervision.statements import decisions_of, statements_of


def test_a_case_is_opened_once_with_its_evidence_and_a_due_date(shop):
    subject = listing("opened")
    assert night(shop, NOW, {subject: OF_LEVEL[Level.ASK]}).opened == 1
    found = case(shop, subject)
    assert (found.level, found.score, found.due_at) == (Level.ASK, pytest.approx(0.5), day(7))
    assert found.evidence == {"authorisation": {"weight": 0.5, "strength": 1.0, "brand_id": "B"}}
    before = shop.sql("select * from supervision.listing_case order by case_id")
    again = night(shop, NOW, {subject: OF_LEVEL[Level.ASK]})
    assert (again.opened, again.raised) == (0, 0)
    assert shop.sql("select * from supervision.listing_case order by case_id") == before
    assert changes(shop, found.case_id) == [(0, 1, "signs", NOW)]


def test_signs_that_ask_for_nothing_open_nothing(shop):
    weak = Sign("price", 1.0, {})
    assert night(shop, NOW, {listing("weak"): (weak,)}).opened == 0
    assert case(shop, listing("weak")) is None


def test_more_signs_raise_it_and_silence_does_too(shop):
    subject = listing("silent")
    put(shop, subject, 1)
    night(shop, day(7), {subject: OF_LEVEL[Level.ASK]})
    found = case(shop, subject)
    assert (found.level, found.due_at) == (Level.HOLD, day(21))
    night(shop, day(8), {subject: OF_LEVEL[Level.DELIST]})
    assert case(shop, subject).level is Level.DELIST
    assert changes(shop, found.case_id) == [
        (0, 1, "signs", NOW),
        (1, 2, "papers_overdue", day(7)),
        (2, 3, "signs", day(8)),
    ]


def test_a_request_lapses_after_clean_days_and_a_hold_keeps_what_put_it_there(shop):
    asked, held = listing("lapsing"), listing("kept")
    put(shop, asked, 1)
    put(shop, held, 2)
    night(shop, day(3))
    assert night(shop, day(17)).lapsed >= 1
    assert case(shop, asked) is None
    kept = case(shop, held)
    assert (kept.level, sorted(kept.evidence)) == (Level.HOLD, ["authorisation", "price"])
    assert shop.sql("select ended_by, level from supervision.listing_case where sku_id = 'lapsing'") == [
        ("clean_days", 0)
    ]


def test_an_older_night_changes_nothing(shop):
    subject = listing("later")
    put(shop, subject, 1, at=day(2))
    assert night(shop, day(1), {subject: OF_LEVEL[Level.DELIST]}).outdated >= 1
    assert case(shop, subject).level is Level.ASK


def test_a_word_stops_the_clock_until_it_is_decided(shop):
    subject = listing("answered")
    found = put(shop, subject, 1)
    said = state(shop, subject, found.case_id, at=day(6))
    assert (said.due_at, said.has_word) == (None, True)
    night(shop, day(30), {subject: OF_LEVEL[Level.ASK]})
    assert case(shop, subject).level is Level.ASK
    with pytest.raises(StatementWaitsError):
        state(shop, subject, found.case_id, kind="appeal", at=day(30))
    upheld = decide(shop, found.case_id, "upheld", at=day(31))
    assert (upheld.level, upheld.due_at, upheld.has_word) == (Level.ASK, day(38), False)
    state(shop, subject, found.case_id, kind="appeal", at=day(32))
    with shop.transaction() as conn:
        told = statements_of(conn, TENANT, found.case_id)
        decided = decisions_of(conn, TENANT, found.case_id)
    assert [(one.kind, one.papers, one.decide_by, one.decided_at) for one in told] == [
        ("papers", ["doc-1"], day(9), day(31)),
        ("appeal", ["doc-1"], day(35), None),
    ]
    assert [(one.statement_id, one.outcome) for one in decided] == [(told[0].statement_id, "upheld")]


def test_cleared_signs_are_quiet_for_a_while_and_others_are_not(shop):
    subject = listing("quiet")
    found = put(shop, subject, 2)
    ended = decide(shop, found.case_id, "cleared", at=day(1))
    assert (ended.level, ended.ended_at, ended.ended_by) == (Level.FREE, day(1), "cleared")
    assert changes(shop, found.case_id)[-1] == (2, 0, "cleared", day(1))
    night(shop, day(2), {subject: (PRICE, PAPER)})
    assert case(shop, subject) is None
    night(shop, day(3), {subject: (PRICE, PAPER, SAID)})
    anew = case(shop, subject)
    assert (anew.level, sorted(anew.evidence)) == (Level.ASK, ["complaints"])
    decide(shop, anew.case_id, "cleared", at=day(4))
    # Of what happens only what happened before is answered: the sign itself is not quiet.
    night(shop, day(5), {subject: (SAID,)})
    again = case(shop, subject)
    assert again is not None
    decide(shop, again.case_id, "cleared", at=day(6))
    # 180 days after the first decision price and authorisation count again.
    last = replace_seconds(day(181), -1)
    night(shop, last, {subject: (PRICE, PAPER)})
    assert case(shop, subject) is None
    night(shop, day(181), {subject: (PRICE, PAPER)})
    assert case(shop, subject).level is Level.HOLD


def replace_seconds(moment, seconds):
    return moment + (day(1) - day(0)) / 86_400 * seconds


def test_nobody_decides_about_their_own_word_and_nothing_moves_after_the_end(shop):
    subject = listing("own")
    found = put(shop, subject, 2)
    state(shop, subject, found.case_id, by="op-7")
    with pytest.raises(OwnCaseError):
        decide(shop, found.case_id, "cleared", by="op-7")
    decide(shop, found.case_id, "cleared", by="op-8")
    for act in (lambda: state(shop, subject, found.case_id), lambda: decide(shop, found.case_id, "upheld")):
        with pytest.raises(CaseEndedError):
            act()


def test_a_case_of_another_party_is_not_there(shop):
    subject = listing("mine")
    found = put(shop, subject, 1)
    for stranger in (replace_party(subject, "m2"), subject._replace(party_type="supplier")):
        with pytest.raises(UnknownListingCaseError):
            state(shop, stranger, found.case_id)
    with pytest.raises(UnknownListingCaseError):
        decide(shop, 10**9, "cleared")


def replace_party(subject, party_id):
    return subject._replace(party_id=party_id)


def test_late_cases_are_those_past_their_service_level(shop):
    subject = listing("late")
    found = put(shop, subject, 1)
    state(shop, subject, found.case_id)

    def late(at):
        with shop.transaction() as conn:
            page = cases_page(conn, TENANT, None, at, open_only=True, late_only=True, after=0, limit=1000)
        return found.case_id in {one.case_id for one in page}

    assert not late(day(3))
    assert late(replace_seconds(day(3), 1))


def test_decisions_and_changes_are_append_only(shop):
    found = put(shop, listing("append"), 1)
    with pytest.raises(NothingSaidError):
        decide(shop, found.case_id, "upheld")
    decide(shop, found.case_id, "cleared")
    for table in ("decision", "change"):
        with pytest.raises(psycopg.Error):
            shop.sql(f"update supervision.{table} set decided_at = now()" if table == "decision"
                     else f"update supervision.{table} set to_level = 0")  # fmt: skip
