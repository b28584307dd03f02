"""One home has one source: what is remembered, what is refused, and how it is read back after a move."""

import tomllib

import pytest

from pipelines.home.source import AnotherSourceError, adopt_source, remember_source, require_same_source
from pipelines.settings import Settings
from serving.home_record import FILE, HomeRecordError, read_record
from serving.settings import Settings as ServingSettings


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home and two folders of feeds side by side; no setting comes from outside."""
    for name in ("MUYUN_HOME", "MUYUN_DATA", "MUYUN_CURRENCY", "MUYUN_TIME_ZONE", "MUYUN_UTC_OFFSET_HOURS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("home", "feeds", "others"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_home_remembers_its_folder_for_every_process(place):
    remember_source(Settings(data=place / "feeds"))
    assert Settings().data == place / "feeds"
    assert not Settings().embedded
    assert ServingSettings().data == str(place / "feeds")


def test_an_empty_variable_is_not_the_embedded_panel(place, monkeypatch):
    remember_source(Settings(data=place / "feeds"))
    monkeypatch.setenv("MUYUN_DATA", "")
    assert Settings().data == place / "feeds"


def test_a_home_remembers_the_embedded_panel(place):
    remember_source(Settings())
    assert Settings().embedded
    with pytest.raises(AnotherSourceError, match=r"holds the embedded panel, and .*feeds is another source"):
        require_same_source(Settings(data=place / "feeds"))


def test_another_folder_is_refused_with_the_ways_out(place):
    remember_source(Settings(data=place / "feeds"))
    with pytest.raises(AnotherSourceError) as refused:
        remember_source(Settings(data=place / "others"))
    line = str(refused.value)
    assert "\n" not in line
    for part in (str(place / "feeds"), str(place / "others"), "MUYUN_HOME=", "make forget-source"):
        assert part in line
    assert Settings().data == place / "feeds"


def test_the_same_folder_by_another_name_is_the_same(place):
    remember_source(Settings(data=place / "feeds"))
    (place / "link").symlink_to(place / "feeds")
    require_same_source(Settings(data=place / "link"))


def test_home_and_folder_move_together(place, monkeypatch):
    remember_source(Settings(data=place / "feeds"))
    moved = place / "elsewhere"
    moved.mkdir()
    (place / "home").rename(moved / "home")
    (place / "feeds").rename(moved / "feeds")
    monkeypatch.setenv("MUYUN_HOME", str(moved / "home"))
    assert Settings().data == moved / "feeds"
    require_same_source(Settings(data=moved / "feeds"))


def test_the_home_moves_alone(place, monkeypatch):
    remember_source(Settings(data=place / "feeds"))
    (place / "elsewhere").mkdir()
    (place / "home").rename(place / "elsewhere" / "home")
    monkeypatch.setenv("MUYUN_HOME", str(place / "elsewhere" / "home"))
    assert Settings().data == place / "feeds"


def test_a_moved_folder_is_refused_until_it_is_said_to_be_the_same(place):
    remember_source(Settings(data=place / "feeds"))
    (place / "feeds").rename(place / "new")
    with pytest.raises(AnotherSourceError, match="make adopt-source"):
        require_same_source(Settings(data=place / "new"))
    adopt_source(Settings(data=place / "new"))
    assert Settings().data == place / "new"


def test_a_folder_that_is_still_there_cannot_be_replaced_by_saying_so(place):
    remember_source(Settings(data=place / "feeds"))
    with pytest.raises(AnotherSourceError, match="nothing was moved"):
        adopt_source(Settings(data=place / "others"))


def test_settings_given_once_hold_until_another_is_given(place, monkeypatch):
    remember_source(Settings(data=place / "feeds", utc_offset_hours=1, currency="GBP"))
    assert (Settings().offset_hours, Settings().currency_code) == (1, "GBP")
    monkeypatch.setenv("MUYUN_UTC_OFFSET_HOURS", "2")
    assert Settings().offset_hours == 2
    remember_source(Settings())
    monkeypatch.delenv("MUYUN_UTC_OFFSET_HOURS")
    assert Settings().offset_hours == 2


def test_a_zone_by_name_takes_the_place_of_an_offset(place):
    remember_source(Settings(data=place / "feeds", utc_offset_hours=8))
    remember_source(Settings(time_zone="Europe/London"))
    assert Settings().zone == "Europe/London"
    assert Settings().utc_offset_hours is None


def test_what_muyun_yaml_says_is_not_kept_beside_it(place):
    note = place / "feeds" / "muyun.yaml"
    note.write_text("currency: GBP\n")
    remember_source(Settings(data=place / "feeds"))
    note.write_text("currency: EUR\n")
    assert Settings().currency_code == "EUR"


def test_a_home_of_an_earlier_version_is_asked_for_once(place):
    state = place / "home" / "state"
    state.mkdir()
    (state / "raw__orders.json").write_text("{}")
    with pytest.raises(AnotherSourceError, match="earlier version"):
        require_same_source(Settings())
    adopt_source(Settings(data=place / "feeds"))
    require_same_source(Settings())
    assert Settings().data == place / "feeds"


def test_a_home_keeps_its_id(place):
    remember_source(Settings(data=place / "feeds"))
    first = read_record(place / "home").home_id
    remember_source(Settings(data=place / "feeds", currency="CNY"))
    assert read_record(place / "home").home_id == first


def test_names_with_quotes_and_other_letters_are_read_back(place):
    folder = place / 'a "quoted" \\ 数据\t'
    folder.mkdir()
    remember_source(Settings(data=folder))
    assert tomllib.loads((place / "home" / FILE).read_text())["folder_as_given"] == str(folder)
    assert Settings().data == folder


def test_a_damaged_record_is_named(place):
    (place / "home" / FILE).write_text("not = [toml")
    with pytest.raises(HomeRecordError, match=FILE):
        Settings()
