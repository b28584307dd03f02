"""Executors that give each step to a process elsewhere: a Celery worker, a Kubernetes job. Dagster's own.

Every process must see the home's folder and the database under the same names: the folder is a volume that
all of them mount, the database has an address of its own (`MUYUN_DATABASE_URL`).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from pipelines.settings import Settings

SECRET = "muyun"
"""The Kubernetes secret with the settings that are secret, `MUYUN_DATABASE_URL` among them."""


class NoExecutorError(Exception):
    """The chosen executor cannot be used; the message says what to install or set."""


def celery(settings: Settings) -> tuple[dg.ExecutorDefinition, dict[str, Any]]:
    """Steps go to the workers that listen to a broker.

    Args:
        settings: Name the broker and where results are kept.

    Returns:
        Dagster's executor and its configuration.

    Raises:
        NoExecutorError: The extra is not installed, or no broker is named.
    """
    try:
        from dagster_celery import celery_executor
    except ImportError as error:
        raise NoExecutorError("MUYUN_EXECUTOR=celery needs dagster-celery; install muyun[celery]") from error
    if settings.celery_broker is None:
        raise NoExecutorError(
            "MUYUN_EXECUTOR=celery needs MUYUN_CELERY_BROKER, such as redis://broker:6379/0; the workers are "
            "started with the same one"
        )
    config: dict[str, Any] = {"broker": settings.celery_broker}
    if settings.celery_backend is not None:
        config["backend"] = settings.celery_backend
    return celery_executor, config


def k8s(settings: Settings) -> tuple[dg.ExecutorDefinition, dict[str, Any]]:
    """Every step is a Kubernetes job of the same image, with the home as a volume at the same path.

    Args:
        settings: Name the image, the namespace and the claim of the volume.

    Returns:
        Dagster's executor and its configuration.

    Raises:
        NoExecutorError: The extra is not installed, or image or claim are not named.
    """
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError as error:
        raise NoExecutorError("MUYUN_EXECUTOR=k8s needs dagster-k8s; install muyun[k8s]") from error
    missing = [
        variable
        for variable, value in (
            ("MUYUN_K8S_IMAGE", settings.k8s_image),
            ("MUYUN_K8S_CLAIM", settings.k8s_claim),
            ("MUYUN_DATABASE_URL", settings.database_url),
        )
        if value is None
    ]
    if missing:
        raise NoExecutorError(f"MUYUN_EXECUTOR=k8s needs {', '.join(missing)}; see docs/scaling.md")
    home = str(settings.home)
    claim = {"name": "home", "persistent_volume_claim": {"claim_name": settings.k8s_claim}}
    config: dict[str, Any] = {
        "job_image": settings.k8s_image,
        "job_namespace": settings.k8s_namespace,
        "env_secrets": [SECRET],
        "env_vars": [f"{name}={value}" for name, value in _plain(settings).items()],
        "step_k8s_config": {
            "container_config": {"volume_mounts": [{"name": "home", "mount_path": home}]},
            "pod_spec_config": {"volumes": [claim]},
        },
    }
    return k8s_job_executor, config


def _plain(settings: Settings) -> dict[str, str]:
    """The settings that a step's process must find as well, as environment variables; none is secret."""
    chosen: dict[str, Any] = {
        "MUYUN_HOME": settings.home,
        "MUYUN_DATA": settings.data,
        "MUYUN_AS_OF": settings.as_of.isoformat() if settings.as_of else None,
        "MUYUN_TIME_ZONE": settings.time_zone,
        "MUYUN_CURRENCY": settings.currency,
        "MUYUN_SEED": settings.seed,
        "MUYUN_EXECUTOR": settings.executor,
        "MUYUN_K8S_IMAGE": settings.k8s_image,
        "MUYUN_K8S_CLAIM": settings.k8s_claim,
        "MUYUN_K8S_NAMESPACE": settings.k8s_namespace,
        "DAGSTER_HOME": settings.home / "dagster",
    }
    return {name: str(value) for name, value in chosen.items() if value is not None}
