"""A change in one family, or in a text for people, makes no other family train again."""

import pytest

from pipelines.steps.closure import closure_of

FAMILIES = ("demand", "recommendation", "pricing", "lifecycle")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_reaches_its_own_family_only(family):
    modules = closure_of(f"pipelines.defs.{family}").modules
    assert f"models.{family}.training" in modules
    others = {f"models.{other}.training" for other in FAMILIES if other != family}
    assert not others & set(modules)
    assert not [name for name in modules if name.startswith("pipelines.messages")]
