"""Business time of a request."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from litestar import Request

from serving.api.answers import principal_of
from serving.orders.clock import BusinessClock


def now_of(request: Request[Any, Any, Any], conn: psycopg.Connection[Any]) -> datetime:
    """Business time of the key's tenant in UTC, by the one clock of the application."""
    clock: BusinessClock = request.app.state.clock
    return clock.now(conn, principal_of(request).tenant_id)
