"""What came of experiments, as a run leaves it in the lake."""

REPORT = "operations/experiments"
"""Report of the lake: results of the installation's own tenant."""
