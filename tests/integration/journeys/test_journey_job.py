"""Journeys by the command line: a real provider over HTTP, and processes that are killed in the middle."""

import os
import signal
import subprocess
import sys
import time

import pytest
from journey_provider import Provider
from journey_town import NOW

from serving.jobs.__main__ import main

SECRET = "a-secret-of-the-provider"


@pytest.fixture
def provider():
    made = Provider(SECRET.encode())
    yield made
    made.close()


@pytest.fixture
def environment(town, provider, tmp_path, monkeypatch):
    """What a process of the worker is told."""
    told = {
        "MUYUN_DATABASE_URL": town.url,
        "MUYUN_HOME": str(tmp_path),
        "MUYUN_WEBHOOK_HTTP": "true",
        "MUYUN_WEBHOOK_PRIVATE": "true",
        "MUYUN_JOURNEY_GATEWAYS": f'{{"sms": "{provider.url}"}}',
        "MUYUN_JOURNEY_SECRET": SECRET,
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **told}


def test_a_round_by_the_command_line(town, provider, environment, capsys):
    town.people(20, others=10)
    town.journey()
    assert main(["journeys", "--tenant", "default", "--as-of", NOW.isoformat()]) == 0
    said = capsys.readouterr().out
    assert "20 entered, 20 moved, 0 ended" in said
    assert "messages: 19 sent" in said
    assert provider.calls == len(provider.got) == 19
    (one,) = provider.got[f"default:{town.messages(state='sent')[0]['message_id']}"]
    assert (one["channel"], one["text"][:9]) == ("sms", "For you: ")
    assert main(["journeys", "--tenant", "default", "--as-of", NOW.isoformat()]) == 0
    assert provider.calls == 19


def test_a_provider_without_a_secret_is_refused(town, environment, monkeypatch, capsys):
    monkeypatch.delenv("MUYUN_JOURNEY_SECRET")
    assert main(["journeys", "--tenant", "default", "--as-of", NOW.isoformat()]) == 1
    assert "MUYUN_JOURNEY_SECRET" in capsys.readouterr().err


def test_killed_at_any_moment_nothing_is_sent_twice_and_nothing_is_lost(town, provider, environment):
    """A message may be handed over again under its own name; its consumer gets one and has one coupon."""
    town.people(200, others=100)
    town.journey()
    command = [sys.executable, "-m", "serving.jobs", "journeys", "--tenant", "default", "--as-of"]
    for number in range(6):
        # A lease lasts two minutes: what a killed process had claimed is claimed again.
        at = NOW.replace(minute=3 * number).isoformat()
        running = subprocess.Popen([*command, at], env=environment, stdout=subprocess.DEVNULL)
        before = provider.calls
        deadline = time.monotonic() + 60
        while provider.calls < before + 7 and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait()
    subprocess.run([*command, NOW.replace(minute=30).isoformat()], env=environment, check=True)
    sent = town.messages(state="sent")
    assert len(provider.got) == len(sent)
    assert {len({one["to"] for one in copies}) for copies in provider.got.values()} == {1}
    texts = [{one["text"] for one in copies} for copies in provider.got.values()]
    assert {len(one) for one in texts} == {1}
    consumers = [copies[0]["to"] for copies in provider.got.values()]
    assert len(consumers) == len(set(consumers))
    assert town.sql("select count(*) from coupons.coupon") == [(len(sent),)]
    assert town.messages(state="waiting") == []
