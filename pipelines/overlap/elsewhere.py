"""Executors that give each step to a process elsewhere: a Celery worker, a Kubernetes job. Dagster's own.

Every process must see the home's folder and the database under the same names: the folder is a volume that
all of them mount, the database has an address of its own (`MUYUN_DATABASE_URL`).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from pipelines.settings import Settings


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
    """Every step is a Kubernetes job; what jobs have in common the launcher says (`.cluster`).

    Args:
        settings: Name the image and the namespace.

    Returns:
        Dagster's executor and its configuration.

    Raises:
        NoExecutorError: The extra is not installed.
    """
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError as error:
        raise NoExecutorError("MUYUN_EXECUTOR=k8s needs dagster-k8s; install muyun[k8s]") from error
    return k8s_job_executor, {"job_namespace": settings.k8s_namespace}
