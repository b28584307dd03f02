"""dbt models as assets: keys from the model's folder, one group, owners from the model's `meta.owner`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

from pipelines.conventions import Group, Owner
from pipelines.settings import Settings
from pipelines.warehouse.files import PROJECT_DIR
from pipelines.warehouse.parse import parsed


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
    return DbtProject(project_dir=PROJECT_DIR, target_path=parsed(settings), profiles_dir=PROJECT_DIR)
