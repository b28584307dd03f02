"""`DATA=` and `MUYUN_DATA` both name the folder; neither erases the other."""

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
ASK = "--eval=ask: ; @echo [$$MUYUN_DATA]"


@pytest.mark.parametrize(
    ("environment", "given", "seen"),
    [
        ({}, [], ""),
        ({"MUYUN_DATA": "x"}, [], "x"),
        ({}, ["DATA=y"], "y"),
        ({"MUYUN_DATA": "x"}, ["DATA=y"], "y"),
        ({"MUYUN_DATA": "x"}, ["DATA="], "x"),
    ],
)
def test_what_a_command_of_make_sees(environment, given, seen):
    clean = {name: value for name, value in os.environ.items() if name not in ("MUYUN_DATA", "DATA")}
    done = subprocess.run(
        ["make", "-s", ASK, "ask", *given],
        cwd=REPOSITORY,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"[{seen}]"
