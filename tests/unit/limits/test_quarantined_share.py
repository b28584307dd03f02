"""From which share of refused rows on a table blocks."""

import pytest

from pipelines.limits.document import load_limits
from pipelines.limits.quarantined import blocked, quarantined_share
from pipelines.sources.loading.ingest import IngestReport


def account(table, received, refused):
    return IngestReport(table, "observed", received, received - refused, refused, {}, (), None, None, ())


@pytest.fixture
def limits(tmp_path):
    return load_limits(tmp_path).quarantined_share


@pytest.mark.parametrize(
    ("received", "refused", "is_too_much", "blocks"),
    [
        (1000, 50, False, False),
        (1000, 51, True, True),
        (100, 9, True, False),
        (100, 10, True, True),
        (12, 1, True, False),
        (12, 6, True, False),
        (12, 7, True, True),
        (1, 1, True, True),
        (0, 0, False, False),
        (22_190, 3_710, True, True),
    ],
)
def test_more_than_a_twentieth_blocks_unless_it_is_a_handful_of_a_small_table(
    limits, received, refused, is_too_much, blocks
):
    found = quarantined_share(account("orders", received, refused), limits, 0.05)
    assert (found.is_too_much, found.blocks) == (is_too_much, blocks)


def test_the_share_of_a_table_is_its_own_or_the_setting(limits):
    assert not quarantined_share(account("coupon_redemptions", 2102, 170), limits, 0.05).is_too_much
    assert quarantined_share(account("orders", 2102, 170), limits, 0.05).blocks
    assert not quarantined_share(account("orders", 2102, 170), limits, 0.1).is_too_much
    assert quarantined_share(account("orders", 1000, 11), limits, 0.01).blocks


def test_it_says_how_many_of_how_many(limits):
    found = quarantined_share(account("orders", 22_190, 3_710), limits, 0.05)
    assert str(found) == "16.7% of orders were refused: 3,710 of 22,190 rows (admitted: 5.0%)"


def test_only_what_blocks_holds(limits):
    reports = [account("orders", 1000, 60), account("products", 12, 2), account("order_lines", 9000, 8000)]
    assert [share.table for share in blocked(reports, limits, 0.05)] == ["orders", "order_lines"]
