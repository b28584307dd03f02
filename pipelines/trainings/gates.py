"""The asset checks that show whether a model may serve."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from pipelines.trainings.registration import gate_check_name


def gate_checks(asset: Sequence[str], models: Sequence[str]) -> list[dg.AssetCheckSpec]:
    """One check a model: did it pass the gate at its last training? It warns; the simple rule serves then."""
    return [
        dg.AssetCheckSpec(
            gate_check_name(model),
            asset=list(asset),
            description="Beats the best simple rule, and the standing champion, with an interval above 0.",
        )
        for model in models
    ]
