"""The code behind a step: what its module can reach, and that every kind of change shows."""

import shutil

import pytest

from pipelines.settings import REPOSITORY
from pipelines.steps import closure
from pipelines.steps.closure import PACKAGES, closure_of


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small tree of our packages; returns a function that writes a file of it."""

    def write(path, text=""):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        closure.imports_of.cache_clear()
        return file

    write("models/__init__.py")
    write("models/family/__init__.py")
    write("models/family/training.py", "import numpy\nfrom models.family import rules\nrules.x, numpy.y\n")
    write("models/family/rules.py", "x = 1\n")
    write("models/other.py", "x = 2\n")
    write("pipelines/__init__.py")
    write(
        "pipelines/step.py", "def work():\n    from models.family.training import train\n    return train\n"
    )
    write.root = tmp_path
    return write


def version(tree):
    return closure_of("pipelines.step", tree.root).version


def test_modules_are_followed_through_functions_packages_and_submodules(tree):
    found = closure_of("pipelines.step", tree.root)
    assert found.modules == (
        "models", "models.family", "models.family.rules", "models.family.training", "pipelines",
        "pipelines.step",
    )  # fmt: skip
    assert found.packages == ("numpy",)


@pytest.mark.parametrize(
    "file",
    ["pipelines/step.py", "models/family/training.py", "models/family/rules.py", "models/__init__.py"],
)
def test_a_changed_line_anywhere_behind_the_step_shows(tree, file):
    before = version(tree)
    path = tree.root / file
    tree(file, path.read_text() + "# another line\n")
    assert version(tree) != before


def test_code_that_the_step_cannot_reach_does_not_matter(tree):
    before = version(tree)
    tree("models/other.py", "x = 3\n")
    tree("models/family/unused.py", "x = 3\n")
    assert version(tree) == before


@pytest.mark.parametrize("name", ["query.sql", "limits.yaml", "tags/core.yml", "words.json", "days.csv"])
def test_data_of_a_package_that_is_reached_shows(tree, name):
    before = version(tree)
    tree(f"models/family/{name}", "1")
    with_data = version(tree)
    tree(f"models/family/{name}", "2")
    assert len({before, with_data, version(tree)}) == 3


def test_data_of_a_package_that_is_not_reached_does_not(tree):
    tree("models/stranger/__init__.py")
    before = version(tree)
    tree("models/stranger/query.sql", "1")
    assert version(tree) == before


def test_a_package_of_another_version_shows(tree, monkeypatch):
    before = version(tree)
    monkeypatch.setattr(closure, "package_version", lambda name: "99")
    assert version(tree) != before


def test_versions_are_those_of_the_distribution_that_brings_the_name():
    import importlib.metadata

    assert closure.package_version("polars") == importlib.metadata.version("polars")
    assert closure.package_version("yaml") == importlib.metadata.version("pyyaml")
    assert closure.package_version("no_such_module") == "absent"


def test_relative_imports_and_what_a_package_hands_on_are_followed(tree):
    tree("models/family/__init__.py", "from .training import train\n")
    tree("models/family/training.py", "from . import rules\nfrom ..other import x\nrules.x, x\n")
    tree("pipelines/step.py", "from models.family import train\ntrain()\n")
    assert {"models.other", "models.family.rules"} <= set(closure_of("pipelines.step", tree.root).modules)


def test_imports_that_only_annotate_are_left_out(tree):
    tree(
        "pipelines/step.py",
        "from typing import TYPE_CHECKING\nfrom models.other import Other\n"
        "if TYPE_CHECKING:\n    from models.family.training import train\n"
        "def work(one: Other) -> Other: return one\n",
    )
    assert closure_of("pipelines.step", tree.root).modules == ("pipelines", "pipelines.step")


def test_a_resource_that_a_signature_names_is_part_of_the_step(tree):
    tree(
        "pipelines/step.py",
        "import dagster as dg\nfrom models.other import Other\n"
        "def work(one: dg.ResourceParam[Other]): return one\n",
    )
    assert "models.other" in closure_of("pipelines.step", tree.root).modules


def test_modules_in_a_circle_end(tree):
    tree("models/family/rules.py", "from models.family.training import train\ntrain\n")
    assert "models.family.rules" in closure_of("pipelines.step", tree.root).modules


def test_a_misspelt_module_is_an_error_instead_of_a_frozen_step(tree):
    with pytest.raises(ModuleNotFoundError, match=r"pipelines\.stpe"):
        closure_of("pipelines.stpe", tree.root)


@pytest.mark.parametrize(
    ("family", "trained"),
    [("demand", True), ("pricing", True), ("recommendation", True), ("lifecycle", True), ("ingest", False)],
)
def test_the_sql_that_selects_training_rows_is_behind_every_family(tmp_path, family, trained):
    """On a copy of this very tree, with one condition of `pipelines/warehouse/reading.py` changed."""
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    before = closure_of(f"pipelines.defs.{family}", tmp_path).version
    file = tmp_path / "pipelines" / "warehouse" / "reading.py"
    text = file.read_text()
    assert "from core.fct_order_lines" in text
    file.write_text(text.replace("from core.fct_order_lines", "from core.fct_order_lines -- less", 1))
    assert (closure_of(f"pipelines.defs.{family}", tmp_path).version != before) == trained


def test_the_tree_and_a_copy_of_it_have_the_same_versions(tmp_path):
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert (
        closure_of("pipelines.defs.demand", tmp_path).version == closure_of("pipelines.defs.demand").version
    )


def test_training_a_family_does_not_hang_on_the_adapters_of_sources():
    modules = closure_of("pipelines.defs.demand").modules
    assert "models.demand.training" in modules
    assert not [name for name in modules if name.startswith("pipelines.sources.files")]
