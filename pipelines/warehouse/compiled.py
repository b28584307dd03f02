"""The compiled dbt models, kept beside the warehouse they built, for running them again over slices.

dbt is asked for nothing here: its manifest of a build holds the SQL of every model. Two things in it are of
that build alone and become names: the moment it was built for, and the files of the lake.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.lake.files import atomic_path

AS_OF_VARIABLE = "muyun_as_of"
"""DuckDB variable (`set variable`) that gives compiled models their moment, ISO 8601 in UTC."""

RAW = "raw"
"""Schema of accepted rows by contract table; the versions that no longer stand are in `<table>_history`."""

_AS_OF_MACRO = "macro.muyun.as_of"
_LAKE_FILES = re.compile(
    r"read_parquet\('[^']*/(accepted|history)/(\w+)/\*\*/\*\.parquet',"
    r"\s*hive_partitioning=false, union_by_name=true\)"
)


class CompiledError(Exception):
    """The compiled models cannot be used; the message names the model and the remedy."""


@dataclass(frozen=True)
class CompiledModel:
    """A dbt model as SQL.

    Attributes:
        name: Its name.
        schema: Schema of its relation.
        is_table: Whether it is stored; else it is a view.
        sql: A select, every relation under the catalog of `Compiled.catalog`.
        parents: Models that it reads.
        sources: Contract tables that it reads.
    """

    name: str
    schema: str
    is_table: bool
    sql: str
    parents: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Compiled:
    """Every model of a build.

    Attributes:
        catalog: Database under which the SQL names its relations.
        as_of: The moment of the build (ISO 8601).
        models: By name.
    """

    catalog: str
    as_of: str
    models: Mapping[str, CompiledModel]

    def write(self, file: Path) -> None:
        """Keep it, whole or not at all."""
        content = {**asdict(self), "models": [asdict(model) for model in self.models.values()]}
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps(content, indent=1))


def compiled_beside(warehouse: Path) -> Path:
    """Where the compiled models of a warehouse file lie."""
    return warehouse.with_suffix(".sql.json")


def read_compiled(file: Path) -> Compiled:
    """The compiled models beside a warehouse.

    Raises:
        CompiledError: There are none.
    """
    if not file.exists():
        raise CompiledError(f"{file} does not exist; build the warehouse again (make run)")
    found = json.loads(file.read_text())
    models = (
        CompiledModel(**{**model, "parents": tuple(model["parents"]), "sources": tuple(model["sources"])})
        for model in found["models"]
    )
    return Compiled(found["catalog"], found["as_of"], {model.name: model for model in models})


def compiled_of(manifest: Mapping[str, Any], as_of: str, before: Compiled | None = None) -> Compiled:
    """The compiled models of a finished build.

    Args:
        manifest: dbt's manifest as the build left it.
        as_of: The moment it was built for, as dbt was told.
        before: Those of the build before: what a build of some models left as it was.

    Raises:
        CompiledError: A model reads the moment in a way that cannot be told from a constant.
    """
    models = {model.name: model for model in _models(manifest, as_of)}
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    names = {node["name"] for node in nodes}
    kept = {name: model for name, model in (before.models if before else {}).items() if name in names}
    return Compiled(nodes[0]["database"], as_of, {**kept, **models})


def _models(manifest: Mapping[str, Any], as_of: str) -> Iterator[CompiledModel]:
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model" or not node.get("compiled_code"):
            continue
        reads_as_of = _reads_as_of(node["depends_on"]["macros"], manifest["macros"])
        literal = f"cast('{as_of}' as timestamptz)"
        variable = f"cast(getvariable('{AS_OF_VARIABLE}') as timestamptz)"
        sql = node["compiled_code"]
        if reads_as_of != (literal in sql):
            reads, has = ("reads", "lacks") if reads_as_of else ("does not read", "has")
            raise CompiledError(
                f"model {node['name']} {reads} the moment of the build, but its SQL {has} {literal}; "
                "use the macro as_of() alone"
            )
        sql = _LAKE_FILES.sub(partial(_raw, node["database"]), sql.replace(literal, variable))
        if "read_parquet" in sql:
            raise CompiledError(f"model {node['name']} reads files by a pattern that is not known here")
        parents = [
            manifest["nodes"][one]["name"] for one in node["depends_on"]["nodes"] if one.startswith("model.")
        ]
        sources = [
            manifest["sources"][one]["name"]
            for one in node["depends_on"]["nodes"]
            if one.startswith("source.")
        ]
        yield CompiledModel(
            node["name"],
            node["schema"],
            node["config"]["materialized"] == "table",
            sql,
            tuple(parents),
            tuple(sources),
        )


def _reads_as_of(macros: list[str], known: Mapping[str, Any]) -> bool:
    """Whether one of these macros is the moment of the build, or calls it."""
    if _AS_OF_MACRO in macros:
        return True
    ours = [name for name in macros if name.startswith("macro.muyun.")]
    return any(_reads_as_of(known[name]["depends_on"]["macros"], known) for name in ours)


def _raw(catalog: str, files: re.Match[str]) -> str:
    """The relation for some files of the lake."""
    folder, table = files.groups()
    return f'"{catalog}"."{RAW}"."{table}{"_history" if folder == "history" else ""}"'
