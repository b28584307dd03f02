"""Commands about the home and its published versions; each returns what a person reads."""

from __future__ import annotations

from pipelines.home import source
from pipelines.home.aside import set_aside
from pipelines.settings import Settings
from serving.db.connect import database_url
from serving.scores import loader
from serving.settings import Settings as ServingSettings


def versions() -> str:
    """The published versions, newest load first, the serving one marked."""
    settings = ServingSettings()
    found = loader.list_versions(database_url(settings), tenant_id=settings.tenant)
    lines = [
        f"{'*' if version.is_current else ' '} {version.version}  as of {version.as_of:%Y-%m-%d %H:%M}  "
        f"{version.kind:<7}  {version.status}{'  pinned' if version.is_pinned else ''}"
        for version in found
    ]
    if any(version.is_pinned for version in found):
        lines.append("readers stay on the pinned version until `make release`")
    return "\n".join(lines) or "nothing was published yet"


def rollback(version: str | None) -> str:
    """Serve an older version and hold readers there."""
    settings = ServingSettings()
    served = loader.rollback(database_url(settings), version, tenant_id=settings.tenant)
    return f"serving {served}, pinned: new versions are loaded but not served until `make release`"


def release() -> str:
    """Serve the newest version again."""
    settings = ServingSettings()
    return f"serving {loader.release(database_url(settings), tenant_id=settings.tenant)}"


def forget_source(settings: Settings) -> str:
    """Set everything aside, so that the home may take on another source."""
    place = set_aside(settings)
    if place is None:
        return f"{settings.home} holds nothing"
    note = (
        "\nthe database of MUYUN_DATABASE_URL is as it was: name an empty one for the next source"
        if ServingSettings().database_url
        else ""
    )
    return f"set aside in {place}; MUYUN_HOME={place} works on it{note}"


def adopt_source(settings: Settings) -> str:
    """Say what this home holds."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return f"{settings.home} holds {source.adopt_source(settings)}"
