"""Complaints that call goods counterfeit, and those that do not."""

import pytest

from models.supply.supervision.words import names_a_counterfeit


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("收到的是假货", "假货"),
        ("假货!骗人", "假货"),
        ("明显是仿冒的", "仿冒"),
        ("山寨货", "山寨"),
        ("不是正品", "不是正品"),
        ("并非正品", "非正品"),
        ("不是真的,是假货", "假货"),
        ("不是坏了而是假货", "假货"),
        ("不是假货但是山寨", "山寨"),
        ("是不是假货?", "假货"),
        ("没有发票的明显是假货", "假货"),
        ("this is FAKE", "fake"),
        ("\uff26\uff21\uff2b\uff25", "fake"),  # full width
        ("fake_goods", "fake"),
        ("these are fakes", "fake"),
        ("not good, a counterfeit", "counterfeit"),
        ("not a fake but a replica", "replica"),
        ("it is not genuine", "not genuine"),
    ],
)
def test_a_complaint_that_says_so(text, word):
    assert names_a_counterfeit(text) == word


@pytest.mark.parametrize(
    "text",
    [
        "不是假货",
        "不是什么假货",
        "绝非山寨",
        "没发现是假货",
        "并无仿冒",
        "not a fake",
        "definitely not counterfeit",
        "it isn't fake",
        "it isn\u2019t a fake",
        "never a knockoff",
        "quality",
        "包装破损",
        "cannot replicate the taste",
        "",
    ],
)
def test_a_complaint_that_denies_it_or_is_about_something_else(text):
    assert names_a_counterfeit(text) is None


def test_the_words_are_a_setting():
    assert names_a_counterfeit("faux", ["faux"]) == "faux"
    assert names_a_counterfeit("fake", ["faux"]) is None
