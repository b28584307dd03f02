"""What an advertisement must not say: every hit with its place, its law and what to do. Pure.

The words are data (`forbidden_words.yaml`). Everything that this product spreads asks here: materials,
messages of journeys, promotions, activities of communities.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

_TRADITIONAL = str.maketrans(
    "國級獨無僅歷來領導選頂極優強進歡銷冠療癒藥壓糖脂癌腫軟華億證險賺財轉運關務院專讓減體證眾馳標殺菌預風補腎壯陽",
    "国级独无仅历来领导选顶极优强进欢销冠疗愈药压糖脂癌肿软华亿证险赚财转运关务院专让减体证众驰标杀菌预风补肾壮阳",
)
_PASSED_OVER = re.compile(r"[\s*·•‧・※._/\\#@&'\"“”‘’「」『』\u115f\u1160]")
_PASSED_OVER_KINDS = frozenset({"Mn", "Me", "Cf", "So", "Sk", "Sm", "Pd"})
"""Marks with which words are pulled apart to pass a check, seen or not: by character, and by kind of Unicode
(accents, characters without a width, stars and pictures, signs of sums, dashes). Full stops and commas end a
thought and stay; so do signs of money, behind which a number means another thing."""
_LATIN = re.compile(r"[a-z0-9]+")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Term(_Part):
    term: Annotated[str, Field(min_length=2)]
    allowed: tuple[str, ...] = ()


class _Category(_Part):
    name: str
    title: str
    source: str
    remedy: str
    terms: tuple[_Term, ...]


class _Words(_Part):
    categories: tuple[_Category, ...]


@dataclass(frozen=True)
class Hit:
    """A forbidden word in a text.

    Attributes:
        term: The word, as the list has it.
        found: What stands in the text.
        start: Where it begins, in characters from 0.
        end: First character after it.
        category: Kind of word, for programs.
        title: Kind of word, for people.
        source: Law and article.
        remedy: What to do.
    """

    term: str
    found: str
    start: int
    end: int
    category: str
    title: str
    source: str
    remedy: str

    def __str__(self) -> str:
        return f"“{self.found}” at {self.start}: {self.title} ({self.source}); {self.remedy}"


def forbidden(text: str) -> list[Hit]:
    """Every forbidden word of a text by its place; a word inside a longer one is told as the longer one.

    Traditional characters, full-width ones and capitals are read as what they stand for, and spaces and marks
    between the characters of a word are passed over. A word inside an allowed phrase is no hit.

    Args:
        text: As it would be spread.
    """
    plain, places = _plain(text)
    taken = [False] * len(plain)
    found = []
    for category, term, allowed in _terms():
        for start in _starts(plain, term):
            end = start + len(term)
            first, last = places[start], places[end - 1] + 1
            if (
                any(taken[start:end])
                or _is_inside(plain, start, end, allowed)
                or _goes_on(term, text, first, last)
            ):
                continue
            taken[start:end] = [True] * len(term)
            found.append(
                Hit(
                    term,
                    text[first:last],
                    first,
                    last,
                    category.name,
                    category.title,
                    category.source,
                    category.remedy,
                )
            )
    return sorted(found, key=lambda hit: hit.start)


def _plain(text: str) -> tuple[str, Sequence[int]]:
    """The text as it is compared, and for each of its characters the place in the text."""
    characters, places = [], []
    for place, character in enumerate(text):
        for one in unicodedata.normalize("NFKC", character).translate(_TRADITIONAL).casefold():
            if not (_PASSED_OVER.match(one) or unicodedata.category(one) in _PASSED_OVER_KINDS):
                characters.append(one)
                places.append(place)
    return "".join(characters), places


def _starts(plain: str, term: str) -> Iterator[int]:
    start = plain.find(term)
    while start >= 0:
        yield start
        start = plain.find(term, start + 1)


def _goes_on(term: str, text: str, first: int, last: int) -> bool:
    """Whether a Latin word is a part of a longer one: `no1` is not in `no12`."""
    around = text[max(first - 1, 0) : first] + text[last : last + 1]
    return _LATIN.fullmatch(term) is not None and any(
        _LATIN.fullmatch(unicodedata.normalize("NFKC", one).casefold()) for one in around
    )


def _is_inside(plain: str, start: int, end: int, allowed: Sequence[str]) -> bool:
    for phrase in allowed:
        at = plain.find(phrase, max(0, end - len(phrase)))
        if 0 <= at <= start and end <= at + len(phrase):
            return True
    return False


@cache
def _terms() -> Sequence[tuple[_Category, str, Sequence[str]]]:
    """Categories, words as they are compared, phrases in which each is allowed; the longest word first."""
    read = _Words.model_validate(
        yaml.safe_load(Path(__file__).with_name("forbidden_words.yaml").read_text(encoding="utf-8"))
    )
    listed = [
        (category, _plain(entry.term)[0], tuple(_plain(phrase)[0] for phrase in entry.allowed))
        for category in read.categories
        for entry in category.terms
    ]
    return sorted(listed, key=lambda one: (-len(one[1]), one[1]))
