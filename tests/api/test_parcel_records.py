"""The record of a parcel: sealed in a chain, proven offline, shown to those whose parcel it is."""

import json
from datetime import timedelta

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import NOW

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger.chain import ChainBrokenError, anchor
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.watch.alarms.judging import Finding, judge
from serving.watch.parcels import WatchedParcel, put_parcels
from serving.watch.record.__main__ import main
from serving.watch.record.checking import ProofBrokenError, check
from serving.watch.record.sealing import anchors_of, seal, verify

HOUR = timedelta(hours=1)
# Sealing waits for every transaction on the server.
pytestmark = pytest.mark.xdist_group("supply_records")


@pytest.fixture
def parcels(database_url):
    """Parcel p1 of S1 for m1, and p2 of S2 for m2, with an alarm of p1."""
    with Operations(database_url, size=2) as operations, operations.transaction("default") as conn:
        made = [
            WatchedParcel(f"p{n}", f"o{n}", f"S{n}", f"m{n}", NOW, NOW + timedelta(days=3)) for n in (1, 2)
        ]
        put_parcels(conn, "default", made)
        finding = Finding("delay", "p1", True, "", {"hours_late": 30.5}, "S1", "o1", "m1")
        judge(conn, "default", [finding], NOW)
    return database_url


@pytest.fixture
def ask(parcels, settings):
    def key(role, party=None):
        scopes = list(ROLE_SCOPES[Role(role)])
        return issue_key(parcels, name=role, scopes=scopes, role=Role(role), party_id=party).secret

    keys = {
        "op": key("operator"),
        "S1": key("supplier", "S1"),
        "S2": key("supplier", "S2"),
        "m1": key("merchant", "m1"),
        "m2": key("merchant", "m2"),
    }
    told = settings.model_copy(update={"as_of": NOW + timedelta(days=1)})
    with TestClient(
        create_app(told, parcels, ProfileReader(SCHEMA)), raise_server_exceptions=False
    ) as client:

        def send(who, method, path, body=None, status=200):
            answer = client.request(method, f"/v1{path}", json=body, headers={"X-API-Key": keys[who]})
            assert answer.status_code == status, answer.text
            return answer.json()

        yield send


def scans(parcel, *names):
    return [
        {
            "observation_id": name,
            "kind": "parcel_scan",
            "shipment_id": parcel,
            "status": "in_transit",
            "place": "南京 hub",
            "occurred_at": (NOW + number * HOUR).isoformat(),
        }
        for number, name in enumerate(names, start=1)
    ]


def sealed(url):
    with Operations(url, size=1) as operations, operations.transaction("default") as conn:
        return seal(conn, "default")


def verified(url, anchors=None):
    with Operations(url, size=1) as operations, operations.transaction("default") as conn:
        return verify(conn, "default", anchors)


def test_a_merchant_checks_its_parcel_offline_without_seeing_others(ask, parcels, tmp_path, capsys):
    ask("S1", "POST", "/observations", {"observations": scans("p1", "a", "b")})
    ask("S2", "POST", "/observations", {"observations": scans("p2", "c")})
    assert check(json.dumps(ask("m1", "GET", "/parcels/p1/record"))).unsealed == 3
    head = sealed(parcels)
    ask("S1", "POST", "/observations", {"observations": scans("p1", "d")})
    document = json.dumps(ask("m1", "GET", "/parcels/p1/record"))
    found = check(document)
    assert (found.proven, found.unsealed) == (3, 1)
    assert found.blocks == {head.block_no: head.hash.hex()}
    assert "p2" not in document
    assert "S2" not in document
    assert ask("S1", "GET", "/parcels/p1/record") == ask("op", "GET", "/parcels/p1/record")
    for stranger in ("m2", "S2"):
        ask(stranger, "GET", "/parcels/p1/record", status=404)
    ask("op", "GET", "/parcels/nowhere/record", status=404)
    file = tmp_path / "record.json"
    file.write_text(document)
    anchors = anchors_of(tmp_path, "default")
    anchor(head, anchors)
    assert main(["check", str(file), str(anchors)]) == 0
    assert "3 records proven, 1 not sealed yet" in capsys.readouterr().out
    file.write_text(document.replace("in_transit", "delivered"))
    assert main(["check", str(file)]) == 1
    assert "does not lead to block" in capsys.readouterr().err


def test_what_was_told_is_what_was_sealed(ask, parcels):
    ask("S1", "POST", "/observations", {"observations": scans("p1", "a")})
    sealed(parcels)
    whole = ask("m1", "GET", "/parcels/p1/record")

    def changed(change):
        document = json.loads(json.dumps(whole))
        change(document["records"][0])
        return json.dumps(document)

    def of_path(record):
        record["proof"]["path"][0]["hash"] = "00" * 32

    def of_block(record):
        record["proof"]["block_hash"] = "00" * 32

    def of_number(record):
        record["proof"]["leaves"] += 1

    for change in (of_path, of_block, of_number):
        with pytest.raises(ProofBrokenError):
            check(changed(change))
    with pytest.raises(ProofBrokenError, match="anchored"):
        check(json.dumps(whole), {1: "00" * 32})
    for wrong in ("{}", "[]", "text"):
        with pytest.raises(ValueError, match="no record"):
            check(wrong)


def test_everything_is_sealed_once_and_verifies(ask, parcels, tmp_path, monkeypatch):
    anchors = tmp_path / "anchors.jsonl"
    assert verified(parcels).block_no == 0
    for round_ in range(3):
        ask("S1", "POST", "/observations", {"observations": scans("p1", f"{round_}a", f"{round_}b")})
        anchor(sealed(parcels), anchors)
    assert sealed(parcels).block_no == 3
    kept = anchors_of(tmp_path, "default")
    anchor(sealed(parcels), kept)
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    monkeypatch.setenv("MUYUN_DATABASE_URL", parcels)
    assert main(["verify"]) == 0
    assert verified(parcels, anchors).block_no == 3
    with psycopg.connect(libpq_url(parcels)) as connection:
        told = connection.execute(
            "select kind, count(*)::int from watch.leaf group by 1 order by 1"
        ).fetchall()
    assert told == [("observation", 6), ("step", 1)]


@pytest.mark.parametrize(
    "harm",
    [
        "update watch.observation set status = 'delivered' where observation_id = 'b'",
        "delete from watch.observation where observation_id = 'b'",
        "update watch.alarm_event set details = '{}'",
        "update watch.leaf set place = place + 10 where record_id = 'a'",
        "update watch.block set previous_hash = hash",
    ],
)
def test_whoever_changes_a_row_behind_the_triggers_is_found(ask, parcels, harm):
    ask("S1", "POST", "/observations", {"observations": scans("p1", "a", "b", "c")})
    sealed(parcels)
    verified(parcels)
    with psycopg.connect(libpq_url(parcels)) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(harm)
    with pytest.raises(ChainBrokenError, match="block 1"):
        verified(parcels)


def test_whoever_slips_a_record_in_before_the_last_block_is_found(ask, parcels):
    ask("S1", "POST", "/observations", {"observations": scans("p1", "a")})
    sealed(parcels)
    slipped = (
        "insert into watch.observation (tenant_id, observation_id, kind, shipment_id, status, occurred_at,"
        " received_at, xact_id)"
        " values ('default', 'b', 'parcel_scan', 'p1', 'delivered', %(at)s, %(at)s, '3')"
    )
    with psycopg.connect(libpq_url(parcels)) as connection:
        connection.execute(slipped, {"at": NOW})
    with pytest.raises(ChainBrokenError, match="observation 'b' lies before the last block"):
        verified(parcels)


def test_a_database_from_a_dump_still_verifies_and_seals(ask, parcels):
    """There the numbers of transactions begin anew, below those of the blocks."""
    ask("S1", "POST", "/observations", {"observations": scans("p1", "a")})
    sealed(parcels)
    with psycopg.connect(libpq_url(parcels)) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update watch.block set until_xact = '900000000000'")
    ask("S1", "POST", "/observations", {"observations": scans("p1", "b")})
    assert verified(parcels).block_no == 1
    assert sealed(parcels).block_no == 2
    assert verified(parcels).block_no == 2


def test_a_chain_that_was_written_anew_does_not_match_its_anchor(ask, parcels, tmp_path):
    ask("S1", "POST", "/observations", {"observations": scans("p1", "a")})
    anchors = tmp_path / "anchors.jsonl"
    anchor(sealed(parcels), anchors)
    with psycopg.connect(libpq_url(parcels)) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update watch.observation set status = 'delivered'")
        connection.execute("delete from watch.leaf")
        connection.execute("delete from watch.block")
    sealed(parcels)
    verified(parcels)
    with pytest.raises(ChainBrokenError, match="anchored"):
        verified(parcels, anchors)
