"""The parsed dbt project: kept while nothing changed, made again when it is torn."""

import json

import pytest

from pipelines.settings import Settings
from pipelines.warehouse import parse as dbt_parse
from pipelines.warehouse import translator as dbt_translator


@pytest.fixture
def parses(monkeypatch, tmp_path):
    """Counts the parses; each leaves a manifest, as dbt does."""

    class Done:
        returncode, stdout, stderr = 0, "", ""

    calls = []

    def parse(_command, **_more):
        calls.append(1)
        (tmp_path / "dbt" / "manifest.json").write_text(json.dumps({"nodes": {}}))
        return Done

    monkeypatch.setattr(dbt_parse.subprocess, "run", parse)
    monkeypatch.setattr(dbt_translator, "DbtProject", lambda **arguments: arguments)
    return calls


def test_a_parsed_project_is_parsed_once(parses, tmp_path):
    for _ in range(3):
        dbt_translator.project(Settings(home=tmp_path))
    assert len(parses) == 1


def test_what_was_parsed_beside_something_else_is_not_parsed_again(parses, tmp_path):
    with dbt_parse.parsing_beside(Settings(home=tmp_path)):
        pass
    dbt_translator.project(Settings(home=tmp_path))
    assert len(parses) == 1


@pytest.mark.parametrize("text", ["", '{"nodes": {'])
def test_a_torn_manifest_is_made_again(parses, tmp_path, text):
    dbt_translator.project(Settings(home=tmp_path))
    (tmp_path / "dbt" / "manifest.json").write_text(text)
    dbt_translator.project(Settings(home=tmp_path))
    assert len(parses) == 2


def test_a_changed_project_file_is_parsed_again(parses, tmp_path, monkeypatch):
    dbt_translator.project(Settings(home=tmp_path))
    monkeypatch.setattr(dbt_parse, "project_version", lambda: "other")
    dbt_translator.project(Settings(home=tmp_path))
    assert len(parses) == 2


def test_a_project_that_dbt_cannot_parse_carries_what_dbt_said(monkeypatch, tmp_path):
    class Failed:
        returncode, stdout, stderr = 2, "Compilation Error in model fct_orders", ""

    monkeypatch.setattr(dbt_parse.subprocess, "run", lambda *_a, **_k: Failed)
    with pytest.raises(RuntimeError, match="Compilation Error in model fct_orders"):
        dbt_translator.project(Settings(home=tmp_path))


def test_a_full_disk_is_told_as_such(monkeypatch, tmp_path):
    class Failed:
        returncode, stdout, stderr = 2, "[Errno 28] No space left on device", ""

    monkeypatch.setattr(dbt_parse.subprocess, "run", lambda *_a, **_k: Failed)
    with pytest.raises(OSError, match="No space left"):
        dbt_translator.project(Settings(home=tmp_path))
