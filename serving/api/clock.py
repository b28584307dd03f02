"""Business time of a request: the one place where the API looks at the system clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from litestar import Request

from serving.settings import Settings


def now_of(request: Request[Any, Any, Any]) -> datetime:
    """Now, in UTC: the fixed `as_of` of the settings, else the wall clock."""
    settings: Settings = request.app.state.settings
    return settings.as_of or datetime.now(UTC)
