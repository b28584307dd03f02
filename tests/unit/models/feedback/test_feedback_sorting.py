"""Texts sorted by topic and sentiment: what the shipped examples teach, what is not dared, what is masked."""

import os

import pytest

from models.feedback.classifier import TextClassifier
from models.feedback.contracts import Sentiment, Topic
from models.feedback.encoders import E5Encoder, NgramEncoder, installed
from models.feedback.masking import masked
from models.feedback.sorting import SURE, Example, learn, name_of, shipped_examples

HELD_OUT = [
    ("用了一次就过敏了，脸上全是红疹", Topic.SAFETY, Sentiment.NEGATIVE),
    ("这手机是翻新的吧，假货", Topic.AUTHENTICITY, Sentiment.NEGATIVE),
    ("快递员把包裹扔在雨里", Topic.LOGISTICS, Sentiment.NEGATIVE),
    ("客服态度恶劣，不给退款", Topic.SERVICE, Sentiment.NEGATIVE),
    ("比隔壁店贵了十块", Topic.PRICE, Sentiment.NEGATIVE),
    ("尺码不对，发成了小号", Topic.DESCRIPTION, Sentiment.NEGATIVE),
    ("喝了牛奶拉肚子", Topic.SAFETY, Sentiment.NEGATIVE),
    ("泡沫箱很厚，一点没磕碰", Topic.PACKAGING, Sentiment.POSITIVE),
]
"""None of them is an example."""


@pytest.fixture(scope="module")
def sorter():
    return learn(shipped_examples())


def test_the_examples_cover_every_topic_and_both_sentiments():
    examples, topics = shipped_examples(), set(Topic) - {Topic.UNSURE}
    assert {one.topic for one in examples} == topics
    assert {(one.topic, one.sentiment) for one in examples} == {(t, s) for t in topics for s in Sentiment}
    assert len({one.text for one in examples}) == len(examples)


def test_texts_that_nobody_sorted_get_their_topic_and_sentiment(sorter):
    found = sorter.sort([text for text, _, _ in HELD_OUT])
    assert [(one.topic, one.sentiment) for one in found] == [(t, s) for _, t, s in HELD_OUT]
    assert all(one.topic_probability >= SURE for one in found)


def test_a_text_about_none_of_them_is_other(sorter):
    assert [one.topic for one in sorter.sort(["今天真冷", "在吗", "👌"])] == [Topic.OTHER] * 3


def test_what_is_not_likely_enough_is_left_to_a_person():
    sorter = learn(shipped_examples(), NgramEncoder())
    (found,) = sorter.sort(["zzz"])
    assert found.topic == Topic.UNSURE
    assert found.topic_probability < SURE


def test_what_a_person_corrects_is_learned():
    text = "团长把货放在小区门卫"
    before = learn(shipped_examples(), NgramEncoder())
    after = learn([*shipped_examples(), *[Example(text, "service", "negative")] * 3], NgramEncoder())
    assert before.name != after.name
    assert after.sort([text])[0].topic == "service"


def test_the_name_tells_the_examples_and_the_encoder_whatever_their_order():
    examples = shipped_examples()
    assert name_of(examples) == name_of(examples[::-1])
    assert name_of(examples) != name_of(examples[1:])
    assert learn(examples, NgramEncoder()).name == name_of(examples, NgramEncoder.name)


def test_no_texts_are_no_work(sorter):
    assert sorter.sort([]) == []
    assert TextClassifier(NgramEncoder()).fit(["a", "b"], ["x", "y"]).predict([]) == []


def test_one_class_cannot_be_told_apart():
    with pytest.raises(ValueError, match="two classes"):
        TextClassifier(NgramEncoder()).fit(["a", "b"], ["x", "x"])


@pytest.mark.parametrize("before", [None, "7"])
def test_the_encoder_leaves_the_environment_as_it_was(monkeypatch, before):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if before is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    E5Encoder()
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_without_the_wheel_ngrams_sort(monkeypatch):
    import models.feedback.encoders as encoders

    assert installed() is E5Encoder
    monkeypatch.setattr(encoders, "find_spec", lambda _: None)
    assert installed() is NgramEncoder


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("打我电话 138-0013-8000 吧", "打我电话 ＊ 吧"),
        ("邮箱 a.b@shop.example.cn", "邮箱 ＊"),
        ("加微信 wx_abc123 退款", "加＊ 退款"),
        ("身份证11010519491231002X泄露了", "身份证＊泄露了"),
        ("订单SF1234567890123没到", "订单＊没到"),
        ("住中山路88号2单元301室", "＊"),
        ("我叫李小明，要投诉", "我叫＊，要投诉"),
        ("烂了3个，赔我20元", "烂了3个，赔我20元"),
        ("见 https://x.example/y 的截图", "见 ＊ 的截图"),
        ("打138.0013.8000", "打＊"),
        ("打１３８－００１３－８０００吧", "打＊吧"),
        ("电话138——0013——8000", "电话＊"),
        ("电话一三八零零一三八零零零", "电话＊"),
        ("加V：abc_123说", "＊说"),
        ("微信是abc123", "＊"),
        ("weixin: abc123", "＊"),
        ("收货人：王芳，没收到", "收货人＊，没收到"),
        ("姓名是李四", "姓名＊"),
        ("张先生说坏了三个", "＊说坏了三个"),
        ("一共三个，第三天坏了", "一共三个，第三天坏了"),
        ("2.5斤只有1.8斤", "2.5斤只有1.8斤"),
        ("姓名牌掉了", "姓名牌掉了"),
    ],
)
def test_what_names_a_person_is_masked(text, shown):
    assert masked(text) == shown
