"""Over HTTP: the history of a supplier's grades by page, and an accepted pair taken back by two people."""

from datetime import timedelta

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.urls import libpq_url
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.supply.grade_history import HeldGrade, keep_grades
from serving.supply.matches import Match, ask_matches, matches_in_force

pytestmark = pytest.mark.xdist_group("supply_history")  # one database and application for all

TENANT = "default"


class Desk:
    def __init__(self, client, url):
        self.client, self.url, self.keys = client, url, {}

    def ask(self, who, method, path, body=None, status=200):
        role, _, party = who.partition(":")
        if who not in self.keys:
            scopes = sorted(ROLE_SCOPES[Role(role.split("-")[0])])
            made = issue_key(
                self.url, name=who, role=role.split("-")[0], party_id=party or None, scopes=scopes
            )
            self.keys[who] = made.secret
        headers = {"X-API-Key": self.keys[who]}
        answer = self.client.request(method, f"/v1{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def desk(module_database_url, settings):
    tables = small_tables()
    publish(module_database_url, manifest_of("v1", tables), tables)
    with TestClient(create_app(settings, module_database_url, ProfileReader(SCHEMA))) as client:
        yield Desk(client, module_database_url)


def test_a_supplier_reads_its_own_history_page_by_page(desk):
    with psycopg.connect(libpq_url(desk.url)) as conn:
        for day, grade in enumerate("ABC"):
            held = [HeldGrade("h-1", "", grade, None, 0.5), HeldGrade("h-1", "milk", "A", None, 0.8)]
            keep_grades(conn, TENANT, held, AS_OF + timedelta(days=day))
    path = "/suppliers/h-1/grade-changes"
    first = desk.ask("supplier:h-1", "GET", f"{path}?limit=2")
    assert [one["grade"] for one in first["changes"]] == ["C", "B"]
    rest = desk.ask("supplier:h-1", "GET", f"{path}?limit=2&cursor={first['next_cursor']}")
    assert ([one["grade"] for one in rest["changes"]], rest["next_cursor"]) == (["A"], None)
    (channel,) = desk.ask("auditor", "GET", f"{path}?category_id=milk")["changes"]
    assert (channel["grade"], channel["category_id"]) == ("A", "milk")
    desk.ask("supplier:h-2", "GET", path, status=403)
    assert desk.ask("operator", "GET", "/suppliers/nobody/grade-changes")["changes"] == []


def test_an_accepted_pair_is_taken_back_by_two_people(desk):
    def force():
        with psycopg.connect(libpq_url(desk.url)) as conn:
            return matches_in_force(conn, TENANT)

    def approve(who, status=200):
        (one,) = desk.ask(who, "GET", "/approvals?kind=product_match&state=pending")["approvals"]
        seen = {"approval_id": one["approval_id"], "version": one["version"], "digest": one["digest"]}
        path = f"/approvals/{one['approval_id']}/approve"
        return desk.ask(who, "POST", path, {name: seen[name] for name in ("version", "digest")}, status)

    undo = {"sku_id": "p-1", "stands_for_id": "p-2", "reason_code": "another_size"}
    desk.ask("operator-1", "POST", "/product-matches/undo", undo, status=404)
    with psycopg.connect(libpq_url(desk.url)) as conn:
        assert ask_matches(conn, TENANT, [Match("p-1", "p-2", 90, True)], "titles", AS_OF) == 1
    approve("operator-1")
    assert force() == {"p-1": "p-2"}
    desk.ask("operator-1", "POST", "/product-matches/undo", undo | {"reason_code": "mood"}, status=422)
    waiting = desk.ask("operator-1", "POST", "/product-matches/undo", undo, status=202)
    again = desk.ask("operator-1", "POST", "/product-matches/undo", undo, status=202)
    assert waiting["approval_id"] == again["approval_id"]
    approve("operator-1", status=403)
    assert force() == {"p-1": "p-2"}
    approve("operator-2")
    assert force() == {}
