"""Facts after many ticks equal a full build over the same rows, in every table."""

import json
import shutil

import duckdb
import live_market
import pytest

from pipelines.lake.tables import Lake
from pipelines.live import facts, intake
from pipelines.live.cuts import CUTS, NOT_LIVE
from pipelines.warehouse.compiled import compiled_of


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A lake loaded from the feed, the warehouse that dbt built of it, and the SQL it used."""
    from dbt_runs import run_dbt

    home = tmp_path_factory.mktemp("live")
    live_market.load_all(Lake(home / "lake"), {}, live_market.BASE)
    done = run_dbt(home, "run")
    assert done.code == 0, done.output
    manifest = json.loads((home / "target" / "manifest.json").read_text())
    return home, compiled_of(manifest, live_market.BASE.isoformat())


class Live:
    """A live store on a copy of the warehouse."""

    def __init__(self, base, folder):
        self.home, self.compiled = base
        self.file = folder / "gen-1.duckdb"
        shutil.copyfile(self.home / "build.duckdb", self.file)
        self.since = live_market.BASE

    def tick(self, rows, as_of):
        with duckdb.connect(str(self.file)) as connection:
            connection.execute("begin")
            taken = intake.take_in(connection, rows, as_of=as_of)
            done = self.apply(connection, taken.accepted, as_of)
            connection.execute("commit")
        self.since = as_of
        return taken, done

    def apply(self, connection, accepted, as_of):
        return facts.apply(
            connection,
            accepted,
            as_of=as_of,
            since=self.since,
            compiled=self.compiled,
            lake=self.home / "lake",
        )


def stored(compiled):
    return sorted(model.name for model in compiled.models.values() if model.is_table)


LIVE = sorted({replaced.model for cut in CUTS for replaced in cut.models})


def differences(live, full, compiled):
    """Rows that one has and the other has not, by table."""
    found = {}
    with duckdb.connect(str(live)) as connection:
        connection.execute(f"attach '{full}' as whole (read_only)")
        connection.execute("set TimeZone='UTC'")
        for name in LIVE:
            table = f"{compiled.models[name].schema}.{name}"
            for one, other in ((table, f"whole.{table}"), (f"whole.{table}", table)):
                rows = connection.execute(f"from {one} except all from {other}").fetchall()
                if rows:
                    found.setdefault(name, []).append((one, rows[:3]))
    return found


def test_every_stored_model_of_the_project_is_live_or_said_not_to_be(base):
    _, compiled = base
    core = {name for name in stored(compiled) if compiled.models[name].schema in ("core", "intermediate")}
    assert core == set(LIVE) | set(NOT_LIVE)
    assert not set(LIVE) & set(NOT_LIVE)


@pytest.mark.parametrize("seed", range(3))
def test_many_ticks_leave_what_a_full_build_makes(base, tmp_path, seed):
    live = Live(base, tmp_path)
    history = live_market.History(seed)
    for number in range(12):
        rows = history.tick(number % 5 * 2)
        live.tick(rows, history.now)
        if number % 4 == 3:
            folder = tmp_path / f"full-{number}"
            lake = Lake(folder / "lake")
            live_market.load_all(lake, history.state, history.now)
            live_market.build(folder / "full.duckdb", lake, live.compiled, history.now)
            assert differences(live.file, folder / "full.duckdb", live.compiled) == {}, number
    assert history.state
