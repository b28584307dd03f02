"""Days of members over the real database: both sources of spend, refunds, coupons, notices, races."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from journey_town import TENANT
from member_town import ZONE, programme

from pipelines.replay.members import open_programme
from serving.consumers.erasure import erase
from serving.experiments import records as experiments
from serving.experiments.errors import ExperimentOverlapError
from serving.journeys.definition.loading import shipped
from serving.members import closing, notices, records, versions
from serving.members.errors import MembersError, ProgrammeRefusedError
from serving.members.programme import load
from serving.members.programme import shipped as shipped_programme


def state(town):
    """Everything that is kept of members, but when."""
    return [
        town.sql(f"select * from members.{table} order by 1, 2, 3")
        for table in ("standing", "change", "notice", "benefit")
    ]


def test_without_a_programme_nothing_is_closed(town):
    town.files.line("f1", "a", town.day_ago(20), 100_000)
    assert town.close().closed.version is None
    assert state(town) == [[], [], [], []]


def test_the_panel_has_the_shipped_programme_unless_somebody_put_one_forward(town):
    for _ in range(2):
        town.act(lambda conn, _, now: open_programme(conn, now), town.now)
    (version,) = town.act(versions.versions_of)
    assert (version.state, version.programme) == ("live", load(shipped_programme()))
    town.files.line("f1", "a", town.day_ago(20), 60_000)
    assert town.close().closed.version == 1
    assert town.member("a").level == "silver"


def test_a_draft_of_somebody_keeps_the_shipped_programme_away(town):
    town.act(versions.put_forward, programme(), "ann", town.now)
    town.act(lambda conn, _, now: open_programme(conn, now), town.now)
    assert [one.state for one in town.act(versions.versions_of)] == ["draft"]


def test_spend_counts_from_release_and_from_files_and_refunds_take_it_back(town):
    town.members()
    town.released("o1", "a", qty=2)  # 398.00
    assert town.close().closed.moved == {"joined": 1}
    assert (town.member("a").growth, town.member("a").level) == (398, "silver")
    # The same order as the warehouse tells it: it has legs, so that it counts once.
    town.files.line("o1", "a", town.day_ago(20), 39_800)
    town.files.settled_here("o1")
    town.files.line("f1", "a", town.day_ago(8), 10_050)
    town.files.line("f2", "a", town.day_ago(6), 99_900)  # not settled yet
    town.files.line("f3", "a", town.day_ago(9), 99_900, counted=False)
    town.close()
    assert town.member("a").growth == 398 + 100
    town.refund("o1", 19_900)
    # A case and a return line tell of one refund; the larger one counts.
    town.files.case("f1", 5_000)
    town.files.case("f1", 9_999, origin="overlay")
    town.files.line("r1", "a", town.day_ago(2), -5_050, gives_back="f1")
    town.close()
    assert town.member("a").growth == (19_900 + 10_050 - 5_050) // 100
    # What the level asks is gone; the level stays until its period is over.
    assert town.member("a").level == "silver"
    town.refund("o1", 19_900)
    town.close()
    assert town.member("a").growth == 50


def test_what_came_back_without_its_order_counts_against_its_day(town):
    town.members()
    town.files.line("f1", "a", town.day_ago(30), 60_000)
    town.files.line("r1", "a", town.day_ago(10), -20_000)
    town.close()
    assert town.member("a").growth == 400


def test_interactions_count_up_to_their_cap(town):
    town.members()
    for session in ("s1", "s2", "s3"):
        town.files.visit("a", town.day_ago(1), session)
    town.files.visit("a", town.day_ago(0))
    town.files.visit("a", town.day_ago(365))
    town.files.invited("a", "friend", town.now - timedelta(days=8))
    town.files.invited("a", "late", town.now - timedelta(days=2))
    town.files.invited("self", "self", town.now - timedelta(days=8))
    town.buy("a", "o1")
    for number in range(3):
        town.sql(
            "insert into feedback.message (tenant_id, feedback_id, merchant_id, consumer_id, text,"
            " occurred_at, received_at, is_verified) values (%(t)s, %(id)s, 'm1', 'a', 'x', %(n)s, %(n)s,"
            " %(v)s)",
            t=TENANT,
            id=f"t{number}",
            n=town.now,
            v=number < 2,
        )
    town.close()
    assert town.member("a").growth == 2 + 100 + 10
    assert town.member("self") is None


def test_the_same_day_again_changes_nothing_and_an_earlier_one_neither(town):
    town.programme(name="silver", kind="threshold", off_cents=1_000, min_goods_cents=5_000)
    town.members(programme("silver"))
    town.files.line("f1", "a", town.day_ago(8), 50_000)
    town.files.visit("b", town.day_ago(1))
    first = town.close()
    assert first.closed.given.codes == 1
    kept = state(town)
    again = town.close()
    assert (again.closed.moved, again.closed.given.codes) == ({}, 0)
    assert state(town) == kept
    town.on(days=-1)
    assert town.close().closed.is_outdated
    assert state(town) == kept


def test_closes_at_once_give_one_coupon_and_one_history(town):
    town.programme(name="silver", kind="threshold", off_cents=1_000, min_goods_cents=5_000)
    version = town.members(programme("silver")).version
    growth = {f"c{n}": 400 for n in range(40)}

    def close(_):
        return town.act(closing.close_day, version, growth, town.today, ZONE, town.now).given.codes

    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(close, range(8)))
    assert sorted(codes) == [0] * 7 + [40]
    assert town.sql("select count(*), count(distinct consumer_id) from coupons.coupon") == [(40, 40)]
    assert town.sql("select count(*) from members.change") == [(40,)]


def test_a_coupon_a_stay_not_for_who_falls_and_when_there_is_a_budget(town):
    town.programme(name="silver", kind="threshold", off_cents=1_000, min_goods_cents=5_000, budget_count=1)
    version = town.members(programme("silver")).version
    town.sql("update coupons.programme set spent_count = 1 where name = 'silver'")

    def close(growth):
        return town.act(closing.close_day, version, growth, town.today, ZONE, town.now)

    done = close({"a": 2_500, "b": 350})
    assert (done.given.codes, done.given.waiting) == (0, 1)
    town.sql("update coupons.programme set spent_count = 0 where name = 'silver'")
    assert close({"a": 2_500, "b": 350}).given.codes == 1
    (benefit,) = town.act(records.benefits_of, "b")
    found = town.sql(
        "select consumer_id, programme_id from coupons.coupon where code = %(c)s", c=benefit.coupon_code
    )
    assert found == [("b", benefit.programme_id)]
    # a was gold and falls to silver: no coupon for that.
    town.on(days=51)
    close({"a": 350})
    town.act(notices.give, "a", "ann", town.now)
    town.on(days=20)
    assert close({"a": 350}).moved["down"] == 1
    assert (town.member("a").level, town.act(records.benefits_of, "a")) == ("silver", [])


def test_up_at_once_down_after_notice_by_the_journey(town):
    version = town.members().version

    def close(growth):
        return town.act(closing.close_day, version, growth, town.today, ZONE, town.now)

    close({"c50": 100})
    town.on(days=1)
    close({"c50": 2_000})
    assert town.causes("c50") == [("joined", "ordinary"), ("up", "gold")]
    town.on(days=51)
    close({"c50": 100})
    assert town.member("c50").at_risk_since == town.today
    town.on(days=30)
    close({"c50": 100})
    assert (town.member("c50").level, town.member("c50").told_at) == ("gold", None)
    # The journey tells: a message that went out is the notice.
    town.on(days=1)
    town.people(3, segments=[("level_at_risk", ["c50"])], entered=town.now.date() - timedelta(days=30))
    town.journey(shipped()["level_at_risk"])
    town.look()
    assert town.messages() == []
    town.on(days=1)  # a Monday
    town.look()
    town.look()
    assert [(one["consumer_id"], one["state"]) for one in town.messages()] == [("c50", "delivered")]
    told = town.now
    assert close({"c50": 100}).notices == 1
    assert town.member("c50").told_at == told
    # A message that is found to have failed afterwards told nobody.
    town.sql("update journeys.message set state = 'failed' where consumer_id = 'c50'")
    close({"c50": 100})
    assert town.member("c50").told_at is None
    town.sql("update journeys.message set state = 'delivered' where consumer_id = 'c50'")
    close({"c50": 100})
    assert town.member("c50").told_at == told
    town.on(days=9)
    close({"c50": 100})
    assert town.member("c50").level == "gold"
    town.on(days=1)
    assert close({"c50": 100}).moved == {"down": 1}
    assert town.causes("c50")[-2:] == [("at_risk", "gold"), ("down", "ordinary")]


def test_a_notice_of_nobody_who_is_at_risk_is_refused_and_the_first_stands(town):
    version = town.members().version
    with pytest.raises(MembersError, match="no member"):
        town.act(notices.give, "a", "ann", town.now)
    town.act(closing.close_day, version, {"a": 400}, town.today, ZONE, town.now)
    with pytest.raises(MembersError, match="not at risk"):
        town.act(notices.give, "a", "ann", town.now)
    town.on(days=55)
    town.act(closing.close_day, version, {"a": 1}, town.today, ZONE, town.now)
    first = town.act(notices.give, "a", "ann", town.now)
    town.on(days=1)
    assert town.act(notices.give, "a", "bob", town.now) == first


def test_an_erased_member_leaves_nothing_and_does_not_come_back(town):
    town.programme(name="silver", kind="threshold", off_cents=1_000, min_goods_cents=5_000)
    town.members(programme("silver"))
    town.files.line("f1", "a", town.day_ago(8), 50_000)
    town.files.line("f2", "b", town.day_ago(8), 50_000)
    town.released("o1", "a")
    town.close()
    pseudonym = town.act(erase, "a", town.now).pseudonym
    town.close()
    assert {row[1] for row in town.sql("select * from members.standing")} == {"b"}
    assert all("a" not in row and pseudonym not in row for rows in state(town) for row in rows)


def test_a_programme_is_refused_with_every_reason(town):
    with pytest.raises(ProgrammeRefusedError, match="gold begins at 300, not above silver"):
        town.members(programme().replace("2000", "300"))
    with pytest.raises(ProgrammeRefusedError, match=r"levels\.1\.benefits\.freight: Extra inputs"):
        town.members(programme().replace("from_growth: 300", "from_growth: 300, benefits: {freight: true}"))
    with pytest.raises(ProgrammeRefusedError, match="silver: coupon programme nothing is not in force"):
        town.members(programme("nothing"))
    with pytest.raises(ProgrammeRefusedError, match="ordinary gives no coupon"):
        town.members(programme().replace("from_growth: 0", "from_growth: 0, benefits: {coupon: x}"))
    with pytest.raises(ProgrammeRefusedError, match="no mapping"):
        town.members("- a")


def test_a_coupon_is_given_by_a_level_or_by_an_arm_not_by_both(town):
    terms = {"kind": "threshold", "off_cents": 1_000, "min_goods_cents": 5_000}
    of_level, of_arm = (town.programme(name=name, **terms) for name in ("silver", "tested"))
    town.members(programme("silver"))

    def started(name, programme_id):
        document = {
            "experiment_id": name, "title": name, "surface": "coupons", "unit": "consumer", "layer": name,
            "metric": "ordered", "metric_days": 7, "runs_days": 20,
            "arms": [
                {"name": "none", "share_bps": 5_000},
                {"name": "with", "share_bps": 5_000, "programme_id": programme_id},
            ],
        }  # fmt: skip
        town.act(experiments.put_forward, document, "ann", town.now)
        return town.act(experiments.start, name, town.now)

    with pytest.raises(ExperimentOverlapError, match="members who reach silver get coupons of silver"):
        started("first", of_level)
    assert started("second", of_arm).state == "running"
    with pytest.raises(ProgrammeRefusedError, match="experiment second gives tested to one arm"):
        town.members(programme("tested"))


def test_of_two_versions_one_is_in_force_and_the_same_words_are_one(town):
    first = town.members()
    assert town.act(versions.put_forward, programme(), "bob", town.now).version == first.version
    second = town.members(programme().replace("2000", "3000"))
    found = town.act(versions.versions_of)
    assert [(one.version, one.state) for one in found] == [(1, "replaced"), (2, "live")]
    # A close whose growth was computed by the version before does nothing.
    town.act(closing.close_day, first.version, {"a": 400}, town.today, ZONE, town.now)
    assert town.member("a") is None
    town.act(closing.close_day, second.version, {"a": 400}, town.today, ZONE, town.now)
    assert town.member("a").level == "silver"


def test_a_new_programme_renews_what_is_missing_and_moves_and_tells_nobody(town):
    town.members()
    for consumer, cents in (("low", 10_000), ("mid", 50_000), ("top", 250_000)):
        town.files.line(f"f-{consumer}", consumer, town.day_ago(20), cents)
    town.close()

    def told():
        """As tags read it: the newest change of each member as it comes into the lake."""
        return {
            consumer: (growth, to_next)
            for consumer, growth, to_next in town.sql(
                "select distinct on (consumer_id) consumer_id, growth, growth_to_next from members.change"
                " order by consumer_id, change_no desc"
            )
        }

    assert told() == {"low": (100, 200), "mid": (500, 1_500), "top": (2_500, None)}
    stood = town.sql("select * from members.standing order by 1, 2")
    # Gold begins later, and there is a level above it; ordinary ones miss what they missed.
    town.on(days=1)
    gold = "from_growth: 2400}\n  - {level: diamond, from_growth: 9000}"
    town.members(programme().replace("from_growth: 2000}", gold))
    done = town.close()
    assert told() == {"low": (100, 200), "mid": (500, 1_900), "top": (2_500, 6_500)}
    assert (done.closed.moved, done.closed.notices, done.closed.given.codes) == ({"growth": 2}, 0, 0)
    assert town.sql("select * from members.standing order by 1, 2") == stood
    for consumer in ("low", "mid", "top"):
        assert [cause for cause, _ in town.causes(consumer)] == ["joined"]
    again = town.close()
    assert again.closed.moved == {}
