"""Texts of consumers sorted: what about, and how meant. Learned from examples that come with the product.

The examples were written for this (`examples.csv`: text, topic, sentiment); what a person corrects is one
more.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from models.feedback.classifier import Guess, TextClassifier
from models.feedback.contracts import Topic
from models.feedback.encoders import Encoder, installed

SURE = 0.4
"""Probability of a topic below which a text is left to a person; of nine topics, so chance is .11."""


class Example(NamedTuple):
    """A text that somebody sorted."""

    text: str
    topic: str
    sentiment: str


class Sorted(NamedTuple):
    """What the model makes of a text; the topic is `unsure` where it is less likely than `SURE`."""

    topic: str
    topic_probability: float
    sentiment: str
    sentiment_probability: float


def shipped_examples() -> list[Example]:
    """The examples of the product: sixteen a topic or more, praise and blame."""
    with Path(__file__).with_name("examples.csv").open(encoding="utf-8", newline="") as file:
        return [Example(row["text"], row["topic"], row["sentiment"]) for row in csv.DictReader(file)]


@dataclass(frozen=True)
class Sorter:
    """Two classifiers over one encoder.

    Attributes:
        topics: What about.
        sentiments: How meant.
        name: Encoder and digest of the examples: equal names sort equally.
    """

    topics: TextClassifier
    sentiments: TextClassifier
    name: str

    def sort(self, texts: Sequence[str]) -> list[Sorted]:
        """Topic and sentiment of each text."""
        if not texts:
            return []
        vectors = self.topics.encoder.encode(texts)
        pairs = zip(
            self.topics.predict_vectors(vectors), self.sentiments.predict_vectors(vectors), strict=True
        )
        return [_sorted(topic, sentiment) for topic, sentiment in pairs]


def name_of(examples: Sequence[Example], encoder: str | None = None) -> str:
    """Name of the sorter that knows these examples, without making it.

    Args:
        examples: In any order.
        encoder: Name of its encoder; None: the best one that is installed.
    """
    digest = hashlib.sha256("\n".join("\t".join(one) for one in sorted(examples)).encode()).hexdigest()[:12]
    return f"{encoder or installed().name}:{digest}"


def learn(examples: Sequence[Example], encoder: Encoder | None = None) -> Sorter:
    """A sorter that knows these examples.

    Args:
        examples: Of two topics and both sentiments at least.
        encoder: None: the best one that is installed.
    """
    chosen = encoder or installed()()
    texts = [one.text for one in examples]
    chosen.fit(texts)
    vectors = chosen.encode(texts)
    return Sorter(
        TextClassifier(chosen).fit_vectors(vectors, [one.topic for one in examples]),
        TextClassifier(chosen).fit_vectors(vectors, [one.sentiment for one in examples]),
        name_of(examples, chosen.name),
    )


def _sorted(topic: Guess, sentiment: Guess) -> Sorted:
    name = topic.label if topic.probability >= SURE else Topic.UNSURE
    return Sorted(name, topic.probability, sentiment.label, sentiment.probability)
