"""The page of results says what the result files say."""

import pytest

from benchmarks.page import BEGIN, END, results, with_results

DOCUMENT = {
    "name": "clv_cdnow", "protocol": "39 weeks.", "machine": "two cores", "commit": "abc", "wall_s": 61.5,
    "peak_rss_mb": 1234.4,
    "rows": [
        {"system": "muyun", "metric": "mae", "value": 0.80912, "unit": "orders", "interval": [0.8, 0.815]},
        {"system": "bg_nbd", "metric": "skus", "value": 2000000.0, "unit": "", "interval": None},
    ],
}  # fmt: skip


def test_every_row_is_a_line_and_the_rest_of_the_page_stays():
    page = with_results(f"before\n{BEGIN}\nold\n{END}\nafter\n", results([DOCUMENT]))
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "old" not in page
    for line in (
        "### `clv_cdnow`",
        "| muyun | mae | 0.8091 | orders | 0.8 to 0.815 |",
        "| bg_nbd | skus | 2,000,000 |  |  |",
        "61.5 s, at most 1,234 MB, commit abc.",
    ):
        assert line in page.splitlines()
    assert with_results(page, results([DOCUMENT])) == page


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="lacks its marks"):
        with_results("no marks", "made")
