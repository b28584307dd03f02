"""Members through their routes: the programme under four eyes, closes by the asset, notices, erasure."""

import uuid
from contextlib import contextmanager
from datetime import timedelta

import dagster as dg
import pytest
from journey_town import NOW, TENANT
from litestar.testing import TestClient
from member_town import MemberTown, programme
from two_people import approved

from pipelines.defs import members
from pipelines.graph import resources
from pipelines.settings import Settings
from serving.app import create_app
from serving.consumers.erasure import erase
from serving.db.operations import Operations
from serving.security import ROLE_SCOPES, Role, issue_key


class Desk:
    """The application over a town, with keys by role, and the step of the graph."""

    def __init__(self, client, town, folder):
        self.client, self.town, self.folder = client, town, folder
        self.keys = {
            who: issue_key(
                town.url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
            ).secret
            for who, role, party in (
                ("ann", Role.OPERATOR, None),
                ("bob", Role.OPERATOR, None),
                ("auditor", Role.AUDITOR, None),
                ("m1", Role.MERCHANT, "m1"),
            )
        }

    def ask(self, who, method, path, body=None, status=200, **query):
        headers = {"X-API-Key": self.keys[who], "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    @contextmanager
    def open(self):
        """The warehouse, as the step opens it."""
        yield self.town.files.connection

    def close(self, days=0):
        """Run the step of the graph; what it tells and its checks."""
        settings = Settings.model_construct(
            home=self.folder / "home",
            data=self.folder / "feeds",
            as_of=NOW + timedelta(days=days),
            time_zone="Asia/Shanghai",
            database_url=self.town.url,
        )
        made = resources(settings, {"warehouse": self})
        names = ("steps", "settings", "clock", "warehouse", "lake", "database")
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize(
                [members.member_levels], resources={name: made[name] for name in names}, instance=instance
            )
            (event,) = done.get_asset_materialization_events()
            checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
        return {name: one.value for name, one in event.materialization.metadata.items()}, checks


@pytest.fixture
def desk(database_url, settings, tmp_path):
    with Operations(database_url, size=6) as operations:
        town = MemberTown(database_url, operations)
        app = create_app(settings.model_copy(update={"as_of": NOW}), database_url)
        with TestClient(app) as client:
            yield Desk(client, town, tmp_path)


def test_from_the_draft_to_a_member_with_a_coupon(desk):
    town = desk.town
    told, checks = desk.close()
    assert (told["programme_version"], all(checks.values())) == (None, True)
    empty = desk.ask("auditor", "GET", "/member-levels").json()
    assert empty == {"version": None, "closed_on": None, "levels": []}
    document = desk.ask("auditor", "GET", "/member-programmes/shipped").json()["document"]
    assert desk.ask("ann", "POST", "/member-programmes", {"document": document}, 201).json()["version"] == 1
    refused = desk.ask("ann", "POST", "/member-programmes", {"document": programme("none")}, 422).json()
    assert refused["type"].endswith("member-programme-refused")
    assert "silver: coupon programme none is not in force" in refused["detail"]
    town.programme(name="silver", kind="threshold", off_cents=1_000, min_goods_cents=5_000)
    desk.ask("auditor", "POST", "/member-programmes", {"document": programme("silver")}, 403)
    draft = desk.ask("ann", "POST", "/member-programmes", {"document": programme("silver")}, 201).json()
    assert (draft["version"], draft["state"]) == (2, "draft")
    assert (
        desk.ask("bob", "POST", "/member-programmes", {"document": programme("silver")}, 201).json() == draft
    )
    desk.ask("ann", "POST", "/member-programmes/9/in-force", status=404)
    waiting = desk.ask("ann", "POST", "/member-programmes/2/in-force", status=202)
    told = {"version": waiting.json()["version"], "digest": waiting.json()["digest"]}
    desk.ask("ann", "POST", f"/approvals/{waiting.json()['approval_id']}/approve", told, 403)
    assert approved(desk.client, desk.keys["bob"], waiting).json()["effect"] == {"version": 2}
    states = [one["state"] for one in desk.ask("ann", "GET", "/member-programmes").json()["programmes"]]
    assert states == ["draft", "live"]

    town.released("o1", "a", qty=2)
    town.files.visit("b", NOW.date())
    told, checks = desk.close(20)
    assert (told["moved"], told["coupons"], told["members"]) == (
        {"joined": 2},
        1,
        {"ordinary": 1, "silver": 1},
    )
    assert desk.close(20)[0] == told | {"reused": True}
    found = desk.ask("ann", "GET", "/members/a").json()
    assert (found["level"], found["growth"], found["next_level"], found["growth_to_next"]) == (
        "silver", 398, "gold", 1_602,
    )  # fmt: skip
    assert (found["coupon"], found["joined_on"], found["closed_on"]) == ("silver", "2026-11-22", "2026-11-22")
    assert [one["cause"] for one in found["history"]] == ["joined"]
    (given,) = found["benefits"]
    # The code is one of the programme's and takes off what the programme says.
    town.place("o2", ("s1", 1), consumer="a", at=town.now, coupon_codes=[given["coupon_code"]])
    assert town.read("o2")[0].coupon_discount_cents == 1_000
    levels = desk.ask("auditor", "GET", "/member-levels").json()
    assert [(one["level"], one["members"], one["coupon"]) for one in levels["levels"]] == [
        ("ordinary", 1, None),
        ("silver", 1, "silver"),
        ("gold", 0, None),
    ]
    page = desk.ask("ann", "GET", "/members", limit=1).json()
    rest = desk.ask("ann", "GET", "/members", limit=1, cursor=page["next_cursor"]).json()
    assert [one["consumer_id"] for one in page["members"] + rest["members"]] == ["a", "b"]
    assert desk.ask("ann", "GET", "/members", level="silver").json()["members"] == page["members"]
    desk.ask("m1", "GET", "/members/a", status=403)
    desk.ask("auditor", "GET", "/members/a", status=403)
    assert desk.ask("ann", "GET", "/members/zz", status=404).json()["type"].endswith("member-not-found")


def test_a_member_at_risk_is_told_by_hand_and_an_erased_one_is_gone(desk):
    town = desk.town
    town.members()
    town.files.line("f1", "a", town.day_ago(360), 40_000)
    desk.close()
    assert (
        desk.ask("ann", "POST", "/members/a/notice", status=409).json()["type"].endswith("member-not-at-risk")
    )
    _, checks = desk.close(50)
    assert not checks["every_member_at_risk_is_told"]
    (silver,) = [one for one in desk.ask("ann", "GET", "/member-levels").json()["levels"] if one["at_risk"]]
    assert (silver["level"], silver["not_told"]) == ("silver", 1)
    at_risk = desk.ask("ann", "GET", "/members", at_risk=True).json()["members"]
    assert [one["consumer_id"] for one in at_risk] == ["a"]
    first = desk.ask("ann", "POST", "/members/a/notice").json()
    assert desk.ask("bob", "POST", "/members/a/notice").json() == first
    assert desk.ask("ann", "GET", "/members/a").json()["told_at"] == first["told_at"]
    told, checks = desk.close(65)
    assert checks["every_member_at_risk_is_told"]
    assert told["moved"] == {"down": 1}
    log = desk.town.sql("select count(*) from ops.audit_log where object_id = 'a'")
    assert log == [(0,)]
    town.act(erase, "a", NOW)
    desk.ask("ann", "GET", "/members/a", status=404)
    assert desk.close(66)[0]["members"] == {}
    assert town.sql("select count(*) from members.change where tenant_id = %(t)s", t=TENANT) == [(0,)]
