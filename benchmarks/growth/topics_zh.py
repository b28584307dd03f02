"""Chinese reviews: sentiment and category from 160 labelled ones, by the classifier of feedback."""

from __future__ import annotations

import io
import os
import statistics
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.public_data import MissingDataError, public_file
from models.feedback.classifier import TextClassifier
from models.feedback.encoders import E5Encoder, Encoder, NgramEncoder

NAME = "topics_zh"
LABELLED, SEEDS = 160, 5
NGRAMS, GUESSED = "character_ngrams", "most_frequent"
_PROTOCOL = (
    "online_shopping_10_cats: Chinese reviews of ten categories, marked good or bad; without duplicates and "
    "texts under 4 characters, `MUYUN_BENCH_TEXTS` (2,000) of the others drawn once. Five seeds: 160 drawn "
    "at random are labelled, all others are judged. accuracy: of the sentiment; accuracy_category: of the "
    "category, ten of them; medians over the seeds with the least and the most. cpu_ms: processor "
    "milliseconds of a text on one thread, encoding included. Nothing was tuned on these texts but the "
    "strength of the regularisation of dense vectors, chosen among five on a first draw of 1,800."
)


def main() -> int:
    """Runs the benchmark; 1 when the data are missing."""
    started = time.monotonic()
    try:
        texts = drawn(int(os.environ.get("MUYUN_BENCH_TEXTS", "2000")))
    except MissingDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = [*judged(OURS, E5Encoder(), texts), *judged(NGRAMS, NgramEncoder(), texts)]
    for metric, column in (("accuracy", "label"), ("accuracy_category", "cat")):
        most = texts[column].value_counts()["count"].max()
        rows.append(Row(GUESSED, metric, int(str(most)) / texts.height, "share"))
    home = Path(os.environ.get("MUYUN_HOME", "var"))
    report(home, name=NAME, protocol=_PROTOCOL, rows=rows, wall_s=time.monotonic() - started)
    return 0


def drawn(number: int) -> pl.DataFrame:
    """Reviews: cat, label, review."""
    with zipfile.ZipFile(public_file("zh_reviews", "online_shopping_10_cats.zip")) as archive:
        content = archive.read(archive.namelist()[0])
    return (
        pl.read_csv(io.BytesIO(content))
        .drop_nulls()
        .with_columns(pl.col("review").str.strip_chars("\ufeff "), pl.col("label").cast(pl.String))
        .filter(pl.col("review").str.len_chars() >= 4)
        .unique("review", maintain_order=True)
        .sample(number, shuffle=True, seed=20_261_129)
    )


def judged(system: str, encoder: Encoder, texts: pl.DataFrame) -> list[Row]:
    """Accuracy over the seeds, and what a text costs."""
    reviews = texts["review"].to_list()
    started = time.process_time()
    vectors = None
    if encoder.is_dense:
        vectors = encoder.encode(reviews)
    found: dict[str, list[float]] = {"label": [], "cat": []}
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(reviews))
        known, asked = order[:LABELLED], order[LABELLED:]
        for column, accuracies in found.items():
            labels = texts[column].to_numpy()
            accuracies.append(_accuracy(encoder, reviews, vectors, labels, known, asked))
    cost = (time.process_time() - started) / len(reviews) * 1000
    return [
        *(
            Row(
                system,
                metric,
                statistics.median(found[column]),
                "share",
                (min(found[column]), max(found[column])),
            )
            for metric, column in (("accuracy", "label"), ("accuracy_category", "cat"))
        ),
        Row(system, "cpu_ms", cost, "ms"),
    ]


def _accuracy(
    encoder: Encoder,
    reviews: list[str],
    vectors: npt.NDArray[np.float32] | None,
    labels: npt.NDArray[np.object_],
    known: npt.NDArray[np.int64],
    asked: npt.NDArray[np.int64],
) -> float:
    model = TextClassifier(encoder)
    if vectors is None:
        model.fit([reviews[i] for i in known], list(labels[known]))
        guesses = model.predict([reviews[i] for i in asked])
    else:
        guesses = model.fit_vectors(vectors[known], list(labels[known])).predict_vectors(vectors[asked])
    return float(np.mean([guess.label == label for guess, label in zip(guesses, labels[asked], strict=True)]))


if __name__ == "__main__":
    raise SystemExit(main())
