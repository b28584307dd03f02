"""The home's database: claimed by its id, and what follows when it is not the one that was there before."""

from __future__ import annotations

import psycopg

from pipelines.home.lock import say
from pipelines.settings import Settings
from serving.db.claim import claim_database
from serving.db.urls import libpq_url
from serving.home_record import HomeRecord
from serving.ledger.chain import anchors_of, set_anchors_aside


def claim(settings: Settings, url: str, home: HomeRecord) -> None:
    """Claim the database for the home; one that is new in place of a lost one begins a new ledger.

    Raises:
        AnotherHomeError: The database belongs to another home.
        DatabaseUnavailableError: The server does not answer.
    """
    if not claim_database(
        url, home.home_id, settings.home, tenant_id=settings.tenant, is_new_home=home.source is None
    ):
        return
    with psycopg.connect(libpq_url(url)) as connection:
        aside = set_anchors_aside(connection, anchors_of(settings.home))
    if aside is not None:
        say(
            f"the database is new: its ledger begins anew; the anchors of the lost one are kept in {aside}. "
            "If it held orders, stop here and restore a backup: docs/operations.md"
        )
