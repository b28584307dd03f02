"""What an installation cannot do without ends in one clear line and exit 1, never in a traceback."""

import socket

import pytest
from tiny_world import write_world
from world_run import Installation, explain

pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture(scope="module")
def feeds(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("feeds"))


@pytest.fixture(scope="module")
def installation(feeds, module_database_url, tmp_path_factory):
    """An installation whose graph is loaded once, so that each command starts quickly."""
    return Installation(tmp_path_factory.mktemp("home"), feeds, {"MUYUN_DATABASE_URL": module_database_url})


def told(done):
    """What the one line said; fails on a success, a traceback, or more than one line."""
    assert done.returncode == 1, explain(done)
    assert "Traceback" not in done.stdout + done.stderr, explain(done)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, explain(done)
    return lines[0]


@pytest.mark.parametrize("place", ["a file", "under a file", "no such device"])
def test_a_home_that_cannot_be_written(installation, tmp_path, place):
    (tmp_path / "file").touch()
    home = {"a file": tmp_path / "file", "under a file": tmp_path / "file" / "x", "no such device": "/proc/x"}
    line = told(installation.run(more={"MUYUN_HOME": str(home[place])}))
    assert str(home[place]) in line
    assert "MUYUN_HOME" in line


def test_a_database_that_does_not_answer(installation):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    url = f"postgresql://muyun:topsecret@127.0.0.1:{port}/muyun"
    line = told(installation.run(more={"MUYUN_DATABASE_URL": url}))
    assert f"127.0.0.1:{port}" in line
    assert "topsecret" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [("MUYUN_AS_OF", "tomorrow"), ("MUYUN_EXECUTOR", "cluster"), ("MUYUN_KEEP_VERSIONS", "0")],
)
def test_a_setting_that_cannot_be_meant(installation, name, value):
    assert name in told(installation.run(more={name: value}))


def test_settings_that_contradict_each_other(installation):
    line = told(installation.run(more={"MUYUN_TIME_ZONE": "Asia/Tokyo", "MUYUN_UTC_OFFSET_HOURS": "1"}))
    assert "MUYUN_TIME_ZONE and MUYUN_UTC_OFFSET_HOURS say different things" in line


def test_a_folder_of_feeds_that_is_not_there(installation, tmp_path):
    assert str(tmp_path / "gone") in told(installation.run(more={"MUYUN_DATA": str(tmp_path / "gone")}))


def test_a_required_table_that_is_missing_and_a_misspelt_one(installation, tmp_path):
    feeds = write_world(tmp_path / "feeds")
    (feeds / "products.csv").rename(feeds / "porducts.csv")
    line = told(installation.run(more={"MUYUN_DATA": str(feeds)}))
    assert "products: products.csv" in line
    assert "porducts.csv" in line


def test_a_port_that_is_taken(installation):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = told(installation.run("ui", {"MUYUN_MLFLOW_PORT": str(port)}))
    assert f"port {port} for MLflow is taken" in line
    assert "MUYUN_MLFLOW_PORT" in line


def test_a_version_that_was_never_published(installation):
    assert "no-such-version" in told(installation.run("rollback no-such-version"))


@pytest.fixture(scope="module")
def feeds_without_orders(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("without-orders") / "feeds")


@pytest.mark.parametrize("text", ["", "order_id,consumer_id,merchant_id,channel,placed_at,status\n"])
def test_a_required_file_without_rows(installation, feeds_without_orders, text):
    """Comes last: from here on the home holds this folder, and takes no other."""
    feeds = feeds_without_orders
    (feeds / "orders.csv").write_text(text)
    done = installation.run(more={"MUYUN_DATA": str(feeds)})
    assert done.returncode == 1, explain(done)
    assert "Traceback" not in done.stdout + done.stderr
    assert "orders.csv: no order has a readable placed_at" in done.stdout


def test_another_source_in_the_same_home(installation, feeds, feeds_without_orders):
    line = told(installation.run())
    assert f"holds {feeds_without_orders}, and {feeds} is another source" in line
    assert "MUYUN_HOME=" in line
    assert "make forget-source" in line


def test_a_database_that_holds_another_homes_data(installation, tmp_path):
    done = installation.run("versions", {"MUYUN_DATA": ""})
    assert done.returncode == 0, explain(done)
    line = told(installation.run("versions", {"MUYUN_HOME": str(tmp_path / "second"), "MUYUN_DATA": ""}))
    assert f"holds the data of the home {installation.home}" in line
    assert "MUYUN_DATABASE_URL" in line
