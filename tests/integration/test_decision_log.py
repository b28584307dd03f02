"""Whoever was erased leaves the log of decisions."""

from datetime import UTC, datetime
from types import SimpleNamespace

import polars as pl
import psycopg

from pipelines.decisions.kept import forget_erased
from pipelines.decisions.log import DecisionLog
from pipelines.lake.tables import Lake
from serving.consumers.erasure import erase
from serving.db.urls import libpq_url
from serving.settings import DEFAULT_TENANT

NOW = datetime(2024, 7, 3, tzinfo=UTC)


def test_an_erased_person_leaves_every_file_of_the_log(tmp_path, database_url):
    log = DecisionLog(Lake(tmp_path), "wakeup_list")
    for day in (1, 2):
        moment = datetime(2024, 7, day, tzinfo=UTC)
        log.write(pl.DataFrame({"consumer_id": ["stays-1", "leaves-77"], "as_of": [moment] * 2}), moment)
    database = SimpleNamespace(url=lambda: database_url, tenant_id=DEFAULT_TENANT)
    forget_erased(log, database)
    assert log.consumers() == {"stays-1", "leaves-77"}
    with psycopg.connect(libpq_url(database_url)) as connection:
        connection.execute("select set_config('muyun.tenant', %s, true)", (DEFAULT_TENANT,))
        erase(connection, DEFAULT_TENANT, "leaves-77", NOW)
    forget_erased(log, database)
    assert log.consumers() == {"stays-1"}
    assert all(b"leaves-77" not in file.read_bytes() for file in log.files())
