"""The loaded code location, described once for all tests of the graph."""

import os

import pytest
from graph_snapshot import load_in_a_new_process


@pytest.fixture(scope="session")
def loaded(tmp_path_factory):
    """What a new process finds when it loads the code location; its second load, with dbt already parsed."""
    home = tmp_path_factory.mktemp("graph_home")
    load_in_a_new_process(home)
    return load_in_a_new_process(home)


@pytest.fixture
def dagster_instance(database_url, tmp_path, monkeypatch):
    """A Dagster instance as shipped: our `dagster.yaml`, storage in PostgreSQL."""
    import dagster as dg

    from pipelines.resources import dagster_storage_url, environment, prepare_dagster_home
    from pipelines.settings import Settings

    settings = Settings(home=tmp_path)
    for name, value in environment(settings, dagster_storage_url(database_url)).items():
        monkeypatch.setenv(name, value)
    prepare_dagster_home(settings)
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
        yield instance


@pytest.fixture(scope="session")
def parsed_project(tmp_path_factory):
    """The dbt project, parsed once for all tests that build a graph of their own."""
    from pipelines.settings import Settings
    from pipelines.warehouse.translator import project

    return project(Settings.model_construct(home=tmp_path_factory.mktemp("parsed")))
