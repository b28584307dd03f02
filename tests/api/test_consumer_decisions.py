"""Consents and erasure through the API: they hold from the answer on, whatever was published."""

import subprocess
from datetime import timedelta

import polars as pl
import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables

from feature_store.offline import profile_documents
from feature_store.online import ProfileReader
from feature_store.predicted import SCHEMA as predicted_schema  # noqa: N811
from feature_store.registry import load_registry
from serving.app import create_app
from serving.consumers.erased import consumer_digest
from serving.db.dump import dump
from serving.db.programs import binary
from serving.db.urls import libpq_url
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import holds, publish
from serving.security import Scope, issue_key

LOUD = "c-erase-me-7731"
SERVICE = SCHEMA.model_copy(
    update={
        "fields": (
            SCHEMA.fields[0].model_copy(update={"consent": "service"}),
            SCHEMA.fields[1].model_copy(update={"consent": "marketing"}),
            SCHEMA.fields[2].model_copy(update={"is_predicted": True, "consent": "service"}),
        )
    }
)


class Shop:
    """The API over a fresh publication, with an operator's key."""

    def __init__(self, client, key):
        self.client, self.headers = client, {"X-API-Key": key}

    def get(self, path, **query):
        return self.client.get(path, params=query, headers=self.headers)

    def post(self, path, body=None, **headers):
        return self.client.post(path, json=body, headers={**self.headers, **headers})

    def states(self, consumer_id, purpose, granted, hour=0, source="app"):
        at = (AS_OF + timedelta(hours=hour)).isoformat()
        body = {"purpose": purpose, "granted": granted, "stated_at": at, "source": source}
        return self.post(f"/v1/consumers/{consumer_id}/consents", body)

    def statuses(self, consumer_id):
        tags = self.get(f"/v1/consumers/{consumer_id}/profile").json()["tags"]
        return {name: tag["status"] for name, tag in tags.items()}


@pytest.fixture
def shop(database_url, settings):
    tables = small_tables()
    tables["profiles"] = [(*row[:3], AS_OF) for row in tables["profiles"]]
    tables["profiles"].append((LOUD, tables["profiles"][0][1], SCHEMA.fingerprint, AS_OF))
    tables["recommendations"] += [
        ("m1", LOUD, rank, f"m1-s{rank}", 1.0, "repeat", "v1", 0.5) for rank in (1, 2, 3)
    ]
    tables["wakeup_list"].append((LOUD, "m1", 4, 41, 0.7, 5400, True, None, None, None, "[]", False))
    tables["rebuy_reminders"].append((LOUD, 1, "l3-a", 0.5, "v1"))
    tables["segment_members"].append(("loyal", LOUD, AS_OF.date(), None))
    publish(database_url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="operator", scopes=list(Scope)).secret
    app = create_app(settings.model_copy(update={"as_of": AS_OF}), database_url, ProfileReader(SERVICE))
    with TestClient(app) as client:
        yield Shop(client, key)


def test_what_a_withdrawal_forbids_is_withheld_at_once(shop):
    before = shop.statuses("c1")
    assert before == {"order_count_28d": "present", "last_search": "present", "favourite_category": "null"}
    answer = shop.states("c1", "marketing", granted=False)
    assert answer.json() == {"consumer_id": "c1", "is_new": True, "standing": {"marketing": False}}
    assert shop.statuses("c1") == {
        "order_count_28d": "present",  # service
        "last_search": "withheld",  # marketing
        "favourite_category": "withheld",  # predicted
    }
    assert shop.get("/v1/consumers/c1/profile").json()["tags"]["last_search"]["value"] is None
    assert shop.statuses("c2")["last_search"] == "present"
    shop.states("c1", "marketing", granted=True, hour=0.5)
    assert shop.statuses("c1") == before


def test_what_models_said_is_read_with_its_version_and_goes_when_profiling_is_withdrawn(
    database_url, settings
):
    """Under the schema that this release ships: `/v1/profiles`, its batch form and the wake-up list."""
    registry = load_registry()
    tags = pl.DataFrame({"consumer_id": ["c1", "c2"], "as_of": [AS_OF] * 2}).with_columns(
        pl.lit(None).alias(name) for name in registry.tags
    )
    said = {
        "churn_probability_28d": [0.7, 0.1],
        "churn_probability_28d_by": ["lifecycle_churn version 3"] * 2,
        "price_sensitivity_365d": [-1.5, None],
        "price_sensitivity_365d_by": ["pricing_elasticity version 2", None],
    }
    predicted = pl.concat(
        [predicted_schema.to_frame(), pl.DataFrame({"consumer_id": ["c1", "c2"], **said})], how="diagonal"
    )
    tables = small_tables()
    tables["profiles"] = profile_documents(tags, predicted=predicted).rows()
    publish(database_url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="operator", scopes=list(Scope)).secret
    with TestClient(create_app(settings.model_copy(update={"as_of": AS_OF}), database_url)) as client:
        shop = Shop(client, key)

        def told(consumer_id):
            one = shop.get(f"/v1/profiles/{consumer_id}").json()["tags"]
            batch = shop.get("/v1/profiles", consumer_id=[consumer_id]).json()["profiles"][0]["tags"]
            assert one == batch
            return {name: (one[name]["value"], one[name]["status"]) for name in [*said, "rebuy_category_14d"]}

        def woken():
            return [row["consumer_id"] for row in shop.get("/v1/wakeup-list").json()["entries"]]

        assert told("c1") == {
            "churn_probability_28d": (0.7, "present"),
            "churn_probability_28d_by": ("lifecycle_churn version 3", "present"),
            "price_sensitivity_365d": (-1.5, "present"),
            "price_sensitivity_365d_by": ("pricing_elasticity version 2", "present"),
            "rebuy_category_14d": (None, "no_source"),
        }
        assert told("c2")["price_sensitivity_365d"] == (None, "null")
        before, others = woken(), told("c2")
        assert "c1" in before
        shop.states("c1", "profiling", granted=False)
        assert set(told("c1").values()) == {(None, "withheld")}
        assert woken() == [one for one in before if one != "c1"]
        assert told("c2") == others
        shop.states("c1", "profiling", granted=True, hour=0.5)
        assert told("c1")["churn_probability_28d"] == (0.7, "present")
        assert woken() == before


def test_the_latest_statement_stands_whatever_the_order_of_arrival(shop):
    shop.states("c1", "marketing", granted=True, hour=-1)
    late = shop.states("c1", "marketing", granted=False, hour=-2)
    assert (late.json()["is_new"], late.json()["standing"]) == (True, {"marketing": True})
    assert shop.statuses("c1")["last_search"] == "present"


def test_a_statement_is_kept_once_and_never_contradicted(shop, database_url):
    shop.states("c1", "profiling", granted=False)
    again = shop.states("c1", "profiling", granted=False)
    assert (again.status_code, again.json()["is_new"]) == (200, False)
    other = shop.states("c1", "profiling", granted=True)
    assert (other.status_code, other.json()["type"]) == (409, "urn:muyun:problem:consent-contradicts")
    with psycopg.connect(libpq_url(database_url)) as connection:
        rows = connection.execute("select granted, source from consumers.consent").fetchall()
        assert rows == [(False, "app")]
        with pytest.raises(psycopg.Error, match="append-only"):
            connection.execute("update consumers.consent set granted = true")
    audited = shop.get("/v1/audit-log", action="consent.state").json()["entries"]
    assert [(entry["outcome"], entry["object_id"]) for entry in audited] == [
        ("repeated", consumer_digest("default", "c1")),
        ("done", consumer_digest("default", "c1")),
    ]


def test_faulty_statements_are_refused(shop):
    assert shop.states("c1", "service", granted=False).status_code == 422
    assert shop.states("c1", "marketing", granted=False, hour=2).status_code == 422
    assert shop.states("c1", "marketing", granted=False, source="").status_code == 422
    assert shop.statuses("c1")["last_search"] == "present"


def listed(shop):
    return [entry["consumer_id"] for entry in shop.get("/v1/wakeup-list").json()["entries"]]


def fallback(shop, consumer_id):
    return shop.get("/v1/recommendations", merchant_id="m1", consumer_id=consumer_id).json()["fallback"]


@pytest.mark.parametrize("purpose", ["marketing", "profiling"])
def test_lists_leave_out_who_withdrew(shop, purpose):
    assert listed(shop) == ["c1", "c2", "c3", LOUD]
    assert len(shop.get("/v1/consumers/c1/rebuy-reminders").json()["reminders"]) == 2
    shop.states("c1", purpose, granted=False)
    assert listed(shop) == ["c2", "c3", LOUD]
    page = shop.get("/v1/wakeup-list", merchant_id="m1", limit=1).json()
    assert [entry["consumer_id"] for entry in page["entries"]] == ["c2"]
    assert shop.get("/v1/consumers/c1/rebuy-reminders").json()["reminders"] == []
    assert fallback(shop, "c1") == ("popular_in_assortment" if purpose == "profiling" else None)
    assert fallback(shop, "c2") is None


def test_a_profile_of_an_unknown_schema_is_withheld_whole(shop):
    assert shop.statuses("c3") == {"old_tag": "present", "empty_tag": "null"}
    shop.states("c3", "profiling", granted=False)
    assert shop.statuses("c3") == {}


def text_dump(url, folder):
    """Everything the database holds, as `pg_dump` writes it, uncompressed."""
    dump(url, folder / "all.dump")
    done = subprocess.run(
        [str(binary("pg_restore")), "--file=-", str(folder / "all.dump")], capture_output=True, check=True
    )
    return done.stdout


def fill(url, consumer_id):
    """A row of the person in every table that can hold one; returns the columns that name consumers."""
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute(
            "insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, channel,"
            " source, status, placed_at, payable_cents) values"
            " ('default', 'o1', 'm1', %s, 'store', 'api', 'completed', '2017-12-01T00:00:00Z', 100)",
            (consumer_id,),
        )
        connection.execute(
            "insert into orders.recipient values ('default', 'o1', 'sealed', 'sealed', 'sealed', null)"
        )
        connection.execute(
            "insert into ops.idempotency (tenant_id, caller, operation, idempotency_key, request_hash,"
            " response) values ('default', 'merchant:m1', 'order.place', 'k1', 'h',"
            " jsonb_build_object('consumer_id', %s::text))",
            (consumer_id,),
        )
        connection.execute(
            "insert into agents.agent (tenant_id, agent_id, merchant_id, joined_on, own_consumer_id)"
            " values ('default', 'a1', 'm1', '2017-01-01', %s)",
            (consumer_id,),
        )
        connection.execute(
            "insert into agents.referral (tenant_id, merchant_id, consumer_id, agent_id, referred_at)"
            " values ('default', 'm1', %s, 'a1', '2017-12-01T00:00:00Z')",
            (consumer_id,),
        )
        connection.execute(
            "insert into ledger.account (tenant_id, kind, party_type, party_id, unit, has_balance_row)"
            " values ('default', 'consumer_points', 'consumer', %s, 'PT', true)",
            (consumer_id,),
        )
        connection.execute(
            "insert into coupons.programme (tenant_id, programme_id, issuer_type, issuer_id, name, terms,"
            " terms_digest, budget_cents, budget_count, valid_from, valid_to, status, opened_at, opened_by)"
            " values ('default', 'cp', 'platform', '', 'n', '{}', '', 1, 1, '2017-01-01', '2019-01-01',"
            " 'active', '2017-01-01', 'k')"
        )
        connection.execute(
            "insert into coupons.coupon (tenant_id, code, programme_id, consumer_id, max_uses, issued_at,"
            " expires_at) values ('default', 'CODE', 'cp', %s, 1, '2017-01-01', '2019-01-01')",
            (consumer_id,),
        )
        connection.execute(
            "insert into journeys.version (tenant_id, journey_id, version, document, digest, state, made_by,"
            " made_at) values ('default', 'wake', 1, '{}', '', 'draft', 'k', '2017-01-01')"
        )
        (run_id,) = connection.execute(
            "insert into journeys.run (tenant_id, journey_id, version, consumer_id, spell, arm, entered_at,"
            " step, arrived_at, due_at) values ('default', 'wake', 1, %s, 's', 'treated', '2017-12-01', 'a',"
            " '2017-12-01', '2017-12-02') returning run_id",
            (consumer_id,),
        ).fetchone()
        connection.execute(
            "insert into journeys.message (tenant_id, run_id, step, journey_id, consumer_id, channel,"
            " purpose, body, sku_ids, decided_at, state, next_try_at) values ('default', %(run)s, 'a',"
            " 'wake', %(consumer)s, 'sms', 'marketing', %(consumer)s, '{}', '2017-12-01', 'waiting',"
            " '2017-12-01')",
            {"run": run_id, "consumer": consumer_id},
        )
        connection.execute(
            "insert into journeys.task (tenant_id, run_id, step, journey_id, consumer_id, title, sku_ids,"
            " asked_at, due_at, state) values ('default', %s, 'b', 'wake', %s, 'Call', '{}', '2017-12-01',"
            " '2017-12-02', 'open')",
            (run_id, consumer_id),
        )
        connection.execute(
            "insert into journeys.opt_out values ('default', %s, 'sms', '2017-12-01')", (consumer_id,)
        )
        connection.execute(
            "insert into links.destination (tenant_id, merchant_id, destination_id, url, made_by, made_at)"
            " values ('default', 'm1', 'home', 'https://shop.example.com/', 'k', '2017-01-01')"
        )
        connection.execute(
            "insert into links.link (tenant_id, link_id, merchant_id, channel, campaign, destination_id,"
            " made_by, made_at, expires_at) values ('default', 'l1', 'm1', 'sms', 'c', 'home', 'k',"
            " '2017-01-01', '2019-01-01')"
        )
        connection.execute(
            "insert into links.click (tenant_id, click_id, link_id, occurred_at, consumer_id, named_at)"
            " values ('default', 'k1', 'l1', '2017-12-01', %s, '2017-12-01')",
            (consumer_id,),
        )
        connection.execute(
            "insert into experiments.experiment (tenant_id, experiment_id, document, digest, surface, unit,"
            " layer, weights, held_arms, state, made_by, made_at) values ('default', 'x', '{}', '',"
            " 'coupons', 'consumer', 'l', '[]', '{}', 'draft', 'k', '2017-01-01')"
        )
        connection.execute(
            "insert into experiments.exposure (tenant_id, experiment_id, unit, unit_id, arm, exposed_at)"
            " values ('default', 'x', 'consumer', %s, 'a', '2017-12-01')",
            (consumer_id,),
        )
        connection.execute(
            "insert into journeys.reaction (tenant_id, source, reaction_id, consumer_id, kind, occurred_at,"
            " stands) values ('default', 'feed', 'r', %s, 'order', '2017-12-01', true)",
            (consumer_id,),
        )
        connection.execute(
            "insert into feedback.message (tenant_id, feedback_id, merchant_id, consumer_id, text,"
            " occurred_at, received_at, is_verified) values ('default', 'f1', 'm1', %(consumer)s,"
            " 'by ' || %(consumer)s, '2017-12-01', '2017-12-01', false)",
            {"consumer": consumer_id},
        )
        connection.execute(
            "insert into members.programme (tenant_id, version, document, digest, state, made_by, made_at)"
            " values ('default', 1, '{}', '', 'draft', 'k', '2017-01-01')"
        )
        for statement in (
            "members.standing (tenant_id, consumer_id, level, growth, spell, since, period_ends_on,"
            " joined_on) values ('default', %s, 'gold', 1, 1, '2017-12-01', '2018-12-01', '2017-12-01')",
            "members.change (tenant_id, consumer_id, changed_at, cause, level, growth, spell,"
            " period_ends_on, is_at_risk, programme_version) values ('default', %s, '2017-12-01', 'joined',"
            " 'gold', 1, 1, '2018-12-01', false, 1)",
            "members.notice (tenant_id, consumer_id, at_risk_since, told_at, way, told_by)"
            " values ('default', %s, '2017-12-01', '2017-12-01', 'person', 'k')",
            "members.benefit (tenant_id, consumer_id, spell, level, programme_id, coupon_code, given_at)"
            " values ('default', %s, 1, 'gold', 'cp', 'CODE', '2017-12-01')",
        ):
            connection.execute(f"insert into {statement}", (consumer_id,))
        connection.execute(
            "insert into communities.community (tenant_id, community_id, merchant_id, title, theme, rules,"
            " owner_type, owner_id, made_by, made_at) values ('default', 'g1', 'm1', 't', 't', 'r',"
            " 'merchant', 'm1', 'k', '2017-01-01')"
        )
        connection.execute(
            "insert into communities.member (tenant_id, merchant_id, community_id, consumer_id, joined_at,"
            " via) values ('default', 'm1', 'g1', %s, '2017-12-01', 'x')",
            (consumer_id,),
        )
        connection.execute(
            "insert into promotions.promotion (tenant_id, promotion_id, merchant_id, kind, title, sku_ids,"
            " starts_at, ends_at, min_goods_cents, per_consumer_qty, programme_id, status, made_by, made_at)"
            " values ('default', 'p1', 'm1', 'threshold', 't', '{}', '2017-01-01', '2019-01-01', 0, 1,"
            " 'cp', 'proposed', 'k', '2017-01-01')"
        )
        connection.execute(
            "insert into promotions.claim (tenant_id, order_id, promotion_id, consumer_id, qty, state,"
            " taken_at) values ('default', 'o1', 'p1', %s, 1, 'taken', '2017-12-01')",
            (consumer_id,),
        )
        connection.execute(
            "insert into coupons.redemption (tenant_id, order_id, code, programme_id, consumer_id,"
            " discount_cents, redeemed_at) values ('default', 'o1', 'CODE', 'cp', %s, 1, '2017-12-01')",
            (consumer_id,),
        )
        rows = connection.execute(
            "select table_schema || '.' || table_name, column_name from information_schema.columns"
            " where column_name like '%consumer_id' and table_name <> 'standing_consent' order by 1"
        )
        return rows.fetchall()


def event(consumer_id, event_id):
    return {
        "event_id": event_id,
        "session_id": "s",
        "event_type": "view",
        "occurred_at": AS_OF.isoformat(),
        "consumer_id": consumer_id,
    }


def test_an_erased_person_is_nowhere_in_the_database(shop, database_url, tmp_path):
    columns = fill(database_url, LOUD)
    with psycopg.connect(libpq_url(database_url)) as connection:
        connection.execute(
            "update orders.customer_order set snapshot = jsonb_build_object('consumer_id', consumer_id)"
        )
    publish_delta(database_url, Delta("v1", 1, {"15m": AS_OF}, profiles=[(LOUD, {"last_search": "tea"})]))
    publish_delta(database_url, Delta("v1", 2, {"15m": AS_OF}, profiles=[("c1", {"referred_by": LOUD})]))
    shop.states(LOUD, "marketing", granted=True)
    link = {"consumer_id": LOUD, "valid_from": "2017-12-01T00:00:00Z", "evidence": "login"}
    assert shop.post("/v1/identity/visitors/visitor-5502/links", link).status_code == 200
    anonymous = {**event(None, "e0"), "anonymous_id": "visitor-5502"}
    assert shop.post("/v1/events", {"events": [anonymous]}).json()["accepted"] == 1
    assert shop.post("/v1/events", {"events": [event(LOUD, "e1")]}).json()["accepted"] == 1
    assert shop.get(f"/v1/consumers/{LOUD}/profile").status_code == 200
    with psycopg.connect(libpq_url(database_url)) as connection:
        empty = [
            (table, column)
            for table, column in columns
            if not connection.execute(f"select 1 from {table} where {column} = %s", (LOUD,)).fetchone()
        ]
    assert empty == []  # the search below looks at every kind of row that names a consumer
    assert LOUD.encode() in text_dump(database_url, tmp_path)

    answer = shop.post(f"/v1/consumers/{LOUD}/erasure")
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert (done["is_new"], done["anonymised_rows"]) == (True, 16)
    assert shop.get(f"/v1/consumers/{LOUD}/profile").status_code == 404
    assert listed(shop) == ["c1", "c2", "c3"]
    everything = text_dump(database_url, tmp_path)
    assert LOUD.encode() not in everything
    assert b"visitor-5502" not in everything
    assert done["pseudonym"].encode() in everything
    with psycopg.connect(libpq_url(database_url)) as connection:
        order = connection.execute("select consumer_id, payable_cents from orders.customer_order").fetchone()
        account = connection.execute("select party_id from ledger.account where party_type = 'consumer'")
        assert (order, account.fetchone()) == ((done["pseudonym"], 100), (done["pseudonym"],))
    assert holds(database_url, "v1")  # no need to load the version again
    again = shop.post(f"/v1/consumers/{LOUD}/erasure").json()
    assert again == {
        "is_new": False,
        "pseudonym": done["pseudonym"],
        "removed_rows": 0,
        "anonymised_rows": 0,
    }


def test_an_erased_person_does_not_come_back(shop, database_url, tmp_path):
    shop.post(f"/v1/consumers/{LOUD}/erasure")
    late = Delta(
        "v1", 1, {"15m": AS_OF}, profiles=[(LOUD, {"last_search": "tea"}), ("c1", {"last_search": "x"})]
    )
    assert publish_delta(database_url, late).profiles == 1
    tables = small_tables("v2")
    tables["profiles"].append((LOUD, tables["profiles"][0][1], SCHEMA.fingerprint, AS_OF))
    tables["recommendations"] += [
        ("m1", LOUD, rank, f"m1-s{rank}", 1.0, "repeat", "v1", 0.5) for rank in (1, 2, 3)
    ]
    result = publish(database_url, manifest_of("v2", tables), tables)
    assert result.loaded["profiles"] == len(tables["profiles"]) - 1
    assert holds(database_url, "v2")
    refused = shop.post("/v1/events", {"events": [event(LOUD, "e2"), event("c1", "e3")]}).json()
    assert (refused["accepted"], [item["reason"] for item in refused["refusals"]]) == (1, ["consumer_erased"])
    assert shop.states(LOUD, "marketing", granted=True).status_code == 410
    assert shop.get(f"/v1/consumers/{LOUD}/profile").status_code == 404
    assert LOUD.encode() not in text_dump(database_url, tmp_path)


def test_nothing_new_is_written_about_an_erased_person(shop, database_url, tmp_path):
    shop.post(f"/v1/consumers/{LOUD}/erasure")
    joining = {"agent_id": "late", "merchant_id": "m1", "name": "Late", "joined_on": "2017-12-01"}
    link = {"consumer_id": LOUD, "valid_from": "2017-12-01T00:00:00Z", "evidence": "login"}
    for path, body in (
        ("/v1/agents", {**joining, "own_consumer_id": LOUD}),
        ("/v1/identity/visitors/v-1/links", link),
    ):
        answer = shop.post(path, body)
        assert (answer.status_code, answer.json()["type"]) == (410, "urn:muyun:problem:consumer-erased"), path
        assert "another consumer_id" in answer.json()["remedy"]
    assert shop.post("/v1/agents", joining).status_code == 201
    made = shop.post("/v1/invitations", {"agent_id": "late"}, **{"Idempotency-Key": "late"}).json()
    assert shop.post(f"/v1/invitations/{made['token']}/bind", {"consumer_id": LOUD}).status_code == 410
    assert LOUD.encode() not in text_dump(database_url, tmp_path)


def test_an_erasure_during_a_publication_holds_for_it(shop, database_url):
    tables = small_tables("v2")
    tables["profiles"].append((LOUD, tables["profiles"][0][1], SCHEMA.fingerprint, AS_OF))

    def profiles():
        yield from tables["profiles"]
        assert shop.post(f"/v1/consumers/{LOUD}/erasure").status_code == 200

    publish(database_url, manifest_of("v2", tables), {**tables, "profiles": profiles()})
    with psycopg.connect(libpq_url(database_url)) as connection:
        found = connection.execute("select count(*) from scores.profiles where consumer_id = %s", (LOUD,))
        assert found.fetchone() == (0,)
    assert holds(database_url, "v2")


def test_an_erasure_waits_for_the_orders_under_way(shop, database_url):
    fill(database_url, LOUD)
    with psycopg.connect(libpq_url(database_url)) as connection:
        connection.execute("update orders.customer_order set status = 'paid'")
    answer = shop.post(f"/v1/consumers/{LOUD}/erasure")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:muyun:problem:orders-under-way")
    assert shop.get(f"/v1/consumers/{LOUD}/profile").status_code == 200


def test_a_replica_that_is_behind_holds_no_decision_up(database_url, other_database_url, settings):
    """The other database stands for a replica that has heard of nothing since the publication."""
    tables = small_tables()
    for url in (database_url, other_database_url):
        publish(url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="operator", scopes=list(Scope)).secret
    behind = settings.model_copy(update={"as_of": AS_OF, "database_read_url": other_database_url})
    with TestClient(create_app(behind, database_url, ProfileReader(SERVICE))) as client:
        shop = Shop(client, key)
        shop.states("c1", "marketing", granted=False)
        shop.states("c1", "profiling", granted=False)
        assert shop.statuses("c1")["last_search"] == "withheld"
        assert listed(shop) == ["c2", "c3"]
        assert fallback(shop, "c1") == "popular_in_assortment"
        assert shop.get("/v1/consumers/c1/rebuy-reminders").json()["reminders"] == []
        members = shop.get("/v1/segments/loyal").json()["members"]
        assert [member["consumer_id"] for member in members] == ["c2", "c4"]
        shop.post("/v1/consumers/c2/erasure")
        assert shop.get("/v1/profiles/c2").status_code == 404
        assert listed(shop) == ["c3"]
