"""The embedded panel's members: the shipped programme, so that levels have life."""

from __future__ import annotations

from datetime import datetime

import psycopg

from pipelines.replay.bulk import tenant_of
from serving.members.programme import shipped
from serving.members.versions import put_forward, put_into_force, versions_of

BY = "replay"
"""Who put the programme of the demonstration forward."""


def open_programme(connection: psycopg.Connection, now: datetime) -> None:
    """Put the shipped programme of members into force, unless somebody put one forward."""
    tenant_id = tenant_of(connection)
    if not versions_of(connection, tenant_id):
        version = put_forward(connection, tenant_id, shipped(), BY, now)
        put_into_force(connection, tenant_id, version.version, now)
