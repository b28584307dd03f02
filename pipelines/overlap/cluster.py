"""What Dagster's launcher and executor tell a Kubernetes cluster of an installation. No Dagster here."""

from __future__ import annotations

from typing import Any

from pipelines.settings import Settings

NAME = "muyun"
"""The secret with what is secret (`MUYUN_DATABASE_URL`, `MUYUN_DAGSTER_URL`, `MUYUN_MASTER_KEY`), the config
map with the file `dagster.yaml`, and the service account that may make jobs."""


class ClusterSettingsError(Exception):
    """Settings that a cluster needs are missing; the message names them."""


def launcher_of(settings: Settings) -> dict[str, Any]:
    """The entry `run_launcher` of `dagster.yaml`: runs and steps are jobs with the home as a volume.

    Args:
        settings: Name the image, the namespace, the claim of the volume and how the cluster is reached.

    Raises:
        ClusterSettingsError: Image, claim or database are not named.
    """
    needed = {
        "MUYUN_K8S_IMAGE": settings.k8s_image,
        "MUYUN_K8S_CLAIM": settings.k8s_claim,
        "MUYUN_DATABASE_URL": settings.database_url,
    }
    missing = [variable for variable, value in needed.items() if value is None]
    if missing:
        raise ClusterSettingsError(f"MUYUN_EXECUTOR=k8s needs {', '.join(missing)}; see docs/scaling.md")
    config: dict[str, Any] = {
        "job_image": settings.k8s_image,
        "job_namespace": settings.k8s_namespace,
        "service_account_name": NAME,
        "instance_config_map": NAME,
        "dagster_home": str(settings.home / "dagster"),
        "env_secrets": [NAME],
        "env_vars": [f"{name}={value}" for name, value in _plain(settings).items()],
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": settings.k8s_claim}}],
        "volume_mounts": [{"name": "home", "mountPath": str(settings.home)}],
    }
    if settings.k8s_config is not None:
        config |= {"load_incluster_config": False, "kubeconfig_file": str(settings.k8s_config)}
    return {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config}


def _plain(settings: Settings) -> dict[str, str]:
    """The settings that a job must find as well, as environment variables; none is secret."""
    chosen: dict[str, Any] = {
        "MUYUN_HOME": settings.home,
        "MUYUN_DATA": settings.data,
        "MUYUN_AS_OF": settings.as_of.isoformat() if settings.as_of else None,
        "MUYUN_TIME_ZONE": settings.time_zone,
        "MUYUN_HOLIDAYS": settings.holidays,
        "MUYUN_CURRENCY": settings.currency,
        "MUYUN_SEED": settings.seed,
        "MUYUN_EXECUTOR": settings.executor,
        "MUYUN_K8S_IMAGE": settings.k8s_image,
        "MUYUN_K8S_CLAIM": settings.k8s_claim,
        "MUYUN_K8S_NAMESPACE": settings.k8s_namespace,
    }
    return {name: str(value) for name, value in chosen.items() if value is not None}
