"""`python -m benchmarks.money.crash_worker <as-of>`: settlement jobs without end, for `crash_ledger`.

Every job works in batches of its own transaction; nothing here knows that it will be killed.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from functools import partial

import psycopg

from serving.db.connect import database_url
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger import chain, roller
from serving.orders.fulfilment.receipts import confirm_receipts_due
from serving.orders.settling import release_due
from serving.settings import Settings

TENANT = "default"
_PAUSE_S = 0.05


def main(as_of: datetime) -> None:
    """Confirm receipts, release, roll and seal, again and again."""
    settings = Settings()
    url = database_url(settings)
    anchors = chain.anchors_of(settings.home)
    with Operations(url, size=1) as operations, psycopg.connect(libpq_url(url)) as owner:
        transactions = partial(operations.transaction, TENANT)
        while True:
            confirm_receipts_due(transactions, TENANT, as_of)
            release_due(transactions, TENANT, as_of)
            with owner.transaction():
                roller.roll(owner)
            with owner.transaction():
                head = chain.seal(owner)
            chain.anchor(head, anchors)
            time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main(datetime.fromisoformat(sys.argv[1]))
