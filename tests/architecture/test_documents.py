"""Documents stay true: links lead somewhere, the lock pins, nothing names this machine."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")], key=lambda page: page.as_posix()
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
ELSEWHERE = ("http://", "https://", "mailto:")
MACHINE_FOLDER = re.compile(r"(?<![\w.)}\]-])/(?:work|root|home/[a-z]+|Users/[a-z]+|opt/[a-z]+)/")
FENCE = re.compile(r"```.*?```", re.DOTALL)


def tracked_files():
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [REPOSITORY / name for name in done.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_leads_to_a_file(page):
    targets = LINK.findall(FENCE.sub("", page.read_text()))
    broken = [t for t in targets if not t.startswith(ELSEWHERE) and not (page.parent / t).exists()]
    assert broken == []


def test_both_readmes_have_the_same_sections_and_links():
    english, chinese = ((REPOSITORY / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    assert len(re.findall(r"^## ", english, re.M)) == len(re.findall(r"^## ", chinese, re.M))
    other = {"README.md", "README.zh-CN.md"}
    assert set(LINK.findall(english)) - other == set(LINK.findall(chinese)) - other


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-extras.lock"])
def test_the_lock_pins_exact_versions_and_names_no_index(lock):
    lines = (REPOSITORY / lock).read_text().splitlines()
    assert [
        line
        for line in lines
        if not re.fullmatch(
            r"[A-Za-z0-9._-]+(\[[a-z]+\])?==[A-Za-z0-9.!+-]+( ; platform_machine == '[a-z0-9_]+')?", line
        )
    ] == []


def test_every_direct_dependency_is_in_the_lock():
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    assert names_of(wanted) - pinned("requirements.lock") == set()
    extras = [item for items in project["project"]["optional-dependencies"].values() for item in items]
    assert names_of(extras) - pinned("requirements-extras.lock") == set()
    assert pinned("requirements.lock") & pinned("requirements-extras.lock") == set()


def names_of(requirements):
    return {re.split(r"[\[<>=~ ]", item)[0].lower().replace("_", "-") for item in requirements}


def pinned(lock):
    return {line.split("==")[0].lower() for line in (REPOSITORY / lock).read_text().split()}


def test_no_file_names_a_home_folder_of_a_machine():
    found = []
    for file in tracked_files():
        if file.suffix in {".png", ".lock"}:
            continue
        found += [
            f"{file.relative_to(REPOSITORY)}: {line.strip()[:80]}"
            for line in file.read_text(errors="replace").splitlines()
            if MACHINE_FOLDER.search(line)
        ]
    assert found == []


def test_every_benchmark_is_documented():
    from benchmarks.plan import PLAN

    page = (REPOSITORY / "docs" / "benchmarks.md").read_text()
    assert [name for name in PLAN if f"`{name}`" not in page] == []
    assert [
        name
        for name, one in PLAN.items()
        if not (REPOSITORY / "benchmarks" / one.room / f"{name}.py").exists()
    ] == []
