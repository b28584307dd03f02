"""A classifier of texts that learns from some hundred examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.feedback.encoders import Encoder, Vectors

_DENSE, _SPARSE = 0.1, 10.0
"""Inverse strengths of the regularisation. Dense vectors are standardised: few examples in many dimensions
that all say something need a strong one; most n-grams are in no text at all."""


class Guess(NamedTuple):
    """A class, and how likely the model thinks it."""

    label: str
    probability: float


class TextClassifier:
    """Logistic regression over vectors of an encoder.

    >>> from models.feedback.encoders import NgramEncoder
    >>> sorter = TextClassifier(NgramEncoder())
    >>> _ = sorter.fit(["快递太慢", "物流很慢", "味道好", "很好吃"], ["slow", "slow", "good", "good"])
    >>> [guess.label for guess in sorter.predict(["快递慢"])]
    ['slow']
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._model = (
            make_pipeline(StandardScaler(), LogisticRegression(C=_DENSE, max_iter=2000))
            if encoder.is_dense
            else LogisticRegression(C=_SPARSE, max_iter=2000)
        )

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> TextClassifier:
        """Learn.

        Args:
            texts: Examples.
            labels: The class of each; two classes or more.

        Raises:
            ValueError: Not as many labels as texts, or a single class.
        """
        self.encoder.fit(texts)
        return self.fit_vectors(self.encoder.encode(texts), labels)

    def fit_vectors(self, vectors: Vectors, labels: Sequence[str]) -> TextClassifier:
        """Learn from vectors of the encoder."""
        if len(labels) != len(vectors) or len(set(labels)) < 2:
            raise ValueError(f"{len(vectors)} texts need a label each, of two classes or more")
        self._model.fit(vectors, list(labels))
        return self

    def predict(self, texts: Sequence[str]) -> list[Guess]:
        """The likeliest class of each text."""
        return self.predict_vectors(self.encoder.encode(texts)) if texts else []

    def predict_vectors(self, vectors: Vectors) -> list[Guess]:
        """The likeliest class of each vector of the encoder."""
        if not len(vectors):
            return []
        probabilities = self._model.predict_proba(vectors)
        best = np.argmax(probabilities, axis=1)
        return [
            Guess(str(self._model.classes_[column]), float(row[column]))
            for row, column in zip(probabilities, best, strict=True)
        ]
