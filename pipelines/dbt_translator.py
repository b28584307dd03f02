"""dbt models as assets: keys from the model's folder, one group, owners from the model's `meta.owner`."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

from pipelines.conventions import Group, Owner
from pipelines.dbt_files import PROJECT_DIR, dbt_environment, dbt_program, project_version
from pipelines.settings import Settings


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
