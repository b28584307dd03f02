"""The report in Chinese: the catalogue is whole, nothing of ours is left in English, data stay."""

import html
import re

import pytest
import yaml
from report_home import make_home, settings_of, summary_of

from pipelines.messages.by_text import Translator
from pipelines.report import write_report
from pipelines.report.language import CATALOGUE, in_language, translated
from pipelines.sources.contract import TABLES

TEXTS = yaml.safe_load(CATALOGUE.read_text())
HOLES = re.compile(r"\{(\w+)\}")
HAN = re.compile(r"[\u4e00-\u9fff]")
SENTENCE = re.compile(r"[A-Za-z']+(?:[ ,]+[A-Za-z']+){3,}")
"""Four words of English in a row are a sentence that nobody translated, or free text of the data."""

FREE_TEXT = re.compile(r"^[A-Z0-9 /()&-]+$|^(GET|POST) /|^\{")
"""Names of goods, requests and JSON answers."""


def texts_of(page):
    body = re.sub(r"<style.*?</style>|<script.*?</script>|<code>.*?</code>", "", page, flags=re.S)
    found = re.findall(r">([^<>]+)<", body) + re.findall(r'(?:aria-label|title)="([^"]+)"', body)
    return [text for one in found if (text := html.unescape(one).strip())]


@pytest.fixture(scope="module", params=["full", "bare"])
def pages(request, tmp_path_factory):
    """The same report in English and in Chinese, whole and with nothing in it."""
    home = tmp_path_factory.mktemp(request.param) / "var"
    summary = summary_of()
    if request.param == "full":
        settings = make_home(home)
    else:
        settings, summary = settings_of(home), {}
    return [
        write_report(settings.model_copy(update={"lang": lang}), summary).read_text() for lang in ("en", "zh")
    ]


@pytest.mark.parametrize(("english", "chinese"), TEXTS.items())
def test_a_translation_is_chinese_and_takes_the_same_values(english, chinese):
    assert sorted(HOLES.findall(english)) == sorted(HOLES.findall(chinese))
    assert HAN.search(chinese)
    assert not HAN.search(english)


def test_no_english_sentence_is_left(pages):
    note_of_a_model = {"pricing: too few price moves."}
    left = {text for text in texts_of(pages[1]) if SENTENCE.search(text) and not FREE_TEXT.match(text)}
    assert left <= note_of_a_model


def test_the_english_report_is_untouched(pages):
    assert '<html lang="en">' in pages[0]
    assert not HAN.search(" ".join(texts_of(pages[0])))
    assert '<html lang="zh-CN">' in pages[1]


def test_only_texts_differ_between_the_languages(pages):
    assert tags(pages[0]) == tags(pages[1])


def tags(page):
    plain = page.replace('lang="en"', "").replace('lang="zh-CN"', "")
    return re.findall(r"<[^>]+>", re.sub(r'(aria-label|title)="[^"]*"', "", plain))


def test_no_table_of_the_contract_is_renamed():
    assert not set(TABLES) & set(TEXTS)


def test_what_the_data_say_stays():
    shown = (
        "<p>no such text</p><td>FLUID MILK &amp; CREAM</td><code>rows</code><td>rows</td><td>&lt;b&gt;</td>"
    )
    assert in_language(shown, "zh") == (
        "<p>no such text</p><td>FLUID MILK &amp; CREAM</td><code>rows</code><td>行数</td><td>&lt;b&gt;</td>"
    )
    assert in_language(shown, "en") == shown


def test_values_are_put_in_and_known_words_among_them_translated():
    translator = Translator({"{system}, mean of {cuts} cuts": "{system}，{cuts} 个均值", "both": "两者"})
    assert translator.text("both, mean of 6 cuts") == "两者，6 个均值"
    assert translator.text("a mean of 6 cuts") == "a mean of 6 cuts"
    assert translated('<b title="both">both&ensp;</b>', translator) == '<b title="两者">两者\u2002</b>'
