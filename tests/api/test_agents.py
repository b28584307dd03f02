import pytest

from serving.security import Scope, issue_key

JOINED = "2017-06-01"
BOTH = ["agents:read", "agents:write"]


@pytest.fixture(scope="module")
def keys(scores_url):
    def key(scopes=BOTH, **whose):
        return issue_key(scores_url, name="k", scopes=scopes, **whose).secret

    return {
        "operator": key([*Scope]),
        "auditor": key(["agents:read"], role="auditor"),
        "m1": key(role="merchant", party_id="m1"),
        "m2": key(role="merchant", party_id="m2"),
        "top": key(["agents:read"], role="agent", party_id="top"),
        "elsewhere": key(tenant_id="elsewhere"),
    }


@pytest.fixture(scope="module")
def call(client, keys):
    def ask(method, path, body=None, whose="operator", **parameters):
        return client.request(
            method, f"/v1{path}", json=body, params=parameters, headers={"X-API-Key": keys[whose]}
        )

    return ask


@pytest.fixture(scope="module")
def tree(call):
    """top <- middle <- bottom of m1, and one agent of m2."""
    for agent_id, inviter in (("top", None), ("middle", "top"), ("bottom", "middle")):
        body = {"agent_id": agent_id, "joined_on": JOINED, "inviter_agent_id": inviter, "merchant_id": "m1"}
        assert call("POST", "/agents", body).status_code == 201
    assert call("POST", "/agents", {"agent_id": "other", "joined_on": JOINED}, "m2").status_code == 201


@pytest.fixture
def problem():
    def slug(answer):
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code, answer.json()["type"].rsplit(":", 1)[1]

    return slug


def test_joining(call, tree, problem):
    body = {"agent_id": "top", "joined_on": JOINED, "merchant_id": "m1"}
    again = call("POST", "/agents", body)
    assert again.status_code == 201
    assert again.json()["depth"] == 1
    assert problem(call("POST", "/agents", {**body, "region_code": "r"})) == (409, "agent-conflict")
    fourth = {"agent_id": "x", "joined_on": JOINED, "inviter_agent_id": "bottom", "merchant_id": "m1"}
    assert problem(call("POST", "/agents", fourth)) == (409, "relation-too-deep")
    assert problem(call("POST", "/agents", {**fourth, "inviter_agent_id": "?"})) == (409, "relation-refused")
    for wrong in (
        {"agent_id": "x"},
        {**body, "agent_id": ""},
        {**body, "agent_id": "a\x00"},
        {**body, "x": 1},
        [],
    ):
        assert problem(call("POST", "/agents", wrong))[0] == 422


def test_a_merchants_key_takes_in_its_own_agents_and_states_no_contract(call, tree, problem):
    body = {"agent_id": "new", "joined_on": JOINED}
    assert problem(call("POST", "/agents", {**body, "merchant_id": "m2"}, "m1")) == (
        403,
        "merchant-out-of-scope",
    )
    assert problem(call("POST", "/agents", {**body, "has_contract": True}, "m1")) == (
        422,
        "invalid-parameter",
    )
    assert call("POST", "/agents", {**body, "inviter_agent_id": "other"}, "m1").status_code == 409
    assert call("POST", "/agents", body, "m1").json()["merchant_id"] == "m1"
    assert problem(call("POST", "/agents", body, "auditor")) == (403, "scope-missing")


@pytest.mark.parametrize(
    ("whose", "seen"),
    [
        ("operator", {"top", "middle", "bottom", "other"}),
        ("auditor", {"top", "middle", "bottom", "other"}),
        ("m1", {"top", "middle", "bottom"}),
        ("m2", {"other"}),
        ("top", {"top"}),
        ("elsewhere", set()),
    ],
)
def test_who_sees_whom(call, tree, whose, seen):
    names = {"top", "middle", "bottom", "other"}
    listed = {item["agent_id"] for item in call("GET", "/agents", whose=whose).json()["agents"]}
    assert listed & names == seen
    for name in names:
        assert call("GET", f"/agents/{name}", whose=whose).status_code == (200 if name in seen else 404)


def test_a_page_after_the_other(call, tree):
    found, cursor = [], None
    while True:
        extra = {"cursor": cursor} if cursor else {}
        answer = call("GET", "/agents", whose="m1", limit=2, **extra).json()
        found += [item["agent_id"] for item in answer["agents"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert {"bottom", "middle", "top"} <= set(found)
    assert found == sorted(found)
    assert call("GET", "/agents", whose="m1", merchant_id="m2").status_code == 403


def test_the_tree_around_an_agent(call, tree):
    shown = call("GET", "/agents/middle").json()
    assert shown["agent"]["depth"] == 2
    assert shown["upline"] == [{"agent_id": "top", "distance": 1}]
    assert shown["downline"] == [{"agent_id": "bottom", "distance": 1}]
    assert (shown["points"], shown["deposit_held_cents"], shown["deposit_required_cents"]) == (0, 0, 0)
    assert "own_consumer_id" not in shown["agent"]


def test_violations_hold_and_an_appeal_lifts(call, problem):
    call("POST", "/agents", {"agent_id": "v1", "joined_on": JOINED, "merchant_id": "m1"})
    case = {
        "reference": "case-1",
        "severity": "extreme",
        "reason_code": "counterfeit",
        "occurred_at": "2017-12-01T00:00:00Z",
    }
    outcome = call("POST", "/agents/v1/violations", case).json()
    assert outcome["points"] == 12
    assert outcome["consequences"] == ["warning", "withdrawals_held", "tier_down", "termination_review"]
    assert call("POST", "/agents/v1/violations", case).json()["is_new"] is False
    shown = call("GET", "/agents/v1", whose="m1").json()
    assert [hold["reason_code"].split(":")[0] for hold in shown["holds"]] == [
        "violation_points",
        "termination_review",
    ]
    number = outcome["violation"]["violation_id"]
    for whose in ("m1", "auditor"):
        assert call("POST", "/agents/v1/violations", case, whose).status_code == 403
        assert call("POST", f"/agents/v1/violations/{number}/withdrawal", whose=whose).status_code == 403
    assert call("POST", f"/agents/v1/violations/{number}/withdrawal").json()["points"] == 0
    assert call("GET", "/agents/v1").json()["holds"] == []
    assert problem(call("POST", "/agents/v1/termination", {"terminate": True})) == (409, "no-open-review")
    assert problem(call("POST", "/agents/v1/violations/0/withdrawal"))[0] in (404, 422)
    assert problem(call("POST", "/agents/nobody/violations", case)) == (404, "agent-not-found")
    future = {**case, "reference": "case-2", "occurred_at": "2999-01-01T00:00:00Z"}
    assert problem(call("POST", "/agents/v1/violations", future))[0] == 422


def test_a_termination_ends_an_agent(call):
    call("POST", "/agents", {"agent_id": "v2", "joined_on": JOINED})
    case = {
        "reference": "1",
        "severity": "extreme",
        "reason_code": "fraud",
        "occurred_at": "2017-12-01T00:00:00Z",
    }
    call("POST", "/agents/v2/violations", case)
    answer = call("POST", "/agents/v2/termination", {"terminate": True})
    assert (answer.status_code, answer.json()["is_active"]) == (200, False)


def test_protected_regions(call, tree, problem):
    time = {"protected_from": "2018-01-01", "protected_to": "2018-07-01"}
    put = call("PUT", "/agents/top/protected-regions/310000", time)
    assert (put.status_code, put.json()) == (200, {"region_code": "310000", **time})
    assert call("GET", "/agents/top").json()["protected_regions"] == [put.json()]
    assert problem(call("PUT", "/agents/other/protected-regions/310000", time)) == (409, "region-taken")
    assert problem(call("PUT", "/agents/nobody/protected-regions/1", time)) == (404, "agent-not-found")
    backwards = {"protected_from": "2018-07-01", "protected_to": "2018-07-01"}
    assert problem(call("PUT", "/agents/top/protected-regions/1", backwards)) == (422, "invalid-parameter")
    assert problem(call("PUT", "/agents/top/protected-regions/1", time, "m1")) == (403, "role-not-allowed")


def test_every_act_is_in_the_audit_log(call, tree):
    zone = {"protected_from": "2017-01-01", "protected_to": "2018-01-01"}
    assert call("PUT", "/agents/middle/protected-regions/audited", zone).status_code < 300
    assert call("GET", "/agents").status_code == call("GET", "/agents/top").status_code == 200
    actions = {entry["action"] for entry in call("GET", "/audit-log", limit=500).json()["entries"]}
    assert {"agent.join", "agent.list", "agent.read", "region.protect"} <= actions
