"""Where the master key comes from: `MUYUN_MASTER_KEY`, else `<home>/keys/master.key`. Wraps nothing itself.

Both hold keys in base64, the current one first; older ones behind it still open what they wrapped. The file
has one key a line, the variable separates them by commas.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serving.errors import PrivacyError
from serving.privacy.envelope import MasterKey, new_master_key
from serving.settings import Settings

_FILE = Path("keys") / "master.key"


@dataclass(frozen=True)
class Keyring:
    """Master keys, the current one first."""

    keys: tuple[MasterKey, ...]

    @property
    def current(self) -> MasterKey:
        """The key that wraps."""
        return self.keys[0]

    def find(self, key_id: bytes) -> MasterKey:
        """The master key with an id.

        Raises:
            PrivacyError: The ring does not hold it.
        """
        for key in self.keys:
            if key.key_id == key_id:
                return key
        raise PrivacyError(
            f"the master key {key_id.hex()} is missing: put it behind the current one in MUYUN_MASTER_KEY, "
            f"or in <MUYUN_HOME>/{_FILE}"
        )


def load_keyring(settings: Settings) -> Keyring:
    """The master keys of this installation; makes the file with a new key when there is none.

    Raises:
        PrivacyError: The variable or the file holds no valid key, or others may read the file.
    """
    if settings.master_key is not None:
        return _parse(settings.master_key.get_secret_value().split(","), "MUYUN_MASTER_KEY")
    path = settings.home / _FILE
    if not path.exists():
        _create(path)
    if path.stat().st_mode & 0o077:
        raise PrivacyError(f"others may read the master key {path}: `chmod 600` it")
    return _parse(path.read_text("ascii", "replace").split(), str(path))


def write_keyring(home: Path, keyring: Keyring) -> None:
    """Replace the file with the master keys, whole or not at all."""
    path = home / _FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{secrets.token_hex(4)}.new")
    _write_private(fresh, keyring.keys)
    fresh.replace(path)
    _sync_folder(path.parent)


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{secrets.token_hex(4)}.first")
    _write_private(fresh, [new_master_key()])
    # Of two processes that start together one key must win; a link fails where a rename would replace.
    with suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()
    _sync_folder(path.parent)


def _write_private(path: Path, keys: Sequence[MasterKey]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(base64.b64encode(key.secret).decode() + "\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse(texts: Sequence[str], source: str) -> Keyring:
    try:
        keys = tuple(
            MasterKey(base64.b64decode(text.strip(), validate=True)) for text in texts if text.strip()
        )
    except (binascii.Error, ValueError, PrivacyError):
        # Without its cause: a decoder's message may quote the key.
        raise PrivacyError(f"{source} holds something that is no key of 32 bytes in base64") from None
    if not keys:
        raise PrivacyError(
            f"{source} holds no key: restore it from a backup, or what was sealed stays sealed"
        )
    return Keyring(keys)
