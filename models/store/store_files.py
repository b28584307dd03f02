"""The MLflow store as files, read without MLflow, whose import takes seconds.

What lives here: which champion serves, cheap enough to ask before every step, and the addresses of artifacts
after the store was moved: MLflow writes them down as absolute paths.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

DATABASE = "mlflow.db"
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


def champion_version(home: Path, name: str) -> str | None:
    """The version of a model that serves; None when there is none, or its bundle or the store is gone.

    Args:
        home: Folder of the store.
        name: Registered model name.
    """
    with _opened(home) as store:
        if store is None:
            return None
        try:
            found = store.execute(
                "select v.version, v.source from registered_model_aliases a"
                " join model_versions v on v.name = a.name and v.version = a.version"
                " where a.alias = 'champion' and a.name = ?",
                (name,),
            ).fetchone()
        except sqlite3.DatabaseError:
            return None  # no store of MLflow, or damaged: opening it says so in words
    if found is None:
        return None
    run = Path(str(found[1]).removeprefix("file://")).parts[-4:]  # family, run, artifacts, bundle
    return str(found[0]) if (home / "artifacts").joinpath(*run).is_dir() else None


def champion_mark(home: Path, name: str) -> str | None:
    """What tells a model's champion from every other, also from its namesake in a store made anew."""
    version = champion_version(home, name)
    return None if version is None else f"{version} in {_bundle(home, name, version)}"


def champion_bundle_dir(home: Path, name: str) -> Path | None:
    """Folder of the champion's bundle, without opening MLflow; None where the simple rule serves."""
    version = champion_version(home, name)
    bundle = None if version is None else _bundle(home, name, version)
    return None if bundle is None else home / "artifacts" / bundle


def newest_bundles(home: Path, names: Sequence[str]) -> list[Path]:
    """Folder of the newest registered version of each model that has one.

    Args:
        home: Folder of the store.
        names: Registered model names.
    """
    found = [_bundle(home, name, None) for name in names]
    return [home / "artifacts" / bundle for bundle in found if bundle is not None]


def _bundle(home: Path, name: str, version: str | None) -> Path | None:
    """Folder of a version below the artifacts, of the newest one for None."""
    with _opened(home) as store:
        if store is None:
            return None
        try:
            row = store.execute(
                "select source from model_versions where name = ? and (? is null or version = ?)"
                " order by cast(version as integer) desc limit 1",
                (name, version, version),
            ).fetchone()
        except sqlite3.DatabaseError:
            return None
    return Path(*Path(str(row[0]).removeprefix("file://")).parts[-4:]) if row is not None else None


def follow_move(home: Path) -> bool:
    """Make the addresses of artifacts those of the place where the store lies now.

    Args:
        home: Folder of the store.

    Returns:
        True when the store had been moved.
    """
    here = home / "artifacts"
    with _opened(home) as store:
        if store is None:
            return False
        try:
            experiments = store.execute("select name, artifact_location from experiments").fetchall()
        except sqlite3.DatabaseError:
            return False
        before = {
            Path(location.removeprefix("file://")).parent
            for name, location in experiments
            if location.endswith(f"/artifacts/{name}")
        } - {here}
        held = {row[0] for row in store.execute("select name from sqlite_master where type = 'table'")}
        for old in before:
            for table, column in _PLACES:
                if table in held:
                    for scheme in ("file://", ""):
                        start = f"{scheme}{old}/"
                        store.execute(
                            f"update {table} set {column} = ? || substr({column}, ?)"
                            f" where substr({column}, 1, ?) = ?",
                            (f"{scheme}{here}/", len(start) + 1, len(start), start),
                        )
        store.commit()
    return bool(before)


@contextmanager
def _opened(home: Path) -> Iterator[sqlite3.Connection | None]:
    """The store's database; None when there is none."""
    file = home / DATABASE
    if not file.is_file():
        yield None
        return
    with closing(sqlite3.connect(file, timeout=30)) as store:
        yield store
