"""The limits as written: what is shipped, what a user may change, and what is refused with the remedy."""

import re

import pytest

from pipelines.limits.document import SHIPPED, LimitsError, load_limits
from pipelines.limits.suites import ALL_BOUNDARIES


def chosen(home, text):
    (home / "limits.yaml").write_text(text, encoding="utf-8")
    return load_limits(home)


def test_without_a_file_the_shipped_limits_hold(tmp_path):
    limits = load_limits(tmp_path)
    assert limits.limits["sales_are_there"].severity == "error"
    assert limits.quarantined_share.tables == {"coupon_redemptions": 0.15}
    assert all(limits.at(boundary.suite) for boundary in ALL_BOUNDARIES)


def test_no_shipped_limit_names_an_amount_a_quantity_or_a_number_of_customers(tmp_path):
    """What is absurd for one shop is the trade of another: only shares, ratios, signs and scales."""
    for name, limit in load_limits(tmp_path).limits.items():
        bounds = [limit.arguments.get(key) for key in ("min_value", "max_value")]
        assert {bound for bound in bounds if bound is not None} <= {0, 1, 5, 200}, name
    assert not re.search(r"\d{4,}", SHIPPED.read_text())


def test_a_user_changes_severity_and_bounds_and_switches_off(tmp_path):
    limits = chosen(
        tmp_path,
        """
limits:
  sales_keep_their_volume: {severity: warning, ratio_to_last_good: {least: 0.1}}
  products_have_titles: off
  sales_are_there: {arguments: {min_value: 100}}
quarantined_share:
  least_rows: 3
  tables: {order_lines: 0.2}
""",
    )
    changed = limits.limits["sales_keep_their_volume"]
    assert (changed.severity, changed.ratio_to_last_good.least) == ("warning", 0.1)
    assert "accepted_orders" in changed.boundary
    assert "products_have_titles" not in limits.limits
    assert limits.limits["sales_are_there"].arguments == {"min_value": 100}
    assert limits.quarantined_share.tables == {"coupon_redemptions": 0.15, "order_lines": 0.2}
    assert (limits.quarantined_share.least_rows, limits.quarantined_share.always_above) == (3, 0.5)
    assert load_limits(tmp_path / "elsewhere").limits["sales_keep_their_volume"].severity == "error"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "limits: {sales_keep_ther_volume: off}",
            "no limit 'sales_keep_ther_volume'.*'sales_keep_their_volume'",
        ),
        ("limit: {}", "no section 'limit'; the nearest is 'limits'"),
        (
            "quarantined_share: {tables: {order_line: 0.1}}",
            "no table 'order_line'; the nearest is 'order_lines'",
        ),
        ("limits: {sales_are_there: {boundary: accepted_order}}", "no boundary .*'accepted_orders'"),
        ("limits: {sales_are_there: {severity: fatal}}", "limits.sales_are_there.severity"),
        ("limits: {sales_are_there: {severty: error}}", "limits.sales_are_there.severty"),
        ("limits: {sales_keep_their_volume: {ratio_to_last_good: {least: 2, most: 1}}}", "more than"),
        ("limits: {sales_keep_their_volume: {value: {least: 2}}}", "exactly one way"),
        ("limits: {sales_are_there: 7}", "expected names with values"),
        ("[1, 2", "cannot be read as YAML"),
        ("- a", "expected `limits:`"),
    ],
)
def test_what_cannot_be_meant_names_the_file_and_the_nearest_name(tmp_path, text, named):
    with pytest.raises(LimitsError, match=named) as caught:
        chosen(tmp_path, text)
    assert str(tmp_path / "limits.yaml") in str(caught.value)
    assert "\n" not in str(caught.value) or "YAML" in str(caught.value)


def test_an_empty_file_changes_nothing(tmp_path):
    assert chosen(tmp_path, "# nothing yet\n") == load_limits(tmp_path / "elsewhere")
