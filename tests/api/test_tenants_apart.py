"""Two tenants in one database: what one published and recorded, nobody of the other reads or changes."""

import json
import re
from datetime import timedelta

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables
from role_matrix import PARTY_ROLES, endpoints_of, request_of
from small_market import Shop

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.posting import Line, Posting, post
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import current, list_versions, publish, rollback
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("tenants_apart")  # one world for all, in order

FIRST, OTHER = "default", "other"
MARK = "zq9"
"""Stands in every id and text of the first tenant, and nowhere else."""
PARTIES = {"merchant": f"{MARK}m1", "supplier": f"{MARK}s-69", "agent": f"{MARK}agent"}
WITHOUT_TENANT = {
    "consumers.change": "counts consents and erasures of all; a number, read to see that something changed",
    "ledger.account_kind": "kinds of accounts, a part of the program",
    "ledger.chain_block": "the chain over all postings: hashes and counts, no privilege for the application",
    "ledger.mark": "up to which transaction a job has seen everything; a number",
    "scores.snapshot": "found by number only; `publication_table` names the numbers, and belongs to a tenant",
    "scores.live_pointer": "found by snapshot",
    "scores.live_price": "found by snapshot",
    "scores.live_profile": "found by snapshot",
}
"""Tables that name no tenant, and why none is needed."""


def marked(value):
    """A row of `small_tables` with every id in it the first tenant's."""
    if isinstance(value, str) and re.fullmatch(
        r"[mcs]\d+|s-\d+|loyal|nobody|m\d-[sp]\d+|made by .*|v1", value
    ):
        return MARK + value
    if isinstance(value, str) and value.startswith("{") and "summary" in value:
        return json.dumps({"summary": f"{MARK} made it", "steps": []})
    return value


def of_the_first():
    return {name: [tuple(map(marked, row)) for row in rows] for name, rows in small_tables().items()}


PLANTED = (
    "insert into orders.after_sale (tenant_id, case_id, order_id, line_no, supplier_id, kind, reason_code,"
    " status, requested_cents, opened_at) values (%(tenant)s, %(mark)s || 'case', %(mark)s || 'order', 1,"
    " %(supplier)s, 'return', %(mark)s || 'broken', 'open', 100, now())",
    "insert into orders.webhook_endpoint (tenant_id, endpoint_id, party_type, party_id, url, secret_enc)"
    " values (%(tenant)s, %(mark)s || 'hook', 'supplier', %(supplier)s, 'https://x.test/' || %(mark)s, '')",
    "insert into settlement.hold (tenant_id, target_type, target_id, source, reason_code, placed_at)"
    " values (%(tenant)s, 'order', %(mark)s || 'order', 'operator', %(mark)s || 'look', now())",
    "insert into agents.violation (tenant_id, agent_id, points, reason_code, reference, occurred_at,"
    " expires_at) values (%(tenant)s, %(agent)s, 1, %(mark)s || 'late', 'r', now(), now())",
    "insert into settlement.payout_batch (tenant_id, batch_id, prepared_at, adapter)"
    " values (%(tenant)s, %(mark)s || 'batch', now(), 'simulated')",
    "insert into settlement.payout (tenant_id, payout_id, batch_id, party_type, party_id, amount_cents,"
    " state, sent_at) values (%(tenant)s, %(mark)s || 'payout', %(mark)s || 'batch', 'supplier',"
    " %(supplier)s, 5, 'in_transit', now())",
    "insert into purchasing.purchase_order (tenant_id, purchase_order_id, supplier_id, status, cause,"
    " placed_at, expected_on, source) values (%(tenant)s, %(mark)s || 'purchase', %(supplier)s, 'placed',"
    " 'stated', now(), now()::date, 'test')",
    "insert into purchasing.purchase_line (tenant_id, purchase_order_id, sku_id, ordered_qty,"
    " supply_price_cents) values (%(tenant)s, %(mark)s || 'purchase', %(mark)s || 'sku', 5, 1)",
    "insert into assortment.decision (tenant_id, merchant_id, sku_id, is_taken, reason_code, decided_at,"
    " until_at, version, rank, basis, propensity, category_id, supplier_id, expected_qty) values"
    " (%(tenant)s, %(merchant)s, %(mark)s || 's40', false, 'other', now(), now() + interval '90 days',"
    " %(mark)s || 'v1', 1, %(mark)s || 'rule', 1, %(mark)s || 'category', %(supplier)s, 1)",
    "insert into quality.brake (tenant_id, sku_id, held_level, reason_code, evidence, judged_at)"
    " values (%(tenant)s, %(mark)s || 'sku', 3, %(mark)s || 'line', '{}', now())",
    "insert into quality.change (tenant_id, sku_id, changed_at, from_level, to_level, cause, reason_code,"
    " evidence) values (%(tenant)s, %(mark)s || 'sku', now(), 0, 3, 'estimate', %(mark)s || 'line', '{}')",
    "insert into quality.improvement_case (tenant_id, sku_id, opened_level, opened_at)"
    " values (%(tenant)s, %(mark)s || 'sku', 3, now())",
    "insert into quality.recall (tenant_id, sku_id, reason_code, evidence, opened_at)"
    " values (%(tenant)s, %(mark)s || 'sku', %(mark)s || 'line', '{}', now())",
    "with made as (insert into supervision.listing_case (tenant_id, party_type, party_id, sku_id, level,"
    " score, evidence, opened_at, judged_at) values (%(tenant)s, 'supplier', %(supplier)s,"
    " %(mark)s || 'sku', 3, 0.9,"
    " '{}', now(), now()) returning case_id)"
    " insert into supervision.deposit (tenant_id, case_id, amount_cents, taken_at)"
    " select %(tenant)s, case_id, 1, now() from made",
    "insert into journeys.version (tenant_id, journey_id, version, document, digest, state, made_by, made_at)"
    " values (%(tenant)s, %(mark)s || 'journey', 1, '{}', 'd', 'live', %(mark)s || 'maker', now())",
    "insert into journeys.run (tenant_id, journey_id, version, consumer_id, spell, arm, entered_at, step,"
    " arrived_at, due_at) values (%(tenant)s, %(mark)s || 'journey', 1, %(mark)s || 'c1', 's', 'treated',"
    " now(), 'a', now(), now())",
    "insert into journeys.task (tenant_id, run_id, step, journey_id, consumer_id, title, sku_ids, asked_at,"
    " due_at, state) select tenant_id, run_id, 'a', journey_id, consumer_id, %(mark)s || 'call', '{}', now(),"
    " now(), 'open' from journeys.run where tenant_id = %(tenant)s",
    "insert into journeys.message (tenant_id, run_id, step, journey_id, consumer_id, channel, purpose, body,"
    " sku_ids, decided_at, state) select tenant_id, run_id, 'a', journey_id, consumer_id, 'sms', 'marketing',"
    " %(mark)s || 'text', '{}', now(), 'sent' from journeys.run where tenant_id = %(tenant)s",
    "insert into experiments.experiment (tenant_id, experiment_id, document, digest, surface, unit, layer,"
    " weights, held_arms, state, made_by, made_at) values (%(tenant)s, %(mark)s || 'experiment', '{}', 'd',"
    " 'coupons', 'consumer', 'l', '[]', '{}', 'draft', %(mark)s || 'maker', now())",
    "insert into experiments.exposure (tenant_id, experiment_id, unit, unit_id, arm, exposed_at) values"
    " (%(tenant)s, %(mark)s || 'experiment', 'consumer', %(mark)s || 'c1', 'a', now())",
    "insert into feedback.message (tenant_id, feedback_id, merchant_id, consumer_id, text, occurred_at,"
    " received_at, is_verified) values (%(tenant)s, %(mark)s || 'feedback', %(merchant)s, %(mark)s || 'c1',"
    " %(mark)s || 'words', now(), now(), false)",
    "insert into watch.alarm (tenant_id, kind, object_id, supplier_id, state, evidence, opened_at, judged_at)"
    " values (%(tenant)s, 'capacity', %(supplier)s, %(supplier)s, 'open', '{}', now(), now())",
)
"""Things of the first tenant that a path may name."""


class World:
    """One application over a database in which both tenants published."""

    def __init__(self, client, url):
        self.client, self.url, self._keys = client, url, {}

    def key(self, tenant, role, party=None):
        if (tenant, role, party) not in self._keys:
            self._keys[tenant, role, party] = issue_key(
                self.url,
                name="key",
                tenant_id=tenant,
                role=role,
                party_id=party,
                scopes=sorted(ROLE_SCOPES[Role(role)]),
            ).secret
        return self._keys[tenant, role, party]

    def ask(self, tenant, method, path, body=None, *, role="operator", party=None, headers=None, **query):
        headers = {"X-API-Key": self.key(tenant, role, party), **(headers or {})}
        return self.client.request(method, path, params=query, json=body, headers=headers)

    def number(self, table, column):
        """The newest number of a table: the first tenant's."""
        with psycopg.connect(libpq_url(self.url)) as connection:
            found = connection.execute(f"select max({column}) from {table} where tenant_id = %s", (FIRST,))
            return found.fetchone()[0]

    def rows(self, tenant):
        """A digest of everything that a tenant has, by table; published rows by the tenant's snapshots."""
        with psycopg.connect(libpq_url(self.url)) as connection:
            keyed = tables_with(connection, "tenant_id") - {"ops.api_key", "ops.audit_log"}
            scored = tables_with(connection, "snapshot_id") - {"scores.snapshot"} - keyed
            found = {}
            for table in sorted(keyed | scored):
                which = (
                    "tenant_id = %(tenant)s"
                    if table in keyed
                    else "snapshot_id in (select p.snapshot_id from scores.publication_table p"
                    " where p.tenant_id = %(tenant)s)"
                )
                query = f"select md5(string_agg(t::text, ',' order by t::text)) from {table} t where {which}"
                found[table] = connection.execute(query.encode(), {"tenant": tenant}).fetchone()[0]
            return found


def tables_with(connection, column):
    rows = connection.execute(
        "select c.table_schema || '.' || c.table_name from information_schema.columns c"
        " join information_schema.tables t using (table_schema, table_name)"
        " where c.column_name = %s and t.table_type = 'BASE TABLE'"
        " and c.table_schema not in ('pg_catalog', 'information_schema')",
        (column,),
    )
    return {row[0] for row in rows}


@pytest.fixture(scope="module")
def world(module_database_url, settings):
    """The first tenant with orders, money and scores under marked ids, the other with plain scores."""
    url = module_database_url
    publish(url, manifest_of(f"{MARK}v1", of_the_first()), of_the_first(), tenant_id=FIRST)
    plain = small_tables()
    publish(url, manifest_of("v1", plain), plain, tenant_id=OTHER)
    with Operations(url, size=2) as operations:
        shop = Shop(url, operations)
        shop.plan()
        shop.list(f"{MARK}s00", 1000, PARTIES["merchant"])
        shop.supply(PARTIES["supplier"], f"{MARK}s00", 9, price=600)
        shop.agent(PARTIES["agent"])
        for name in ("order", "paid"):
            shop.place(f"{MARK}{name}", (f"{MARK}s00", 1), merchant=PARTIES["merchant"], consumer=f"{MARK}c1")
        values = {"tenant": FIRST, "mark": MARK, **PARTIES}
        with operations.transaction(FIRST) as connection:
            for statement in PLANTED:
                connection.execute(statement, values)
            lines = (
                Line(AccountKind.PENALTY, -7),
                Line(AccountKind.AGENT_AVAILABLE, 7, Party("agent", PARTIES["agent"])),
            )
            post(connection, FIRST, Posting(f"{MARK}posting", "compensation", AS_OF, lines))
    app = create_app(settings.model_copy(update={"key_cache_s": 60.0}), url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:
        made = World(client, url)
        consent = {"purpose": "profiling", "granted": True, "source": f"{MARK}app"}
        stated = {**consent, "stated_at": (AS_OF + timedelta(minutes=1)).isoformat()}
        given = made.ask(FIRST, "POST", f"/v1/consumers/{MARK}c1/consents", stated)
        assert given.status_code == 200, given.text
        yield made


def test_every_table_belongs_to_a_tenant_or_is_listed(world):
    with psycopg.connect(libpq_url(world.url)) as connection:
        keyed = tables_with(connection, "tenant_id")
        every = {
            row[0]
            for row in connection.execute(
                "select table_schema || '.' || table_name from information_schema.tables"
                " where table_type = 'BASE TABLE'"
                " and table_schema not in ('pg_catalog', 'information_schema', 'public')"
            )
        }
        protected = {
            row[0]
            for row in connection.execute(
                "select c.oid::regclass::text from pg_class c join pg_policy p on p.polrelid = c.oid"
                " where c.relrowsecurity"
                " and pg_get_expr(p.polqual, p.polrelid) = '(tenant_id = ops.current_tenant())'"
            )
        }
        bypass = connection.execute(
            "select rolsuper or rolbypassrls from pg_roles where rolname = 'muyun_app'"
        ).fetchone()
        owned = connection.execute(
            "select count(*) from pg_class where relowner = 'muyun_app'::regrole"
        ).fetchone()
    # The owner publishes, migrates and dumps; nobody else sees past the policy, and `muyun_app` owns nothing.
    assert keyed - protected == set()
    assert (bypass, owned) == ((False,), (0,))
    by_snapshot = {table for table in every - keyed if table.startswith("scores.")}
    assert every - keyed - by_snapshot == {name for name in WITHOUT_TENANT if not name.startswith("scores.")}
    assert {name for name in WITHOUT_TENANT if name.startswith("scores.")} <= by_snapshot
    with psycopg.connect(libpq_url(world.url)) as connection:
        assert by_snapshot <= tables_with(connection, "snapshot_id")


def test_the_api_reads_scores_as_the_application(world):
    asked = world.ask(FIRST, "GET", "/v1/publications/current")
    assert asked.status_code == 200
    with psycopg.connect(libpq_url(world.url)) as connection:
        connection.execute("set role muyun_app")
        for tenant, seen in ((FIRST, [f"{MARK}v1"]), (OTHER, ["v1"]), ("nobody", []), ("", [])):
            connection.execute("select set_config('muyun.tenant', %s, false)", (tenant,))
            for table in ("publication", "current_publication"):
                rows = connection.execute(f"select version from scores.{table}").fetchall()
                assert [row[0] for row in rows] == seen
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from ops.api_key")


def test_no_route_shows_or_changes_what_belongs_to_another_tenant(world):
    document = world.client.get("/v1/openapi.json").json()
    endpoints, _ = endpoints_of(document)
    before = world.rows(FIRST)
    named = {
        **{f"{kind}_id": party for kind, party in PARTIES.items()},
        "consumer_id": f"{MARK}c1",
        "sku_id": f"{MARK}s00",
        "order_id": f"{MARK}order",
        "name": f"{MARK}loyal",
        "version": f"{MARK}v1",
        "plan_id": "cn_strict",
        "case_id": f"{MARK}case",
        "endpoint_id": f"{MARK}hook",
        "payout_id": f"{MARK}payout",
        "purchase_order_id": f"{MARK}purchase",
        "hold_id": world.number("settlement.hold", "hold_id"),
        "violation_id": world.number("agents.violation", "violation_id"),
        "transaction_id": world.number("ledger.transaction", "transaction_id"),
        "recall_id": world.number("quality.recall", "recall_id"),
        "improvement_case_id": world.number("quality.improvement_case", "case_id"),
        "listing_case_id": world.number("supervision.listing_case", "case_id"),
        "alarm_id": world.number("watch.alarm", "alarm_id"),
        "journey_id": f"{MARK}journey",
        "experiment_id": f"{MARK}experiment",
        "unit_id": f"{MARK}c1",
        "task_id": world.number("journeys.task", "task_id"),
        "feedback_no": world.number("feedback.message", "number"),
    }
    things = {
        "case_id", "endpoint_id", "payout_id", "hold_id", "violation_id", "transaction_id", "order_id",
        "recall_id", "improvement_case_id", "listing_case_id", "purchase_order_id", "task_id",
        "experiment_id", "alarm_id", "feedback_no",
    }  # fmt: skip
    told = {
        *named.values(),
        *PARTIES.values(),
    }  # the other tenant says these itself, and may read that it did
    shown, answered = [], 0
    for endpoint in endpoints:
        for role in ("operator", "auditor", *PARTY_ROLES):
            if role not in endpoint.roles:
                continue
            party = PARTIES.get(role)
            of_role = {"party_type": role if party else "supplier", "party_id": party or PARTIES["supplier"]}
            path, query, headers = request_of(document, endpoint, {**named, **of_role})
            if endpoint.method != "get":
                headers["Idempotency-Key"] = f"{role}-{endpoint.name}"[:60]
            answer = world.ask(
                OTHER, endpoint.method.upper(), path, endpoint.body,
                role=role, party=party, headers=headers, **query,
            )  # fmt: skip
            answered += 1
            words = set(re.findall(rf"{MARK}[\w.-]*", answer.text)) - told
            thing = things & set(re.findall(r"\{(\w+)", endpoint.path))
            if words:
                shown.append(f"{role} {endpoint.name}: {sorted(words)}")
            if answer.status_code >= 500 or (thing and answer.status_code < 400):
                shown.append(f"{role} {endpoint.name}: {answer.status_code} {answer.text[:200]}")
    assert shown == []
    assert answered > 100
    after = world.rows(FIRST)
    assert [table for table in before if before[table] != after[table]] == []


def test_the_walk_would_see_what_it_looks_for(world):
    """The same questions by the first tenant's own keys are answered with its rows."""
    for path, word in (
        (f"/v1/profiles/{MARK}c1", f"{MARK}c1"),
        (f"/v1/segments/{MARK}loyal", f"{MARK}c2"),
        ("/v1/publications", f"{MARK}v1"),
        ("/v1/wakeup-list", f"{MARK}c3"),
        (f"/v1/orders/{MARK}order", f"{MARK}order"),
    ):
        mine = world.ask(FIRST, "GET", path)
        assert mine.status_code == 200, mine.text
        assert word in mine.text
        theirs = world.ask(OTHER, "GET", path)
        if "{" not in path and path.count(MARK):
            assert theirs.status_code == 404, theirs.text
        else:
            assert MARK not in theirs.text


def test_a_cursor_of_another_tenant_finds_nothing(world):
    page = world.ask(FIRST, "GET", f"/v1/segments/{MARK}loyal", limit=1).json()
    assert page["next_cursor"]
    answer = world.ask(OTHER, "GET", f"/v1/segments/{MARK}loyal", limit=1, cursor=page["next_cursor"])
    assert answer.status_code == 410
    assert set(re.findall(rf"{MARK}[\w.-]*", answer.text)) <= {f"{MARK}v1", f"{MARK}loyal"}  # as it asked


def test_a_publication_a_delta_and_a_rollback_are_one_tenants(world):
    url = world.url
    before = world.rows(FIRST)
    again = small_tables("v2")
    publish(url, manifest_of("v2", again), again, tenant_id=OTHER)
    publish_delta(url, Delta("v2", 1, {"15m": AS_OF}, profiles=[("c1", {"a": 1})]), tenant_id=OTHER)
    assert current(url, tenant_id=OTHER).version == "v2"
    assert rollback(url, tenant_id=OTHER) == "v1"
    assert [one.version for one in list_versions(url, tenant_id=FIRST)] == [f"{MARK}v1"]
    assert not current(url, tenant_id=FIRST).is_pinned
    assert world.rows(FIRST) == before


def test_an_erasure_reaches_no_namesake_at_another_tenant(world):
    """Both tenants know a consumer of the same id; only the one who asked is erased, in memory as well."""
    url, both = world.url, f"{MARK}c1"
    tables = of_the_first()
    publish(url, manifest_of(f"{MARK}v1", tables), tables, tenant_id="third")
    before = world.rows(FIRST)
    read = [world.ask(tenant, "GET", f"/v1/profiles/{both}") for tenant in (FIRST, "third")]
    assert [answer.status_code for answer in read] == [200, 200]
    erased = world.ask("third", "POST", f"/v1/consumers/{both}/erasure")
    assert erased.status_code == 200, erased.text
    assert erased.json()["removed_rows"] > 0
    read = [world.ask(tenant, "GET", f"/v1/profiles/{both}") for tenant in (FIRST, "third")]
    assert [answer.status_code for answer in read] == [200, 404]
    assert world.rows(FIRST) == before
