"""`POST /v1/routes/plan` through the door: a plan, its audit line, problems by name, and a busy planner."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from serving.db.urls import libpq_url
from serving.delivery_routes.errors import PlannerBusyError
from serving.security import Role, Scope, issue_key

EIGHT = datetime(2026, 3, 2, 8, tzinfo=UTC)


def body(**more):
    return {
        "depots": [{"depot_id": "d", "latitude": 31.2, "longitude": 121.5}],
        "stops": [{"stop_id": "s1", "latitude": 31.3, "longitude": 121.5, "delivery": 1}],
        "vehicles": [
            {
                "vehicle_id": "v",
                "depot_id": "d",
                "capacity": 10,
                "starts_at": EIGHT.isoformat(),
                "ends_at": (EIGHT + timedelta(hours=8)).isoformat(),
            }
        ],
        "seconds": 0.2,
        **more,
    }


@pytest.fixture(scope="module")
def send(client, scores_url):
    keys = {
        Role.OPERATOR: issue_key(scores_url, name="operator", scopes=list(Scope)).secret,
        Role.MERCHANT: issue_key(scores_url, name="m1", scopes=["fulfilment:read"], merchant_id="m1").secret,
    }
    return lambda sent, role=Role.OPERATOR: client.post(
        "/v1/routes/plan", json=sent, headers={"X-API-Key": keys[role]}
    )


def test_a_plan_is_made_and_noted(send, scores_url):
    answer = send(body())
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert [visit["stop_id"] for route in plan["routes"] for visit in route["visits"]] == ["s1"]
    assert (plan["distance_m"], plan["cost_cents"], plan["unserved"]) == (28_910, 5_782, [])
    with psycopg.connect(libpq_url(scores_url)) as connection:
        noted = connection.execute(
            "select details from ops.audit_log where action = 'delivery_routes.plan'"
        ).fetchall()
    assert noted == [({"stops": 1, "routes": 1, "unserved": 0},)]


@pytest.mark.parametrize(
    ("more", "slug"),
    [
        ({"stops": [{"stop_id": "s1", "delivery": 1}]}, "no-coordinates"),
        (
            {"stops": [{"stop_id": "s1", "latitude": 31.3, "longitude": 121.5, "delivery": 11}]},
            "demand-too-large",
        ),
        (
            {
                "stops": [
                    {
                        "stop_id": "s1",
                        "latitude": 31.3,
                        "longitude": 121.5,
                        "opens_at": "2026-03-02T10:00:00Z",
                        "closes_at": "2026-03-02T09:00:00Z",
                    }
                ]
            },
            "empty-window",
        ),
        (
            {"stops": [{"stop_id": "s1", "latitude": -31.3, "longitude": 121.5}]},
            "unreachable-stop",
        ),
    ],
)
def test_what_cannot_be_planned_is_named(send, more, slug):
    answer = send(body(**more))
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"].endswith(f":{slug}")
    assert "'s1'" in problem["detail"]


def test_more_than_the_bounded_number_of_stops_is_refused(send):
    stops = [{"stop_id": f"s{n}", "latitude": 31.3, "longitude": 121.5} for n in range(501)]
    assert send(body(stops=stops)).status_code == 422
    assert send(body(seconds=21)).status_code == 422


def test_a_merchant_has_no_vehicles(send):
    assert send(body(), Role.MERCHANT).status_code == 403


def test_a_busy_planner_says_when_to_ask_again(send, client, monkeypatch):
    def busy(_):
        raise PlannerBusyError("all planning processes are at work")

    monkeypatch.setattr(client.app.state.route_planner, "plan", busy)
    answer = send(body())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"].endswith("route-planner-unavailable")
