"""`muyun limits`: the list, and accepting a new level."""

import pytest

from pipelines.lake.tables import Lake
from pipelines.limits import last_good
from pipelines.limits.document import LimitsError
from pipelines.limits.profile import Profile
from pipelines.run import limits
from pipelines.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


def test_the_list_names_every_limit_with_its_severity_and_the_last_good_batch(settings, capsys):
    last_good.remember(Lake(settings.lake_dir), "accepted_orders", Profile(1234))
    (settings.home / "limits.yaml").write_text("limits: {products_have_titles: {severity: error}}")
    assert limits.show(settings) == 0
    said = capsys.readouterr().out
    assert "orders (accepted_orders; last good batch 1,234 rows)" in said
    assert "warning sales_do_not_multiply: ratio_to_last_good of rows {'most': 5.0}" in said
    assert "error   products_have_titles" in said
    assert str(settings.home / "limits.yaml") in said


def test_accepting_a_level_forgets_the_last_good_batch_of_that_table_only(settings, capsys):
    lake = Lake(settings.lake_dir)
    last_good.remember(lake, "accepted_orders", Profile(1))
    last_good.remember(lake, "accepted_products", Profile(2))
    assert limits.accept(settings, "orders") == 0
    assert last_good.read(lake, "accepted_orders") is None
    assert last_good.read(lake, "accepted_products") == Profile(2)
    limits.accept(settings, "orders")
    assert "no good batch was known" in capsys.readouterr().out


def test_an_unknown_table_names_the_nearest(settings):
    with pytest.raises(LimitsError, match="no limits on 'order_line'; the nearest is 'order_lines'"):
        limits.accept(settings, "order_line")
