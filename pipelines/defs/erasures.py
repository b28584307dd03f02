"""Erasures: persons whom the operational database erased leave the files, before anything is loaded again."""

import dagster as dg

from pipelines.conventions import Group, Owner
from pipelines.erasure.tombstones import FILE, Tombstones, recorded_tombstones
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome, fingerprint
from pipelines.stores.database import Database


@dg.asset(
    key=["operations", "erasures"],
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"postgres", "parquet", "duckdb"},
    pool="lake",
)
def erasures(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Persons who were erased leave the lake, the warehouse, bundles, old publications, records and reports.

    Does nothing until somebody else is erased. What a source delivers of them again is kept out by the raw
    tables, which hang on this. One row per person who was erased.
    """
    tombstones = recorded_tombstones(database.url(), settings.tenant)
    return steps.run(
        context,
        lambda: _clear(settings, lake, tombstones),
        settings={"tombstones": fingerprint(tombstones.to_json())},
        outputs=[lake.root / FILE],
        clock="none",
    )


def _clear(settings: Settings, lake: Lake, tombstones: Tombstones) -> Outcome:
    from pipelines.erasure.home import clear_home

    done = clear_home(settings.home, lake.root, tombstones)
    return Outcome(
        rows=done.people,
        metadata={
            "files_written_anew": len(done.files),
            "rows_removed": done.removed,
            "rows_under_a_pseudonym": done.renamed,
        },
    )
