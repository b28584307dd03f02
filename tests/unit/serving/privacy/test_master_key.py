import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from serving.errors import PrivacyError
from serving.privacy.envelope import new_master_key
from serving.privacy.master_key import Keyring, load_keyring, write_keyring
from serving.settings import Settings


def text(key):
    return base64.b64encode(key.secret).decode()


def settings(home, master_key=None):
    return Settings(home=home, master_key=master_key, database_url="postgresql://unused/unused")


def test_the_file_is_made_once_and_private(tmp_path):
    first = load_keyring(settings(tmp_path))
    path = tmp_path / "keys" / "master.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_keyring(settings(tmp_path)) == first
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_who_starts_together_gets_one_key(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda home: load_keyring(settings(home)), [tmp_path] * 8))
    assert len({ring.current.secret for ring in found}) == 1


def test_a_file_that_others_may_read_is_refused(tmp_path):
    load_keyring(settings(tmp_path))
    (tmp_path / "keys" / "master.key").chmod(0o640)
    with pytest.raises(PrivacyError, match="chmod 600"):
        load_keyring(settings(tmp_path))


def test_the_variable_goes_first_and_makes_no_file(tmp_path):
    old, new = new_master_key(), new_master_key()
    ring = load_keyring(settings(tmp_path, SecretStr(f"{text(new)}, {text(old)}")))
    assert ring == Keyring((new, old))
    assert ring.current == new
    assert ring.find(old.key_id) == old
    assert not (tmp_path / "keys").exists()


def test_the_variable_is_read_and_not_shown(tmp_path, monkeypatch):
    key = new_master_key()
    monkeypatch.setenv("MUYUN_MASTER_KEY", text(key))
    read = Settings(home=tmp_path)
    assert load_keyring(read).current == key
    assert text(key) not in repr(read)
    monkeypatch.setenv("MUYUN_MASTER_KEY", "")
    assert Settings(home=tmp_path).master_key is None


def test_a_written_ring_is_read_again(tmp_path):
    ring = Keyring((new_master_key(), new_master_key()))
    write_keyring(tmp_path, ring)
    assert load_keyring(settings(tmp_path)) == ring


@pytest.mark.parametrize("wrong", ["c2hvcnQ=", "not base64 !", "\N{SNOWMAN}"])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path, wrong):
    with pytest.raises(PrivacyError, match="MUYUN_MASTER_KEY holds something that is no key") as failure:
        load_keyring(settings(tmp_path, SecretStr(wrong)))
    assert wrong not in str(failure.value)


def test_an_empty_file_is_not_replaced_by_a_new_key(tmp_path):
    load_keyring(settings(tmp_path))
    (tmp_path / "keys" / "master.key").write_text("\n")
    with pytest.raises(PrivacyError, match="holds no key"):
        load_keyring(settings(tmp_path))


def test_a_missing_master_key_is_named():
    missing = new_master_key()
    with pytest.raises(PrivacyError, match=missing.key_id.hex()):
        Keyring((new_master_key(),)).find(missing.key_id)
