"""The whole API under requests that nobody would write: generated from its own OpenAPI document, and an
injection corpus on every string of every operation.

No answer is a 5xx, none contradicts the document, none echoes HTML.
"""

import os
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from injections import CORPUS, cases_of, is_echoed_unescaped, json_of, quoted
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.db.operations import Operations
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.posting import Line, Posting, post
from serving.security import Scope, issue_key

SHARDS = 4
NIGHTLY = os.environ.get("MUYUN_NIGHTLY") == "1"
REQUEST_PARTS = {"method", "url", "params", "json", "headers", "cookies", "data"}
CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def key(scores_url):
    return issue_key(scores_url, name="fuzz", scopes=list(Scope), rate_per_s=1e6, burst=1_000_000).secret


@pytest.fixture(scope="module")
def document(client):
    return client.get("/v1/openapi.json").json()


@pytest.fixture(scope="module")
def operations(document):
    found = [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(found) == sum(
        len(item.keys() & {"get", "post", "put", "patch", "delete"}) for item in document["paths"].values()
    )
    return found


def fuzz(client, key, operation, mode, examples):
    """What is wrong with the answers of one operation to generated requests, each kind once."""
    wrong = {}

    @settings(
        max_examples=examples,
        derandomize=not NIGHTLY,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        sent = case.as_transport_kwargs(base_url="http://testserver", headers={"X-API-Key": key})
        # As bytes: a client may send any, while the test's own would refuse what is not ASCII.
        sent["headers"] = {name: str(value).encode() for name, value in sent["headers"].items()}
        answer = client.request(**{name: sent[name] for name in sent.keys() & REQUEST_PARTS})
        try:
            case.validate_response(answer, checks=CHECKED)
        except FailureGroup as error:
            for failure in error.exceptions:
                wrong.setdefault(
                    f"{operation.label}: {failure.title} ({answer.status_code})", str(error)[:900]
                )

    ask()
    return wrong


def fuzz_shard(client, key, operations, shard, examples):
    wrong = {}
    for operation in operations[shard::SHARDS]:
        wrong |= fuzz(client, key, operation, GenerationMode.POSITIVE, examples)
        if operation.body or operation.path_parameters or operation.query or operation.headers:
            wrong |= fuzz(client, key, operation, GenerationMode.NEGATIVE, examples)
    return wrong


@pytest.mark.parametrize("shard", range(SHARDS))
def test_generated_requests_get_documented_answers(client, key, operations, shard):
    assert fuzz_shard(client, key, operations, shard, 5) == {}


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_generated_requests_get_documented_answers(client, key, operations, shard):
    assert fuzz_shard(client, key, operations, shard, 2_000 if NIGHTLY else 40) == {}


@pytest.mark.parametrize("payload", CORPUS, ids=[name for name, _ in CORPUS])
def test_injections_into_every_string(client, key, document, payload):
    _, text = payload
    wrong = []
    sent = 0
    for case in cases_of(document, text):
        answer = case.send(client, key)
        sent += 1
        if answer.status_code >= 500 or is_echoed_unescaped(answer, text):
            wrong.append((case.name, answer.status_code, answer.text[:300]))
    assert wrong == []
    assert sent > 100


@pytest.mark.parametrize("payload", CORPUS, ids=[name for name, _ in CORPUS])
def test_names_that_got_in_are_escaped_on_pages(client, key, document, scores_url, payload):
    """A party may be called nearly anything; its statement is the page that shows the name."""
    name, text = payload
    headers = {"X-API-Key": key}
    joined = client.post(
        "/v1/agents", content=json_of({"agent_id": text, "joined_on": "2017-06-01"}), headers=headers
    )
    assert joined.status_code in (201, 422)
    if joined.status_code == 201:
        lines = (
            Line(AccountKind.PENALTY, -1),
            Line(AccountKind.AGENT_AVAILABLE, 1, Party("agent", text)),
        )
        with Operations(scores_url) as books, books.transaction("default") as conn:
            post(conn, "default", Posting(name, "compensation", datetime(2017, 12, 1, tzinfo=UTC), lines))
    path = "/v1/statements/{party_type}/{party_id}"
    shapes = document["paths"][path]["get"]["responses"]["200"]["content"].keys()
    assert shapes == {"application/json", "text/csv", "text/html"}
    for shape in ("json", "csv", "html"):
        answer = client.get(
            path.format(party_type="agent", party_id=quoted(text) or "%20")
            + f"?period=2017-12&format={shape}",
            headers=headers,
        )
        # A slash ends a part of the path, so that such a party has no address.
        is_there = joined.status_code == 201 and "/" not in unquote(text)
        assert answer.status_code in ((200,) if is_there else (404, 422))
        assert not is_echoed_unescaped(answer, text)
        if answer.status_code == 200:
            assert answer.headers["content-type"].split(";")[0] in shapes
