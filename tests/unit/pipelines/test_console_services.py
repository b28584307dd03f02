"""What the console starts, and what the page on settlement names, are commands that exist."""

import re
from pathlib import Path

from pipelines.console.ui import services
from pipelines.settings import Settings
from serving.jobs.commands import JOBS

REPOSITORY = Path(__file__).resolve().parents[3]


def test_every_worker_of_the_console_is_a_job(tmp_path):
    commands = [service.command for service in services(Settings(home=tmp_path), 8080)]
    jobs = {command[3] for command in commands if command[1:3] == ["-m", "serving.jobs"]}
    assert jobs == {"work", "deliver", "run-journeys", "ask-channels"}
    assert jobs <= set(JOBS)


def test_every_job_of_the_page_exists():
    text = (REPOSITORY / "docs" / "settlement.md").read_text()
    table = text[text.index("## Every day") :]
    rows = re.findall(
        r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", table[: table.index("`python -m serving.jobs")], re.M
    )
    named = {job for row in rows for job in re.findall(r"`([a-z-]+)`", row)}
    assert len(named) > 15
    assert named <= set(JOBS)
