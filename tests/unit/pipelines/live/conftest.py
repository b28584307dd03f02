"""A warehouse that dbt built once, and live stores on copies of it."""

import json
import shutil

import duckdb
import live_market
import pytest
from filelock import FileLock

from pipelines.lake.tables import Lake
from pipelines.live import facts, intake
from pipelines.live.accepted import Accepted
from pipelines.live.cuts import CUTS
from pipelines.warehouse.compiled import compiled_of

LIVE = sorted({replaced.model for cut in CUTS for replaced in cut.models})


@pytest.fixture(scope="session")
def base(tmp_path_factory, worker_id):
    """A lake loaded from the feed, the warehouse that dbt built of it, and the SQL it used."""
    from dbt_runs import run_dbt

    folder = tmp_path_factory.getbasetemp()
    home = (folder if worker_id == "master" else folder.parent) / "live_warehouse"
    with FileLock(f"{home}.lock"):
        if not (home / "done").exists():
            live_market.load_all(Lake(home / "lake"), {}, live_market.BASE)
            done = run_dbt(home, "run")
            assert done.code == 0, done.output
            (home / "done").touch()
    manifest = json.loads((home / "target" / "manifest.json").read_text())
    return home, compiled_of(manifest, live_market.BASE.isoformat())


@pytest.fixture
def live(base, tmp_path):
    """A live store at the moment of the build."""
    return LiveFacts(base, tmp_path)


class LiveFacts:
    """A live store on a copy of the warehouse."""

    def __init__(self, base, folder):
        self.home, self.compiled = base
        self.folder = folder
        self.file = folder / "gen-1.duckdb"
        shutil.copyfile(self.home / "build.duckdb", self.file)
        self.since = live_market.BASE

    def open(self):
        return duckdb.connect(str(self.file))

    def tick(self, rows=None, as_of=None):
        """Take rows in and bring them into the facts: what `intake` and `facts` said of it."""
        as_of = as_of or self.since
        frames = {
            table: live_market.frame(table, found) if isinstance(found, list) else found
            for table, found in (rows or {}).items()
        }
        with self.open() as connection:
            connection.execute("begin")
            taken = intake.take_in(connection, frames, as_of=as_of)
            done = self.apply(connection, taken.accepted, as_of)
            connection.execute("commit")
        self.since = as_of
        return taken, done

    def apply(self, connection, accepted: Accepted, as_of):
        lake = self.home / "lake"
        return facts.apply(
            connection, accepted, as_of=as_of, since=self.since, compiled=self.compiled, lake=lake
        )

    def rows(self, sql):
        with self.open() as connection:
            connection.execute("set TimeZone='UTC'")
            return connection.execute(sql.replace("live.", '"gen-1".live.')).fetchall()

    def whole(self, state, as_of, name="full", tombstones=live_market.NOBODY):
        """A full build over the feed and everything that was recorded: its file."""
        folder = self.folder / name
        lake = Lake(folder / "lake")
        live_market.load_all(lake, state, as_of, tombstones)
        live_market.build(folder / "full.duckdb", lake, self.compiled, as_of)
        return folder / "full.duckdb"

    def differences(self, full):
        """Rows that one has and the other has not, by table."""
        found = {}
        with self.open() as connection:
            connection.execute(f"attach '{full}' as whole (read_only)")
            connection.execute("set TimeZone='UTC'")
            for name in LIVE:
                table = f"{self.compiled.models[name].schema}.{name}"
                for one, other in ((table, f"whole.{table}"), (f"whole.{table}", table)):
                    rows = connection.execute(f"from {one} except all from {other}").fetchall()
                    if rows:
                        found.setdefault(name, []).append((one, rows[:3]))
        return found
