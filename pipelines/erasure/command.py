"""`muyun erase`: who was erased and is still in files; with `--apply` they leave at once."""

from __future__ import annotations

from pipelines.erasure.home import HomeCleared, clear_home
from pipelines.erasure.tombstones import kept_tombstones, recorded_tombstones
from pipelines.home.lock import home_lock
from pipelines.messages import Texts
from pipelines.settings import Settings
from pipelines.stores.database import Database


def erase(settings: Settings, *, apply: bool) -> str:
    """Say what is outstanding, or carry it out in the live store and in every file of the home.

    Waits for a run that is at work; a pass that is stopped can be made again.

    Args:
        settings: The installation's settings.
        apply: Whether to carry it out.
    """
    url, text = Database(settings.serving).url(), Texts(settings.lang)
    if not apply:
        recorded, kept = recorded_tombstones(url, settings.tenant), kept_tombstones(settings.lake_dir)
        waiting = len(recorded.people.keys() - kept.people.keys())
        return text("erase.waiting", people=len(recorded.people), waiting=waiting)
    with home_lock(settings.home, "muyun erase"):
        _tick(settings)
        done = clear_home(settings.home, settings.lake_dir, recorded_tombstones(url, settings.tenant))
    return "\n".join(lines_of(done, text))


def lines_of(done: HomeCleared, text: Texts) -> list[str]:
    """What a pass did, for a person: one line, then one a file."""
    files = [
        text("erase.file", file=file, removed=found.removed, renamed=found.renamed)
        for file, found in done.files.items()
    ]
    first = text(
        "erase.done",
        people=done.people,
        files=len(done.files),
        removed=done.removed,
        renamed=done.renamed,
    )
    return [first, *files]


def _tick(settings: Settings) -> None:
    """A tick takes them out of the live store; one that no tick can go on from is removed and begins anew."""
    from pipelines.live.command import loop_of
    from pipelines.live.generations import NothingPublishedError
    from pipelines.live.store import LiveStoreError
    from pipelines.live.tick import tick

    loop = loop_of(settings)
    if loop.store.file() is not None:
        try:
            tick(loop)
        except (NothingPublishedError, LiveStoreError):
            with loop.store.held(wait=True):
                loop.store.remove()
    with loop.store.held(wait=True):
        loop.store.remove(but=loop.store.file())
