"""Trainings through their routes: half by lot, measured afterwards, and then by what was measured."""

import hashlib
import random
import threading
import uuid
from datetime import UTC, date, datetime

import dagster as dg
import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA, manifest_of, reviewed, small_tables

from feature_store.online import ProfileReader
from pipelines.defs import reviews
from pipelines.graph import resources
from pipelines.settings import Settings
from pipelines.stores.training_lifts import LIFTS
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.reviews.measuring import keep_measured
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("training_routes")  # one database and application for all
PLAN = {
    "training_id": "live-1", "course": "live", "title": "Selling in live streams", "party_type": "agent",
    "month": "2017-12", "seats": 30,
}  # fmt: skip


class School:
    """The application over published months of agents."""

    def __init__(self, client, url):
        self.client, self.url, self.versions = client, url, 0
        self.key = issue_key(url, name="ann", scopes=sorted(ROLE_SCOPES[Role.OPERATOR])).secret
        self.auditor = issue_key(
            url, name="eve", role=Role.AUDITOR, scopes=sorted(ROLE_SCOPES[Role.AUDITOR])
        ).secret

    def ask(self, method, path, body=None, code=200, key=None, **query):
        headers = {"X-API-Key": key or self.key, "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == code, answer.text
        return answer.json()

    def give(self, code=200, **changes):
        return self.ask("POST", "/trainings", PLAN | changes, code)

    def places(self, training_id="live-1"):
        first = self.ask("GET", f"/trainings/{training_id}/places", limit=70)
        found = first["places"]
        while first["next_cursor"]:
            first = self.ask("GET", f"/trainings/{training_id}/places", limit=70, cursor=first["next_cursor"])
            found += first["places"]
        return found

    def publish(self, sales, *, last=date(2017, 11, 1), levels=lambda agent: "gold", **changes):
        """A version with the months of agents: (agent, month) to net sales; of months until the last one."""
        self.versions += 1
        tables = small_tables()
        tables["party_reviews"] = [
            reviewed(
                "agent",
                agent,
                month=month,
                level=levels(agent),
                **(
                    {
                        "cents": cents,
                        "ranked_cents": cents,
                        "is_whole": month <= last,
                        "margin_cents": cents // 4,
                    }
                    | changes
                ),
            )
            for (agent, month), cents in sales.items()
        ]
        name = f"v{self.versions}"
        as_of = datetime(2018, self.versions, 20, tzinfo=UTC)
        publish(self.url, manifest_of(name, tables, as_of=as_of, sha=f"{self.versions:x}"), tables)


@pytest.fixture
def school(database_url, settings, monkeypatch):
    # What is measured depends on the lot: it is drawn with one seed in every run of the tests.
    monkeypatch.setattr("serving.reviews.trainings._seed", lambda: "a seed")
    with TestClient(create_app(settings, database_url, ProfileReader(SCHEMA))) as client:
        yield School(client, database_url)


AGENTS = [f"a{number:03}" for number in range(100)]
NOV, DEC, JAN, FEB = date(2017, 11, 1), date(2017, 12, 1), date(2018, 1, 1), date(2018, 2, 1)


def november(rng):
    return {(agent, NOV): 10_000 + rng.randrange(5_000) for agent in AGENTS}


def test_half_of_the_seats_go_by_lot_which_anybody_can_draw_again(school):
    sales = november(random.Random(1))
    school.publish(sales)
    made = school.give()
    assert (made["by_score"], made["by_lot"], made["not_drawn"]) == (15, 15, 70)
    assert (made["lift"], made["lift_before"]["word"], made["measured_until"]) == (None, "too_few", "2018-01")
    places = school.places()
    assert [one["place"] for one in places] == list(range(1, 101))
    best = sorted(AGENTS, key=lambda agent: -sales[agent, NOV])[:15]
    assert {one["party_id"] for one in places if one["way"] == "score"} == set(best)
    assert places[0]["score"] == pytest.approx(0.25 * (sales[best[0], NOV] // 4), rel=1e-3)

    def number(agent):
        words = "\x1f".join(("training", made["seed"], agent)).encode()
        return int.from_bytes(hashlib.sha256(words).digest()[:8]) / 2**64

    rest = sorted((agent for agent in AGENTS if agent not in best), key=number)
    assert [one["party_id"] for one in places if one["way"] == "lot"] == rest[:15]
    assert [one["party_id"] for one in places if one["way"] == "not_drawn"] == rest[15:]


def test_a_plan_is_given_once_and_another_one_under_its_id_is_refused(school):
    school.publish(november(random.Random(2)))
    first = school.give()
    assert school.give() == first
    assert "another plan" in school.give(409, seats=31)["detail"]
    assert [
        one["training_id"] for one in school.ask("GET", "/trainings", key=school.auditor)["trainings"]
    ] == ["live-1"]
    school.ask("POST", "/trainings", PLAN, 403, key=school.auditor)
    school.ask("GET", "/trainings/nobody", code=404)
    with psycopg.connect(libpq_url(school.url)) as conn:
        conn.execute("set role muyun_app")
        for change in ("update reviews.training set seats = 1", "delete from reviews.training_party"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(change)


def test_at_once_one_of_two_gives_the_seats(school):
    school.publish(november(random.Random(3)))
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(school.give())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert all(one == answers[0] for one in answers)
    assert len(school.places()) == 100


def test_a_month_that_is_known_and_nobody_to_teach_are_refused(school):
    assert "no month that is over" in school.give(404)["detail"]
    school.publish(november(random.Random(4)))
    assert "2017-12 or later" in school.give(422, month="2017-11")["detail"]
    assert "no merchant is active" in school.give(422, party_type="merchant")["detail"]
    school.give(422, seats=0)
    school.give(422, month="2017-13")


def lived(school, sales, effect, *, seed, levels=lambda agent: "gold"):
    """What happened after it: seats bring `effect` of what was sold before; None: all sell alike."""
    rng = random.Random(seed)
    seated = {one["party_id"] for one in school.places() if one["way"] != "not_drawn"}
    after = dict(sales)
    for agent in AGENTS:
        was = sales[agent, NOV]
        gain = effect(levels(agent)) if effect and agent in seated else 0
        after[agent, DEC] = was
        after[agent, JAN] = round(was * (0.9 + gain) + rng.gauss(0, 300)) if effect else 9_000
    school.publish(after, last=JAN, levels=levels)
    return after


def test_a_gain_is_measured_with_its_interval_and_then_every_seat_goes_by_it(school):
    levels = {agent: "gold" if int(agent[1:]) % 2 else "silver" for agent in AGENTS}.get
    sales = november(random.Random(5))
    school.publish(sales, levels=levels)
    school.give(seats=60)
    assert school.ask("GET", "/trainings/live-1")["lift"] is None
    # It helps silver ones by half, and costs gold ones some of their time.
    lived(school, sales, lambda level: 0.5 if level == "silver" else -0.06, seed=6, levels=levels)
    lift = school.ask("GET", "/trainings/live-1")["lift"]
    assert (lift["drawn"], lift["not_drawn"], lift["word"]) == (30, 40, "gain")
    assert lift["low"] < lift["cents"] < lift["high"]
    assert lift["low"] > 0
    again = school.give(training_id="live-2", month="2018-02", seats=20)
    assert (again["by_score"], again["by_lot"]) == (20, 0)
    assert again["lift_before"] == lift
    assert again["lift_by_level"]["silver"]["word"] == "gain"
    assert again["lift_by_level"]["gold"]["word"] == "loss"
    assert {levels(one["party_id"]) for one in school.places("live-2") if one["way"] == "score"} == {"silver"}
    # Another course knows nothing of it.
    other = school.give(training_id="ads-1", course="ads", month="2018-02", seats=20)
    assert (other["by_score"], other["by_lot"]) == (10, 10)


def test_without_an_effect_nothing_is_shown_and_the_lot_goes_on(school):
    sales = november(random.Random(7))
    school.publish(sales)
    school.give(seats=60)
    lived(school, sales, None, seed=8)
    assert school.ask("GET", "/trainings/live-1")["lift"]["word"] == "not_shown"
    again = school.give(training_id="live-2", month="2018-02", seats=20)
    assert (again["by_score"], again["by_lot"]) == (10, 10)


def night(school, tmp_path):
    """The step that keeps what trainings brought; ids that it kept, and what the report reads."""
    settings = Settings(
        home=tmp_path / "home", database_url=school.url, as_of=datetime(2019, 6, 1, tzinfo=UTC)
    )
    made = resources(settings)
    wanted = {name: made[name] for name in ("steps", "settings", "clock", "lake", "database")}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([reviews.training_lifts], resources=wanted, instance=instance)
    (event,) = done.get_asset_materialization_events()
    (row,) = made["lake"].get(LIFTS).rows(named=True)
    return event.materialization.metadata["kept"].value, row


def test_what_a_training_brought_stays_when_its_months_leave_the_publication(school, tmp_path):
    sales = november(random.Random(11))
    school.publish(sales)
    school.give(seats=60)
    kept, row = night(school, tmp_path)
    assert (kept, row["word"], row["until"]) == ([], None, JAN)
    after = lived(school, sales, lambda _: 0.5, seed=12)
    first = school.ask("GET", "/trainings/live-1")["lift"]
    assert first["word"] == "gain"
    # January is over, but what comes late still counts: it is not kept yet.
    kept, row = night(school, tmp_path)
    assert (kept, row["word"], row["cents"]) == ([], "gain", first["cents"])
    late = after | {(agent, month): cents + 100 for (agent, month), cents in after.items() if month == JAN}
    school.publish(late | {("a000", FEB): 1}, last=FEB)
    lift = school.ask("GET", "/trainings/live-1")["lift"]
    assert lift["cents"] == pytest.approx(first["cents"])
    assert lift["share"] != first["share"]
    assert night(school, tmp_path)[0] == ["live-1"]
    # From then on nothing changes it: neither other sales of its months nor that they are gone.
    school.publish(late | {("a000", JAN): 900_000_000, ("a000", FEB): 1}, last=FEB)
    assert school.ask("GET", "/trainings/live-1")["lift"] == lift
    newer = {(agent, date(2018, month, 1)): 10_000 for agent in AGENTS for month in range(3, 13)}
    school.publish(newer, last=date(2018, 12, 1))
    assert school.ask("GET", "/trainings/live-1")["lift"] == lift
    assert school.ask("GET", "/trainings")["trainings"][0]["lift"] == lift
    kept, row = night(school, tmp_path)
    assert (kept, row["cents"], row["low"]) == ([], lift["cents"], lift["low"])
    again = school.give(training_id="live-2", month="2019-02", seats=20)
    assert (again["lift_before"], again["by_score"], again["by_lot"]) == (lift, 20, 0)
    with psycopg.connect(libpq_url(school.url)) as conn:
        for change in (
            "update reviews.training_sale set after_cents = 1",
            "delete from reviews.training_measured",
        ):
            with pytest.raises(psycopg.DatabaseError, match="append-only"), conn.transaction():
                conn.execute(change)


def test_a_lot_is_kept_once_by_however_many_at_once(school):
    sales = november(random.Random(13))
    school.publish(sales)
    school.give(seats=60)
    after = lived(school, sales, lambda _: 0.5, seed=14)
    school.publish(after | {("a000", FEB): 1}, last=FEB)
    now = datetime(2018, 3, 1, tzinfo=UTC)
    kept = []

    def keep():
        with Operations(school.url, size=1) as operations, operations.transaction("default") as conn:
            kept.extend(keep_measured(conn, "default", now))

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept == ["live-1"]
    with psycopg.connect(libpq_url(school.url)) as conn:
        rows = conn.execute("select party_id, after_cents from reviews.training_sale").fetchall()
    in_lot = {one["party_id"] for one in school.places() if one["way"] != "score"}
    assert dict(rows) == {agent: after[agent, JAN] for agent in in_lot}


def test_who_is_in_a_lot_that_is_measured_is_no_candidate(school):
    school.publish(november(random.Random(9)))
    school.give(seats=30)
    other = school.give(training_id="ads-1", course="ads", month="2018-01", seats=4)
    assert other["by_score"] + other["by_lot"] + other["not_drawn"] == 15  # those with a seat by score
    later = school.give(training_id="ads-2", course="ads", month="2018-02", seats=4)
    assert later["by_score"] + later["by_lot"] + later["not_drawn"] == 100 - 13


def test_where_no_cost_is_known_sales_stand_for_the_margin(school):
    sales = november(random.Random(10))
    school.publish(sales, margin_cents=None)
    school.give(seats=2)
    best = max(AGENTS, key=lambda agent: sales[agent, NOV])
    (first, *_) = school.places()
    assert (first["party_id"], first["worth_cents"]) == (best, sales[best, NOV])


def test_agents_see_what_several_of_their_customers_have_in_their_lists(school):
    tables = small_tables()
    tables["agent_suggestions"] = [
        ("ag", "m1", 1, "m1-s1", 7, 9, "repeat"),
        ("ag", "m1", 2, "m1-s2", 5, 9, "popular"),
        ("ag", "m2", 1, "m2-s1", 6, 6, "repeat"),
        ("a2", "m1", 1, "m1-s3", 6, 6, "repeat"),
    ]
    publish(school.url, manifest_of("v9", tables), tables)
    keys = {
        who: issue_key(school.url, name=who, role=role, party_id=who, scopes=sorted(ROLE_SCOPES[role])).secret
        for who, role in (("ag", Role.AGENT), ("m1", Role.MERCHANT))
    }
    path = "/agents/ag/suggestions"
    mine = school.ask("GET", path, key=keys["ag"])["suggestions"]
    assert [(one["sku_id"], one["customers"], one["of_customers"]) for one in mine] == [
        ("m1-s1", 7, 9), ("m1-s2", 5, 9), ("m2-s1", 6, 6),
    ]  # fmt: skip
    assert [one["sku_id"] for one in school.ask("GET", path, key=keys["m1"])["suggestions"]] == [
        "m1-s1",
        "m1-s2",
    ]
    school.ask("GET", "/agents/a2/suggestions", code=403, key=keys["ag"])
    with psycopg.connect(libpq_url(school.url)) as conn:
        conn.execute(
            "insert into orders.listing (tenant_id, merchant_id, sku_id, list_price_cents, is_listed)"
            " values ('default', 'm1', 'm1-s1', 100, false)"
        )
    assert [one["sku_id"] for one in school.ask("GET", path, key=keys["ag"])["suggestions"]] == [
        "m1-s2",
        "m2-s1",
    ]
