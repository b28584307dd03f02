"""Forbidden words of advertising: found with their place however written, and not where they are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.materials.advertising import forbidden


@pytest.mark.parametrize(
    ("text", "term", "found", "source"),
    [
        ("国家级品质", "国家级", "国家级", "9(3)"),
        ("全网最低价，快来", "全网最低", "全网最低", "9(3)"),
        ("销量第一的苹果", "第一", "第一", "9(3)"),
        ("最 佳 选 择", "最佳", "最 佳", "9(3)"),
        ("最*佳", "最佳", "最*佳", "9(3)"),
        ("最★佳", "最佳", "最★佳", "9(3)"),
        ("最\ufe0f佳", "最佳", "最\ufe0f佳", "9(3)"),
        ("最—\u00ad\u0301佳", "最佳", "最—\u00ad\u0301佳", "9(3)"),
        ("國家級榮譽", "国家级", "國家級", "9(3)"),
        ("全国ＮＯ．１", "no1", "ＮＯ．１", "9(3)"),
        ("Top 1 honey", "top1", "Top 1", "9(3)"),
        ("中南海特供茶", "中南海", "中南海", "9(2)"),
        ("喝了能降血糖", "降血糖", "降血糖", "17"),
        ("媲美母乳的奶粉", "媲美母乳", "媲美母乳", "20"),
        ("无效退款", "无效退款", "无效退款", "16(1)"),
    ],
)
def test_a_word_is_found_with_its_place_and_its_article(text, term, found, source):
    hit = forbidden(text)[0]
    assert (hit.term, hit.found) == (term, found)
    assert text[hit.start : hit.end] == found
    assert source in hit.source
    assert hit.remedy


@pytest.mark.parametrize(
    "text",
    [
        "第一次下单立减十元",
        "请在第一时间放入冰箱",
        "第一件半价",
        "最佳食用期三天",
        "最好在开封后三天内喝完",
        "巴氏杀菌鲜牛奶",
        "本品不能代替治疗",
        "国家级非物质文化遗产手工面",
        "产品唯一编码见包装",
        "二百五十克，产自烟台",
        "notebook no12, stop10",
        "199-50 for you: {coupon}",
        "Top ¥1",
        "第，一起来",
        "",
    ],
)
def test_what_only_looks_like_one_is_none(text):
    assert forbidden(text) == []


def test_an_exception_excuses_its_own_place_only():
    (hit,) = forbidden("第一次买就买销量第一")
    assert hit.start == 8
    assert [one.term for one in forbidden("最佳食用期，最佳品质，治疗咳嗽")] == ["最佳", "治疗"]


def test_the_longer_word_is_told_and_not_both():
    assert [hit.term for hit in forbidden("最优惠")] == ["最优惠"]
    assert [hit.term for hit in forbidden("全网最低价")] == ["全网最低"]
    assert [hit.term for hit in forbidden("顶级最佳")] == ["顶级", "最佳"]


def test_a_full_stop_ends_a_word():
    assert forbidden("我们选最。佳节快乐") == []


def test_a_hit_in_words_has_place_article_and_remedy():
    said = str(forbidden("它是最佳")[0])
    assert "“最佳” at 2: absolute term (广告法 art. 9(3))" in said


@given(st.text(max_size=60))
def test_any_text_is_judged_and_every_hit_lies_in_it(text):
    for hit in forbidden(text):
        assert 0 <= hit.start < hit.end <= len(text)
        assert text[hit.start : hit.end] == hit.found


@given(
    st.text(alphabet="苹果新鲜甜脆好吃", max_size=10),
    st.text(alphabet=" *·-★👍・×—\u3164\ufe0f\u00ad\u200d", max_size=3),
)
def test_marks_between_do_not_hide_a_word(around, marks):
    assert [hit.term for hit in forbidden(f"{around}国{marks}家{marks}级{around}")] == ["国家级"]
