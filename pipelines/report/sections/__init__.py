"""The sections of the report, one module a theme; each turns evidence into blocks. No HTML here."""

from __future__ import annotations

from pipelines.report.blocks import Section
from pipelines.report.evidence import Evidence
from pipelines.report.sections import (
    channels,
    consumers,
    experiments,
    forecasts,
    growth,
    intake,
    levels,
    live,
    parties,
    prices,
    quality,
    reorder,
    run,
    sales,
    settlement,
    supply,
)


def all_sections(evidence: Evidence) -> list[Section]:
    """Every section in reading order."""
    return [
        run.headline(evidence),
        intake.section(evidence),
        sales.section(evidence),
        forecasts.section(evidence),
        quality.recommendation(evidence),
        prices.section(evidence),
        reorder.section(evidence),
        supply.section(evidence),
        consumers.wakeup(evidence),
        consumers.tags(evidence),
        quality.lifecycle(evidence),
        growth.section(evidence),
        levels.section(evidence),
        experiments.section(evidence),
        channels.section(evidence),
        parties.section(evidence),
        settlement.section(evidence),
        live.section(evidence),
        run.cost(evidence),
        run.api(evidence),
    ]
