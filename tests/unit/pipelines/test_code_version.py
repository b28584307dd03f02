"""Any change of code, of data beside it, or of what is installed makes another version."""

import pytest

from pipelines.run import code
from pipelines.steps.closure import PACKAGES


@pytest.fixture
def root(tmp_path):
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "models" / "rules.yaml").write_text("a: 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("models/rules.yaml", "a: 2\n"),
        ("serving/__init__.py", "A = 1\n"),
        ("feature_store/more.py", ""),
        ("pipelines/deep/query.sql", "select 1"),
    ],
)
def test_a_file_counts(root, name, text):
    before = code.code_version(root)
    assert code.code_version(root) == before
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)
    assert code.code_version(root) != before


def test_what_python_makes_by_itself_does_not_count(root):
    before = code.code_version(root)
    (root / "models" / "__pycache__").mkdir()
    (root / "models" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"x")
    assert code.code_version(root) == before


def test_what_is_installed_counts(root, monkeypatch):
    before = code.code_version(root)
    assert any(name.startswith("dagster-") for name in code.installed())
    monkeypatch.setattr(code, "installed", lambda: ["dagster-99.dist-info"])
    assert code.code_version(root) != before
