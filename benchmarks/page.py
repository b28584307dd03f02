"""The results of one complete run as a part of docs/benchmarks.md: `python -m benchmarks page`.

Only what the benchmarks wrote down is said; numbers are never typed in.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serving.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN = "<!-- results: made by `make bench-page`, do not edit -->"
END = "<!-- end of results -->"


def results(documents: Sequence[Mapping[str, Any]]) -> str:
    """The results in Markdown, one section a benchmark in the given order.

    Args:
        documents: What `benchmarks.harness.report` wrote.
    """
    commits = sorted({str(one["commit"]) for one in documents})
    machines = sorted({str(one["machine"]) for one in documents})
    head = (
        f"Made from the result files of {len(documents)} benchmarks, commit {', '.join(commits)}, on "
        f"{'; '.join(machines)}; {sum(float(one['wall_s']) for one in documents) / 60:.0f} minutes together."
    )
    return "\n\n".join([head, *(_section(one) for one in documents)])


def _section(document: Mapping[str, Any]) -> str:
    rows = ["| system | metric | value | unit | range |", "|---|---|---|---|---|"]
    for row in document["rows"]:
        low_high = "" if row["interval"] is None else " to ".join(_number(one) for one in row["interval"])
        cells = (row["system"], row["metric"], _number(row["value"]), row["unit"], low_high)
        rows.append(f"| {' | '.join(cells)} |")
    cost = f"{document['wall_s']} s, at most {document['peak_rss_mb']:,.0f} MB, commit {document['commit']}."
    return "\n\n".join([f"### `{document['name']}`", document["protocol"], "\n".join(rows), cost])


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1_000 else f"{value:.4g}"


def with_results(page: str, made: str) -> str:
    """The page with what stands between its marks replaced.

    Raises:
        ValueError: The page lacks the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks its marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def main(names: Sequence[str]) -> int:
    """Write the results of the benchmarks that have a file, in the order of the names."""
    folder = Settings().home / "bench"
    files = [folder / f"{name}.json" for name in names]
    documents = [json.loads(file.read_text()) for file in files if file.exists()]
    missing = [file.stem for file in files if not file.exists()]
    if not documents:
        print(f"error: no results in {folder}; run make bench first", file=sys.stderr)
        return 1
    PAGE.write_text(with_results(PAGE.read_text(), results(documents)))
    print(f"{PAGE}: {len(documents)} benchmarks" + (f"; without {', '.join(missing)}" if missing else ""))
    return 0
