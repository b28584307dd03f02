"""The card says what the run found, and nothing else."""

from datetime import UTC, date, datetime

from models.contracts import Candidate, GateDecision, Interval, Judged
from models.store.cards import Provenance, card


def made(tmp_path, **decision):
    gate = GateDecision(
        False,
        "wape",
        0.4123456,
        "last_4_weeks",
        0.4,
        Interval(-0.0123, -0.03, 0.01),
        **{"champion_lift": None, "reason": "refused: worse"} | decision,
    )
    return Candidate(
        name="demand_lstm", family="demand", config={"seed": 7, "from": date(2025, 1, 1)}, decision=gate,
        metrics={"wape": 0.4123456, "coverage_80": float("nan")}, leaderboard=[], bundle_dir=tmp_path,
        data_from=date(2024, 1, 1), data_to=datetime(2025, 6, 30, 12, tzinfo=UTC), input_rows=12345,
    )  # fmt: skip


def test_a_card_says_data_code_gate_metrics_and_settings(tmp_path):
    text = card(made(tmp_path), Provenance("d4", "c0de", "2025-06-30T12:00:00+00:00"))
    for line in (
        "# demand_lstm",
        "refused: worse",
        "| best simple rule, last_4_weeks | -0.0123 | -0.03 to 0.01 |",
        "Deciding metric: wape, 0.4123; last_4_weeks has 0.4.",
        "| first and last day | 2024-01-01 to 2025-06-30 |",
        "| rows | 12,345 |",
        "| data version | `d4` |",
        "| code version | `c0de` |",
        "| coverage_80 | not measured |",
        ' "seed": 7',
    ):
        assert line in text.splitlines(), line
    assert "standing champion" not in text


def test_a_card_says_what_else_was_judged(tmp_path):
    bias = Judged("bias", 0.05, "bound", 0.03, False, "bias is 0.0500, its bound 0.0300")
    other = made(tmp_path, champion_lift=Interval(0.1, 0.05, 0.15), judged=(bias,))
    text = card(other, Provenance("d", "c", "now"))
    assert "| standing champion | 0.1 | 0.05 to 0.15 |" in text.splitlines()
    assert "- does not hold: bias is 0.0500, its bound 0.0300" in text.splitlines()
