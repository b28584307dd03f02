"""Both languages say the same: every key, every placeholder, nothing left in English."""

import re
from string import Formatter

import pytest

from pipelines.messages import LANGUAGES, Texts, catalogue, language_of

HAN = re.compile(r"[\u4e00-\u9fff]")


def placeholders(text):
    return sorted((name, spec) for _, name, spec, _ in Formatter().parse(text) if name is not None)


def test_every_text_stands_in_both_languages():
    assert catalogue("en").keys() == catalogue("zh").keys()
    assert len(catalogue("en")) > 20


@pytest.mark.parametrize("key", catalogue("en"))
def test_a_text_takes_the_same_values_in_both_languages(key):
    assert placeholders(catalogue("en")[key]) == placeholders(catalogue("zh")[key])


@pytest.mark.parametrize(("key", "text"), catalogue("zh").items())
def test_a_chinese_text_is_chinese(key, text):
    assert HAN.search(text) or not re.search(r"[A-Za-z]{2,} [a-z]{2,}", text), key


def test_the_english_texts_hold_no_chinese():
    assert not [key for key, text in catalogue("en").items() if HAN.search(text)]


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"MUYUN_LANG": "zh"}, "zh"),
        ({"MUYUN_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"MUYUN_LANG": "", "LC_MESSAGES": "zh_TW.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_ALL": "de_DE.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
    ],
)
def test_the_setting_goes_before_the_locale(environment, language):
    assert language_of(environment) == language


def test_a_text_is_filled_in():
    assert Texts("en")("progress.rows", rows=1234) == "1,234 rows"
    assert Texts("zh")("progress.rows", rows=1234) == "1,234 行"
    assert Texts("zh").group("progress")["unchanged"] == "未变化"
    assert LANGUAGES == ("en", "zh")
