"""Short links through their routes: where they lead, who may make them, whose a click was, what stays."""

import datetime as dt
import threading
import uuid

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA

from feature_store.online import ProfileReader
from pipelines.sources.recorded.reading import snapshot, versions_since
from pipelines.sources.recorded.streams import RECORDED
from serving.app import create_app
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("short_links")

NOW = dt.datetime(2026, 11, 9, 12, tzinfo=dt.UTC)
SHOP = "https://shop.example.com/spring?x=1"


class Desk:
    def __init__(self, url, client, settings):
        self.url, self.client, self.settings = url, client, settings
        self.keys = {
            who: issue_key(url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])).secret
            for who, role, party in (
                ("ann", Role.OPERATOR, None),
                ("m1", Role.MERCHANT, "m1"),
                ("m2", Role.MERCHANT, "m2"),
            )
        }

    def ask(self, who, method, path, body=None, status=200, **query):
        headers = {"X-API-Key": self.keys[who], "Idempotency-Key": query.pop("key", uuid.uuid4().hex)}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    def link(self, who="m1", status=201, key=None, **changes):
        body = {"channel": "wecom", "campaign": "spring", "destination_id": "home", **changes}
        query = {} if key is None else {"key": key}
        return self.ask(who, "POST", "/links", body, status, **query).json()

    def follow(self, link, status=302, **query):
        path = link["address"].removeprefix(self.settings.link_base)
        answer = self.client.get(path, params=query, follow_redirects=False)
        assert answer.status_code == status, answer.text
        return answer

    def clicked(self, link):
        return self.follow(link).headers["location"].rpartition("muyun_click=")[2]

    def name(self, click, status=200, who="m1", **said):
        return self.ask(who, "POST", f"/link-clicks/{click}/visitor", said, status).json()

    def sql(self, query, *parameters):
        with psycopg.connect(libpq_url(self.url)) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def touches(self):
        (stream,) = [one for one in RECORDED["feeds"] if one.table == "touches"]
        with snapshot(self.url, "test", "default") as connection:
            return versions_since(connection, stream, 0, replayed_origin="overlay")


@pytest.fixture(scope="module")
def desk(module_database_url, settings):
    settings = settings.model_copy(update={"as_of": NOW})
    with TestClient(create_app(settings, module_database_url, ProfileReader(SCHEMA))) as client:
        made = Desk(module_database_url, client, settings)
        for shop in ("m1", "m2"):
            made.ask("ann", "PUT", f"/merchants/{shop}/link-destinations/home", {"url": SHOP})
        yield made


def test_a_link_leads_to_its_registered_destination_whatever_the_address_says(desk):
    link = desk.link()
    answer = desk.follow(link, next="https://evil.example.org", url="//evil.example.org")
    assert answer.headers["location"].startswith(f"{SHOP}&muyun_click=lk-")
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    (shown,) = [
        one for one in desk.ask("m1", "GET", "/links").json()["links"] if one["link_id"] == link["link_id"]
    ]
    assert (shown["clicks"], shown["named_clicks"]) == (1, 0)
    # Whoever followed it is not known, so that nothing is a touch or an event yet.
    assert desk.touches().is_empty()


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.com/", "https://user@shop.example.com/", "https://shop.example.com:8443/",
        "https://localhost/", "javascript:alert(1)//xx", "https://shop.example.com/#a",
        "https://shop.example.com\\@evil.example.org/", "https:///nothing", "https://shop.example.com/#",
    ],
)  # fmt: skip
def test_what_is_no_plain_https_address_is_no_destination(desk, url):
    desk.ask("ann", "PUT", "/merchants/m1/link-destinations/bad", {"url": url}, status=422)
    desk.link(destination_id="bad", status=404)


def test_a_destination_never_changes_and_a_removed_one_leads_nowhere(desk):
    path = "/merchants/m1/link-destinations/moved"
    desk.ask("ann", "PUT", path, {"url": SHOP})
    link = desk.link(destination_id="moved")
    desk.ask("ann", "PUT", path, {"url": "https://other.example.com/"}, status=409)
    desk.ask("m1", "PUT", path, {"url": SHOP}, status=403)
    desk.ask("ann", "DELETE", path)
    assert desk.follow(link, 410).json()["type"].endswith("link-gone")
    desk.link(destination_id="moved", status=422)
    desk.ask("ann", "PUT", path, {"url": SHOP}, status=409)


def test_a_code_that_was_altered_or_guessed_and_a_row_that_was_changed_lead_nowhere(desk):
    link = desk.link()
    code = link["address"].rpartition("/")[2]
    for other in (
        f"{code[:-1]}{'A' if code[-1] != 'A' else 'B'}",
        code.partition("-")[0],
        "nobody-AAAAAAAAAAAA",
    ):
        assert desk.client.get(f"/l/{other}", follow_redirects=False).status_code == 404
    desk.sql("update links.link set campaign = 'other' where link_id = %s", link["link_id"])
    desk.follow(link, 404)


def test_links_end_and_are_revoked(desk):
    link = desk.link(expires_at="2026-11-09T12:00:01Z")
    desk.follow(link)
    desk.sql("update links.link set revoked_at = now() where link_id = %s", desk.link()["link_id"])
    revoked = desk.link()
    assert desk.ask("m1", "POST", f"/links/{revoked['link_id']}/revoke").json()["revoked_at"]
    desk.follow(revoked, 410)
    desk.link(expires_at="2026-11-09T12:00:00Z", status=422)
    desk.link(expires_at="2029-01-01T00:00:00Z", status=422)


def test_a_merchant_makes_sees_and_names_its_own_only(desk):
    link = desk.link()
    assert desk.link("m2", status=403, merchant_id="m1")["type"].endswith("merchant-out-of-scope")
    assert link["link_id"] not in {one["link_id"] for one in desk.ask("m2", "GET", "/links").json()["links"]}
    desk.ask("m2", "POST", f"/links/{link['link_id']}/revoke", status=404)
    desk.ask("m2", "GET", f"/links/{link['link_id']}/qr", status=404)
    desk.name(desk.clicked(link), 404, who="m2", anonymous_id="v1")


def test_a_link_is_made_once_under_its_key(desk):
    assert desk.link(key="same")["link_id"] == desk.link(key="same")["link_id"]
    desk.link(key="same", campaign="another", status=409)


def test_the_qr_code_carries_the_address(desk):
    link = desk.link()
    answer = desk.ask("m1", "GET", f"/links/{link['link_id']}/qr")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    import segno

    wanted = segno.make(link["address"], error="m", micro=False)
    assert answer.text.startswith("<svg")
    assert f'width="{wanted.symbol_size(8, 4)[0]}"' in answer.text
    assert "<script" not in answer.text


def test_a_named_click_is_one_event_and_one_touch(desk):
    link = desk.link(campaign="named")
    click = desk.clicked(link)
    desk.name(click, 422)
    desk.name(click, 422, consumer_id="c1", anonymous_id="v1")
    first = desk.name(click, anonymous_id="v-named")
    assert first == desk.name(click, anonymous_id="v-named")
    desk.name(click, 409, anonymous_id="v-other")
    desk.name("lk-nothing", 404, anonymous_id="v1")
    events = desk.sql(
        "select event_type, merchant_id, anonymous_id, consumer_id from events.event where event_id = %s",
        click,
    )
    assert events == [("view", "m1", "v-named", None)]
    row = desk.touches().filter(touch_id=click).to_dicts()[0]
    assert (row["anonymous_id"], row["consumer_id"]) == ("v-named", None)
    assert (row["channel"], row["campaign"], row["occurred_at"]) == ("wecom", "named", NOW)


def test_a_click_is_named_once_under_a_race(desk):
    click = desk.clicked(desk.link())
    codes = []

    def say(visitor):
        answer = desk.client.post(
            f"/v1/link-clicks/{click}/visitor",
            json={"anonymous_id": visitor},
            headers={"X-API-Key": desk.keys["m1"]},
        )
        codes.append(answer.status_code)

    threads = [threading.Thread(target=say, args=(f"r{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, *[409] * 5]
    assert desk.sql("select count(*) from events.event where event_id = %s", click) == [(1,)]


def test_a_click_of_long_ago_stays_without_a_name(desk):
    click = desk.clicked(desk.link())
    desk.sql(
        "update links.click set occurred_at = occurred_at - interval '25 hours' where click_id = %s", click
    )
    desk.name(click, 409, anonymous_id="late")


def test_an_erased_person_leaves_the_clicks_and_is_named_no_more(desk):
    link = desk.link(campaign="gone")
    own, joined, other = (desk.clicked(link) for _ in range(3))
    desk.name(own, consumer_id="c-gone")
    desk.name(joined, anonymous_id="v-gone")
    desk.name(other, anonymous_id="v-stays")
    desk.sql(
        "insert into identity.edge (tenant_id, anonymous_id, consumer_id, valid_from, evidence, received_at)"
        " values ('default', 'v-gone', 'c-gone', %s, 'login', %s)",
        NOW,
        NOW,
    )
    desk.ask("ann", "POST", "/consumers/c-gone/erasure", {})
    query = "select click_id, coalesce(consumer_id, anonymous_id) from links.click where click_id = any(%s)"
    left = dict(desk.sql(query, [own, joined, other]))
    assert left == {own: None, joined: None, other: "v-stays"}
    assert set(desk.touches().filter(campaign="gone")["touch_id"]) == {other}
    desk.name(desk.clicked(link), 410, consumer_id="c-gone")
    (shown,) = [
        one for one in desk.ask("m1", "GET", "/links", limit=500).json()["links"] if one["campaign"] == "gone"
    ]
    assert (shown["clicks"], shown["named_clicks"]) == (4, 3)


def test_a_destination_is_gone_to_as_it_was_registered_to_the_byte(desk):
    """Another character set, a parameter without a value, a semicolon: the shop's own page reads them."""
    url = "https://shop.example.com/?q=%B4%BA&flag&x=a+b;c"
    desk.ask("ann", "PUT", "/merchants/m1/link-destinations/gbk", {"url": url})
    assert (
        desk.follow(desk.link(destination_id="gbk")).headers["location"].startswith(f"{url}&muyun_click=lk-")
    )


def test_a_destination_that_was_changed_in_the_database_leads_nowhere(desk):
    desk.ask("ann", "PUT", "/merchants/m1/link-destinations/stolen", {"url": SHOP})
    link = desk.link(destination_id="stolen")
    assert link["url"] == SHOP
    desk.sql("update links.destination set url = 'https://evil.example.org/' where destination_id = 'stolen'")
    desk.follow(link, 404)


def test_a_visitor_who_was_somebody_erased_since_is_not_named_for_what_was_before(desk):
    click = desk.clicked(desk.link(campaign="before"))
    desk.sql(
        "insert into identity.edge (tenant_id, anonymous_id, consumer_id, valid_from, evidence, received_at)"
        " values ('default', 'v-was', 'c-was', %s, 'login', %s)",
        NOW,
        NOW,
    )
    desk.ask("ann", "POST", "/consumers/c-was/erasure", {})
    assert desk.name(click, 410, anonymous_id="v-was")["type"].endswith("consumer-erased")
    # The same device with somebody else is another visitor.
    desk.name(click, anonymous_id="v-else")
    seen = {"session_id": "s", "event_type": "view", "anonymous_id": "v-was"}
    times = (NOW - dt.timedelta(hours=1), NOW + dt.timedelta(hours=1))
    events = [{"event_id": f"late-{n}", "occurred_at": at.isoformat()} | seen for n, at in enumerate(times)]
    told = desk.ask("m1", "POST", "/events", {"events": events}).json()
    assert [(one["index"], one["reason"], one["field"]) for one in told["refusals"]] == [
        (0, "consumer_erased", "anonymous_id")
    ]


def test_who_follows_too_fast_waits(desk):
    link = desk.link(campaign="fast")
    path = link["address"].removeprefix(desk.settings.link_base)
    codes = [desk.client.get(path, follow_redirects=False).status_code for _ in range(160)]
    assert set(codes) == {302, 429}
    assert codes.index(429) > 20
