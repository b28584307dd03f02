"""A command that takes another now than the last run says so in one line."""

import datetime as dt
import json

import pytest

from pipelines.run.other_clock import other_clock
from pipelines.settings import Settings

THEN = dt.datetime(2025, 12, 10, tzinfo=dt.UTC)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in ("MUYUN_AS_OF", "MUYUN_DATA", "MUYUN_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shop").mkdir()

    def made(fixed=THEN, **given):
        text = fixed.isoformat() if fixed else None
        (tmp_path / "run_summary.json").write_text(json.dumps({"fixed_as_of": text}))
        return Settings(**({"home": tmp_path, "data": tmp_path / "shop", "lang": "en"} | given))

    return made


def test_the_wall_clock_after_a_fixed_one_is_told(settings):
    assert other_clock(settings()) == (
        "the last run took MUYUN_AS_OF=2025-12-10T00:00:00+00:00 for now, this command takes the wall clock; "
        "set MUYUN_AS_OF=2025-12-10T00:00:00+00:00 again to stay there"
    )


def test_the_panel_has_another_clock(settings):
    assert "takes the newest order" in other_clock(settings(data=None))


@pytest.mark.parametrize(("fixed", "given"), [(THEN, {"as_of": THEN}), (None, {}), (None, {"as_of": THEN})])
def test_the_same_clock_or_a_chosen_one_needs_no_line(settings, fixed, given):
    assert other_clock(settings(fixed, **given)) is None


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_home_that_cannot_say_is_not_a_failure(settings, text):
    found = settings()
    found.summary_file.write_text(text)
    assert other_clock(found) is None
    found.summary_file.unlink()
    assert other_clock(found) is None
