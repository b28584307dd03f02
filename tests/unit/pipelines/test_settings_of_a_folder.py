"""Settings that the document of the user's folder answers."""

from pathlib import Path

import pytest

from pipelines.settings import Settings


@pytest.mark.parametrize(
    ("document", "setting", "expected"),
    [
        ("", None, "CNY"),
        ("currency: GBP\n", None, "GBP"),
        ("currency: GBP\n", "EUR", "EUR"),
    ],
)
def test_the_currency_is_the_setting_then_the_documents_then_yuan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: str, setting: str | None, expected: str
) -> None:
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path / "home"))
    (tmp_path / "muyun.yaml").write_text(document)
    assert Settings(data=tmp_path, currency=setting).currency_code == expected


def test_the_panel_is_in_dollars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path / "home"))
    assert Settings(data=None).currency_code == "USD"
