"""pyspark lies beside the rest: whoever imports Great Expectations imports it, in any kind of process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_a_process_without_a_main_file_survives_the_checks_of_data() -> None:
    """Such are the workers of pytest-xdist; Spark Connect takes them for a doctest and ends them."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import pipelines.limits.quality as q, sys; print('alive', 'pyspark' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "alive True\n", done.stderr
