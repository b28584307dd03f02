"""The HTML report of a run: one file that needs no network. `write_report` makes it.

`evidence` reads what the run left, `sections` decide what is shown, `svg` draws, `template.html` lays out.
"""

from __future__ import annotations

from pipelines.report.page import write_report

__all__ = ["write_report"]
