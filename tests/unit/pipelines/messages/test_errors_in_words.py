"""Errors of the command line in Chinese, by their English text."""

import os
import re
import subprocess
import sys

import pytest
import yaml
from world_run import REPOSITORY

from pipelines.messages.errors import CATALOGUE, in_words

HOLES = re.compile(r"\{(\w+)\}")
TEXTS = yaml.safe_load(CATALOGUE.read_text())


@pytest.mark.parametrize(("english", "chinese"), TEXTS.items())
def test_both_take_the_same_values(english, chinese):
    assert sorted(HOLES.findall(english)) == sorted(HOLES.findall(chinese))
    assert re.search(r"[\u4e00-\u9fff]", chinese)


def test_values_stay_and_known_words_among_them_are_translated():
    assert in_words("the source folder /x y does not exist; create it or change the setting", "zh") == (
        "数据源文件夹 /x y 不存在；请创建它或修改设置"
    )
    assert in_words("training demand forecasters failed", "zh") == "训练 demand forecasters 失败"
    assert in_words("something that nobody translated", "zh") == "something that nobody translated"
    assert in_words("building the warehouse (dbt) failed", "en") == "building the warehouse (dbt) failed"


def ask(language, *command):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUYUN_")}
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *command],
        cwd=REPOSITORY,
        env=environment | {"MUYUN_LANG": language, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_and_errors_come_in_the_language_asked_for():
    assert "发布、报告" in ask("zh", "--help").stdout
    assert "publication, report" in ask("en", "--help").stdout
    missing = ask("zh", "check-data", "/no/such/folder")
    assert missing.returncode == 1
    assert missing.stderr.startswith("错误：文件夹 /no/such/folder 不存在")


def test_a_language_that_nobody_speaks_is_refused():
    refused = ask("fr", "check-data", "/no/such/folder")
    assert refused.returncode == 1
    assert "MUYUN_LANG" in refused.stderr
