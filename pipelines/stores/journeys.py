"""What came of journeys, as a run leaves it in the lake: effects by arm, ways, and the steps they pass."""

from __future__ import annotations

import polars as pl

EFFECT = "journeys/effect"
"""Per journey and arm: `EFFECT_COLUMNS`."""
WAYS = "journeys/ways"
"""How many runs went which way: `WAY_COLUMNS`."""
STEPS = "operations/journey_steps"
"""Report: by journey, the id and kind of each step, in order."""
WAY_COLUMNS: dict[str, pl.DataType] = {
    "journey_id": pl.String(),
    "version": pl.Int64(),
    "arm": pl.String(),
    "step": pl.String(),
    "next_step": pl.String(),
    "reason": pl.String(),
    "runs": pl.Int64(),
}
EFFECT_COLUMNS: dict[str, pl.DataType] = {
    "journey_id": pl.String(),
    "title": pl.String(),
    "version": pl.Int64(),
    "state": pl.String(),
    "goal": pl.String(),
    "arm": pl.String(),
    "is_simulated": pl.Boolean(),
    "run_count": pl.Int64(),
    "assigned_count": pl.Int64(),
    "sent_count": pl.Int64(),
    "delivered_count": pl.Int64(),
    "failed_count": pl.Int64(),
    "clicked_count": pl.Int64(),
    "opted_out_count": pl.Int64(),
    "converted_count": pl.Int64(),
    "conversion_share": pl.Float64(),
    "margin_cents": pl.Int64(),
    "message_cost_cents": pl.Int64(),
    "net_margin_cents": pl.Int64(),
    "difference": pl.Float64(),
    "difference_low": pl.Float64(),
    "difference_high": pl.Float64(),
    "ratio_p": pl.Float64(),
    "verdict": pl.String(),
}
"""The last five stand on the row of the treated: it against the controls."""
