"""Whether a command would take another "now" than the last run did, which a person should hear of."""

from __future__ import annotations

import json

from pipelines.messages import Texts
from pipelines.settings import Settings


def other_clock(settings: Settings) -> str | None:
    """A line about the clock where the last run had MUYUN_AS_OF and this command has not; else None.

    The home does not take the setting over: a clock that stands still unseen would be worse.
    """
    try:
        then = json.loads(settings.summary_file.read_text()).get("fixed_as_of")
    except (OSError, ValueError, AttributeError):
        return None
    if not then or settings.as_of is not None:
        return None
    return Texts(settings.lang)("clock.panel" if settings.embedded else "clock.wall", then=then)
