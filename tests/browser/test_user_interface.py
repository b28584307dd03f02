"""`make ui` in a real browser: the graph is there, grouped and connected; Ctrl-C stops everything."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from world_run import REPOSITORY

pytestmark = pytest.mark.xdist_group("world")

GROUPS = {
    "ingest",
    "warehouse",
    "features",
    "recommendation",
    "demand",
    "replenishment",
    "pricing",
    "lifecycle",
    "publish",
}
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1000",
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def ui(world, first):
    """`muyun ui` on free ports; yields the process and the port of each service."""
    ports = {name: free_port() for name in ("DAGSTER", "MLFLOW", "API", "DOCS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "ui"],
        cwd=REPOSITORY,
        env=world.environment({f"MUYUN_{name}_PORT": str(port) for name, port in ports.items()}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                process.demo_key = next(word for said in lines for word in said.split() if "muyun_" in word)
                break
        else:
            pytest.fail("make ui ended: " + "".join(lines))
        yield process, ports
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    for argument in [*CHROMIUM, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def assert_alive(process, world):
    """The command still serves; if not, what its services said last."""
    logs = (world.home / "logs").glob("*.log")
    assert process.poll() is None, "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in logs)


def wait_for(url):
    """The page, once its server answers."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            return httpx.get(url, timeout=5, follow_redirects=True)
        except httpx.TransportError:
            time.sleep(0.3)
    pytest.fail(f"{url} does not answer")


def test_every_service_answers_on_its_own_port(ui):
    _, ports = ui
    assert wait_for(f"http://127.0.0.1:{ports['DAGSTER']}/server_info").json()["dagster_version"]
    assert wait_for(f"http://127.0.0.1:{ports['MLFLOW']}/health").status_code == 200
    assert wait_for(f"http://127.0.0.1:{ports['API']}/health/ready").status_code == 200
    site = wait_for(f"http://127.0.0.1:{ports['DOCS']}/").text
    for page in ("report/index.html", "dbt/static_index.html", "quality/index.html"):
        assert page in site
        assert wait_for(f"http://127.0.0.1:{ports['DOCS']}/{page}").status_code == 200


def test_the_printed_key_works_while_the_command_runs(ui):
    process, ports = ui
    address = f"http://127.0.0.1:{ports['API']}/v1/publications/current"
    wait_for(f"http://127.0.0.1:{ports['API']}/health/ready")
    assert httpx.get(address, headers={"X-API-Key": process.demo_key}).status_code == 200
    assert httpx.get(address, headers={"X-API-Key": process.demo_key + "x"}).status_code == 401


def test_the_graph_shows_every_group(ui, browser, world):
    process, ports = ui
    assert_alive(process, world)
    wait_for(f"http://127.0.0.1:{ports['DAGSTER']}/server_info")
    browser.get(f"http://127.0.0.1:{ports['DAGSTER']}/asset-groups")

    def groups_on_the_page(driver):
        shown = set(driver.find_element(By.TAG_NAME, "body").text.split())
        return shown >= GROUPS

    WebDriverWait(browser, 90).until(groups_on_the_page)
    assert not browser.find_elements(By.XPATH, "//button[contains(., 'Skip')]"), "the welcome dialog is there"


def test_a_published_table_shows_its_green_check(ui, browser, world):
    process, ports = ui
    assert_alive(process, world)
    browser.get(f"http://127.0.0.1:{ports['DAGSTER']}/assets/published/recommendations?view=checks")
    WebDriverWait(browser, 90).until(
        lambda driver: (
            "scores_are_safe_to_serve" in (text := driver.find_element(By.TAG_NAME, "body").text)
            and "Passed" in text
        )
    )


def test_an_interrupt_stops_everything(ui):
    process, ports = ui
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    for port in ports.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
