"""The words of feedback that others share."""

from __future__ import annotations

from enum import StrEnum


class Topic(StrEnum):
    """What a text is about."""

    LOGISTICS = "logistics"
    PACKAGING = "packaging"
    QUALITY = "quality"
    SAFETY = "safety"
    AUTHENTICITY = "authenticity"
    DESCRIPTION = "description"
    PRICE = "price"
    SERVICE = "service"
    OTHER = "other"
    """None of these: a greeting, a question, praise or blame without a word why."""
    UNSURE = "unsure"
    """The model does not dare to say; a person may."""


class Sentiment(StrEnum):
    """How it is meant."""

    NEGATIVE = "negative"
    POSITIVE = "positive"
