"""Settings: what the environment may say, and what follows from it."""

import datetime as dt
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.settings import Settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("MUYUN_")]:
        monkeypatch.delenv(name)


def test_without_a_word_the_embedded_panel_is_the_source():
    settings = Settings()
    assert settings.embedded
    assert (settings.offset_hours, settings.currency_code) == (-5, "USD")
    assert settings.home == Path.cwd() / "var"


def test_a_folder_of_files_brings_its_own_defaults(monkeypatch, tmp_path):
    monkeypatch.setenv("MUYUN_DATA", str(tmp_path))
    settings = Settings()
    assert not settings.embedded
    assert (settings.offset_hours, settings.currency_code) == (8, "CNY")


def test_an_empty_folder_setting_means_none(monkeypatch):
    monkeypatch.setenv("MUYUN_DATA", "")
    assert Settings().embedded


def test_what_is_set_wins_over_what_follows(monkeypatch):
    monkeypatch.setenv("MUYUN_UTC_OFFSET_HOURS", "0")
    monkeypatch.setenv("MUYUN_CURRENCY", "EUR")
    assert (Settings().offset_hours, Settings().currency_code) == (0, "EUR")


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("Asia/Shanghai", 8), ("Europe/London", 0), ("America/New_York", -5), ("Australia/Sydney", 10)],
)
def test_a_zone_has_a_name_and_a_standard_offset(monkeypatch, zone, offset):
    monkeypatch.setenv("MUYUN_TIME_ZONE", zone)
    assert (Settings().zone, Settings().offset_hours) == (zone, offset)


@pytest.mark.parametrize(("hours", "zone"), [(-5, "Etc/GMT+5"), (0, "Etc/UTC"), (8, "Etc/GMT-8")])
def test_an_offset_in_hours_is_a_zone_without_daylight_saving(monkeypatch, hours, zone):
    monkeypatch.setenv("MUYUN_UTC_OFFSET_HOURS", str(hours))
    assert (Settings().zone, Settings().offset_hours) == (zone, hours)
    monkeypatch.setenv("MUYUN_TIME_ZONE", zone)
    assert Settings().zone == zone
    monkeypatch.setenv("MUYUN_TIME_ZONE", "Asia/Tokyo")
    with pytest.raises(ValidationError, match="say different things; keep MUYUN_TIME_ZONE"):
        Settings()


def test_the_default_zones(monkeypatch, tmp_path):
    assert Settings().zone == "Etc/GMT+5"
    monkeypatch.setenv("MUYUN_DATA", str(tmp_path))
    assert Settings().zone == "Asia/Shanghai"
    (tmp_path / "muyun.yaml").write_text("time_zone: Europe/London\n")
    assert (Settings().zone, Settings().offset_hours) == ("Europe/London", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-30T12:00:00", dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)),
        ("2025-06-30T12:00:00Z", dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)),
        ("2025-06-30T12:00:00+08:00", dt.datetime(2025, 6, 30, 4, tzinfo=dt.UTC)),
    ],
)
def test_now_is_kept_in_utc(monkeypatch, text, expected):
    monkeypatch.setenv("MUYUN_AS_OF", text)
    assert Settings().as_of == expected
    assert Settings().as_of.utcoffset() == dt.timedelta(0)


def test_relative_folders_are_fixed_when_read(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUYUN_HOME", "here")
    settings = Settings()
    monkeypatch.chdir("/")
    assert settings.home == tmp_path / "here"


def test_everything_a_run_writes_is_under_the_home(tmp_path):
    settings = Settings(home=tmp_path)
    written = [
        value
        for name in dir(Settings)
        if isinstance(getattr(Settings, name, None), property)
        and isinstance(value := getattr(settings, name), Path)
    ]
    assert len(written) >= 8
    assert all(tmp_path in path.parents for path in written)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MUYUN_AS_OF", "tomorrow"),
        ("MUYUN_EXECUTOR", "cluster"),
        ("MUYUN_SEED", "x"),
        ("MUYUN_KEEP_VERSIONS", "many"),
        ("MUYUN_KEEP_VERSIONS", "0"),
        ("MUYUN_DAGSTER_PORT", "70000"),
        ("MUYUN_UTC_OFFSET_HOURS", "99"),
        ("MUYUN_TIME_ZONE", "Mars/Olympus"),
        ("MUYUN_TIME_ZONE", "/etc/passwd"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.removeprefix("MUYUN_").lower()):
        Settings()


@pytest.mark.parametrize(
    ("database", "beside"),
    [
        ("muyun", "dagster"),
        ("second", "second_dagster"),
        ("Shop-2?sslmode=require", "shop_2_dagster"),
        ("2nd", "_2nd_dagster"),
        ("x" * 63, "x" * 54 + "_dagster"),
    ],
)
def test_two_homes_on_one_server_have_two_histories_of_runs(database, beside):
    from pipelines.resources import dagster_database

    assert dagster_database(f"postgresql://u:p@h:5432/{database}") == beside


@pytest.mark.parametrize(
    ("options", "country"),
    [
        ({}, "US"),  # the embedded panel
        ({"time_zone": "Asia/Shanghai"}, "US"),
        ({"data": "shop"}, "CN"),  # Asia/Shanghai without a word of the user
        ({"data": "shop", "time_zone": "Europe/Berlin"}, "DE"),
        ({"data": "shop", "time_zone": "Etc/UTC"}, "none"),
        ({"data": "shop", "holidays": "fr"}, "FR"),
        ({"data": "shop", "holidays": "NONE"}, "none"),
        ({"holidays": "CN"}, "CN"),
    ],
)
def test_the_holidays_of_a_shop_are_those_of_its_country(tmp_path, options, country):
    (tmp_path / "shop").mkdir()
    chosen = {name: tmp_path / value if name == "data" else value for name, value in options.items()}
    assert Settings(home=tmp_path / "home", **chosen).holidays_of == country


def test_a_country_without_a_calendar_is_refused():
    with pytest.raises(ValueError, match="there is no country 'Atlantis'; use a code like CN, or none"):
        Settings(holidays="Atlantis")
