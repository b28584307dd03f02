"""dbt models as assets: keys from the model's folder, one group, owners from the model's `meta.owner`."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

from feature_store.zones import fixed_offset_minutes
from pipelines.conventions import Group, Owner
from pipelines.settings import REPOSITORY, Settings

PROJECT_DIR = REPOSITORY / "dbt_project"


class WarehouseTranslator(DagsterDbtTranslator):
    """Names dbt resources the way the rest of the graph is named: layer, domain, name."""

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """The asset of a dbt resource; sources keep the key of the raw asset that they read."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        props = self.get_resource_props(manifest, unique_id)
        if props["resource_type"] == "source":
            return spec
        folders = Path(props["original_file_path"]).parts[1:-1]
        owner = props.get("config", {}).get("meta", {}).get("owner") or Owner.ANALYTICS
        return spec.replace_attributes(
            key=dg.AssetKey([*folders, props["name"]]),
            group_name=Group.WAREHOUSE,
            owners=[owner if ":" in owner or "@" in owner else f"team:{owner}"],
        )


def dbt_program() -> str:
    """The dbt of this very environment, which need not be on the path."""
    return str(Path(sys.executable).with_name("dbt"))


def dbt_environment(settings: Settings, as_of: str) -> dict[str, str]:
    """What the dbt profile and project read from the environment."""
    fixed = fixed_offset_minutes(settings.zone)
    return {
        "MUYUN_LAKE": str(settings.lake_dir),
        "MUYUN_WAREHOUSE_BUILD": str(settings.warehouse_build),
        "MUYUN_AS_OF": as_of,
        "MUYUN_TIME_ZONE": settings.zone,
        "MUYUN_FIXED_OFFSET_MINUTES": "" if fixed is None else str(fixed),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "true",
    }


def project(settings: Settings) -> DbtProject:
    """The dbt project with its manifest, parsed again only when a project file changed.

    Raises:
        RuntimeError: dbt cannot parse the project; the message carries dbt's output.
        OSError: The disk is full.
    """
    target = settings.dbt_target_dir
    target.mkdir(parents=True, exist_ok=True)
    stamp = target / "parsed_from"
    version = project_version()
    is_current = stamp.exists() and stamp.read_text() == version and _is_whole(target / "manifest.json")
    if not is_current:
        done = subprocess.run(
            [
                dbt_program(),
                "parse",
                "--project-dir",
                str(PROJECT_DIR),
                "--profiles-dir",
                str(PROJECT_DIR),
                "--target-path",
                str(target),
                "--log-path",
                str(target / "logs"),
            ],
            capture_output=True,
            text=True,
            env=os.environ | dbt_environment(settings, "1970-01-01T00:00:00+00:00"),
            check=False,
        )
        if os.strerror(errno.ENOSPC) in done.stdout:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        if done.returncode != 0:
            raise RuntimeError(f"dbt cannot parse {PROJECT_DIR.name}:\n{done.stdout}{done.stderr}")
        stamp.write_text(version)
    return DbtProject(project_dir=PROJECT_DIR, target_path=target, profiles_dir=PROJECT_DIR)


def _is_whole(manifest: Path) -> bool:
    """Whether dbt wrote its manifest to the end; a killed process or a full disk leaves a torn one."""
    try:
        return bool(json.loads(manifest.read_bytes()))
    except (FileNotFoundError, ValueError):
        return False


def project_version() -> str:
    """Hash of the content of every file of the project that dbt reads."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(PROJECT_DIR.rglob("*")):
        if file.suffix in {".sql", ".yml", ".yaml", ".csv"} and "target" not in file.parts:
            digest.update(str(file.relative_to(PROJECT_DIR)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
