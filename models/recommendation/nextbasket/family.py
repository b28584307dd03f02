"""The next-basket ranker as a family: fit on anybody's purchases, rank for anybody, at least the simple rule.

Everything is chosen on purchases held out inside the training data. Where nothing beats GP-TopFreq there with
an interval above 0, GP-TopFreq is what is served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.data import Purchases
from models.metrics import paired_bootstrap
from models.recommendation.config import TifuParams
from models.recommendation.interactions import Indices
from models.recommendation.lists.fusion import fused
from models.recommendation.lists.ranking import popularity_order, top_k_pairs
from models.recommendation.nextbasket.history import Catalogue, History
from models.recommendation.nextbasket.pairs import FEATURES, Pairs, Scene
from models.recommendation.nextbasket.settings import NextBasketSettings, UpcfParams
from models.recommendation.nextbasket.tuning import K, best_tifu, best_upcf, ndcg
from models.recommendation.rankers.repeat import top_frequency
from models.store import bundles

KIND, FORMAT = "next_basket", 1
RULE, RANKER, TIFU, UPCF = "gp_topfreq", "ranker", "tifu_knn", "up_cf"
MEMBERS = (RANKER, TIFU, UPCF)
WEIGHTS = (
    (1.0, 0.0, 0.0), (3.0, 1.0, 0.0), (1.0, 1.0, 0.0), (3.0, 2.0, 1.0), (1.0, 1.0, 1.0), (1.0, 3.0, 0.0),
    (0.0, 1.0, 0.0), (0.0, 2.0, 1.0), (0.0, 0.0, 1.0),
)  # fmt: skip
"""Weights of `MEMBERS` in the fusion of ranks that validation chooses from."""
_LEAST_LABELLED = 20


@dataclass(frozen=True)
class Choice:
    """What validation chose.

    Attributes:
        tifu: Settings of TIFU-KNN.
        upcf: Settings of UP-CF.
        weights: Of `MEMBERS`; all 0 serves the rule.
        values: NDCG@10 of every way that was compared, on the consumers that chose.
    """

    tifu: TifuParams
    upcf: UpcfParams
    weights: tuple[float, float, float]
    values: Mapping[str, float]


@dataclass(frozen=True)
class _Labelled:
    """A scene with what was held out from it, for some consumers (int64, ascending)."""

    scene: Scene
    truth: sp.csr_matrix
    users: Indices


class TopFrequency:
    """GP-TopFreq: what a consumer bought most often, then what everybody bought most often."""

    name = RULE

    def fit(self, data: Purchases, until: datetime) -> FittedNextBasket:
        """Count the purchases until a moment."""
        catalogue = Catalogue.of(data, until).kept()
        settings = NextBasketSettings()
        choice = Choice(settings.tifu_grid[0], settings.upcf_grid[0], (0.0, 0.0, 0.0), {})
        return FittedNextBasket(catalogue, until, settings, choice, None)


class NextBasket:
    """TIFU-KNN, UP-CF, the repurchase kernel and a LightGBM ranker over them, rank-averaged by validation.

    >>> days = [f"2026-01-{day:02d}" for day in range(1, 29)]
    >>> lines = pl.DataFrame({"user": [day % 4 for day in range(28)] * 2,
    ...                       "sku": [day % 4 for day in range(28)] + [9] * 28, "day": days * 2})
    >>> names = {"consumer_id": "user", "item_id": "sku", "at": "day"}
    >>> purchases = Purchases.from_frame(lines, names)
    >>> fitted = NextBasket().fit(purchases, purchases.frame["at"].max())
    >>> fitted.rank(["2", "stranger"], k=2), fitted.rank(["2"], k=2, within=["2", "3"])
    ([['9', '2'], ['9', '0']], [['2', '3']])
    """

    name = "next_basket"

    def __init__(self, settings: NextBasketSettings | None = None) -> None:
        self.settings = settings or NextBasketSettings()

    def fit(self, data: Purchases, until: datetime) -> FittedNextBasket:
        """Choose and fit on purchases until a moment; the last of them are held out to choose on.

        Args:
            data: Purchases; later ones are not read.
            until: Moment of knowledge, with time zone.

        Note:
            Half of the labelled consumers fit the ranker that is compared, the other half compare; the ranker
            that serves is then fitted on all of them.
        """
        settings = self.settings
        catalogue = Catalogue.of(data, until)
        rng = np.random.default_rng(settings.seed)
        held_out = self._held_out(catalogue, until)
        start, truth = held_out[0]
        labelled = np.flatnonzero((np.diff(truth.indptr) > 0) & _has_history(start))
        if len(labelled) < _LEAST_LABELLED:
            return TopFrequency().fit(data, until)
        labelled = rng.permutation(labelled)[: settings.label_consumers]
        tifu = best_tifu(start, truth, labelled, settings)
        upcf = best_upcf(start, truth, labelled, settings)
        window = _window(catalogue, settings)
        scenes = [
            _Labelled(
                Scene(history, tifu, upcf, window),
                bought,
                np.sort(labelled[(np.diff(bought.indptr)[labelled] > 0) & _has_history(history)[labelled]]),
            )
            for history, bought in held_out
        ]
        choice, booster = _chosen(scenes, labelled, tifu, upcf, settings)
        return FittedNextBasket(catalogue.kept(), until, settings, choice, booster)

    def _held_out(self, catalogue: Catalogue, until: datetime) -> list[tuple[History, sp.csr_matrix]]:
        """Histories with what followed them, newest first."""
        days = self.settings.horizon_days
        if days is None:
            rows, truth = catalogue.without_last()
            return [(catalogue.history(rows, None), truth)]
        out = []
        for back in range(1, self.settings.label_windows + 1):
            origin = until - timedelta(days=days * back)
            rows, truth = catalogue.window(origin, days)
            if rows.height or back == 1:
                out.append((catalogue.history(rows, origin), truth))
        return out


@dataclass
class FittedNextBasket:
    """Ranks for anybody; see `NextBasket`.

    Attributes:
        catalogue: Everything that was bought and kept.
        until: Moment of knowledge.
        settings: Settings of the fit.
        choice: What validation chose.
        booster: The ranker as LightGBM's text; None where it has no weight.
    """

    catalogue: Catalogue
    until: datetime
    settings: NextBasketSettings
    choice: Choice
    booster: str | None

    def __post_init__(self) -> None:
        moment = None if self.settings.horizon_days is None else self.until
        history = self.catalogue.history(self.catalogue.rows, moment)
        self._scene = Scene(
            history, self.choice.tifu, self.choice.upcf, _window(self.catalogue, self.settings)
        )

    def rank(self, users: Sequence[str], k: int, within: Sequence[str] | None = None) -> list[list[str]]:
        """The best items of each consumer, best first; filled up with what is popular.

        Args:
            users: Consumer ids; one that was never seen gets what is popular.
            k: Length of a list; shorter where there are fewer items.
            within: Items that may be listed; everything that was ever bought when None. An item that was
                never bought is left out: nothing is known of it.
        """
        row_of = {name: row for row, name in enumerate(self.catalogue.users)}
        known = np.array(sorted({row_of[one] for one in users if one in row_of}), dtype=np.int64)
        allowed = self._allowed(within)
        ranked = _ranked(self._scene, known, k, self.choice.weights, self.booster, self.settings, allowed)
        items = self.catalogue.items
        lists = {
            int(user): [items[item] for item in row.tolist() if item >= 0]
            for user, row in zip(known, ranked, strict=True)
        }
        order = popularity_order(self._scene.popularity)
        order = order if allowed is None else order[allowed[order]]
        popular = [items[item] for item in order[:k].tolist()]
        return [list(lists[row_of[one]]) if one in row_of else list(popular) for one in users]

    def save(self, folder: Path) -> None:
        """Write the bundle; the folder is made."""
        bundles.write(
            folder,
            KIND,
            FORMAT,
            {
                "until": self.until.isoformat(),
                "settings": self.settings.to_dict(),
                "choice": asdict(self.choice),
            },
            arrays={"category": self.catalogue.category},
            tables={
                "rows": self.catalogue.rows,
                "users": pl.DataFrame({"id": self.catalogue.users}, schema={"id": pl.String}),
                "items": pl.DataFrame({"id": self.catalogue.items}, schema={"id": pl.String}),
            },
            texts={} if self.booster is None else {"booster": self.booster},
        )

    def _allowed(self, within: Sequence[str] | None) -> npt.NDArray[np.bool_] | None:
        if within is None:
            return None
        wanted = set(within)
        return np.array([one in wanted for one in self.catalogue.items], dtype=np.bool_)


def load(folder: Path) -> FittedNextBasket:
    """Read what `save` wrote.

    Raises:
        BundleError: The folder is missing, unfinished, damaged, or of another kind or format.
    """

    def make(bundle: bundles.Bundle) -> FittedNextBasket:
        chosen = bundle.document["choice"]
        choice = Choice(
            TifuParams(**chosen["tifu"]), UpcfParams(**chosen["upcf"]), tuple(chosen["weights"]),
            chosen["values"],
        )  # fmt: skip
        users, items = (bundle.table(name)["id"].to_list() for name in ("users", "items"))
        return FittedNextBasket(
            Catalogue(users, items, bundle.arrays["category"], bundle.table("rows")),
            datetime.fromisoformat(bundle.document["until"]),
            NextBasketSettings.from_dict(bundle.document["settings"]),
            choice,
            bundle.text("booster") if choice.weights[0] else None,
        )

    return bundles.read(folder, KIND, FORMAT).build(make)


def _chosen(
    scenes: list[_Labelled],
    labelled: Indices,
    tifu: TifuParams,
    upcf: UpcfParams,
    settings: NextBasketSettings,
) -> tuple[Choice, str | None]:
    """Compare every way on half of the consumers, and fit what serves on all of them."""
    teaches = np.isin(np.arange(scenes[0].truth.shape[0]), labelled[: len(labelled) // 2])
    pairs = [one.scene.pairs(one.users, settings.candidates) for one in scenes]
    labels = [_labels(found, one.truth) for found, one in zip(pairs, scenes, strict=True)]
    trial = _boosted(pairs, labels, [teaches[found.user] for found in pairs], settings)
    newest, found = scenes[0], pairs[0]
    judges = newest.users[~teaches[newest.users]]
    scores = _member_scores(found, trial)
    measured: dict[tuple[float, ...], npt.NDArray[np.float64]] = {}
    for weights in WEIGHTS:
        if weights[0] == 0 or trial is not None:
            ranked = _ranked_pairs(newest.scene, found, scores, weights, judges, K)
            measured[weights] = ndcg(ranked, judges, newest.truth)
    rule = ndcg(_ranked_by_rule(newest.scene, judges, K, None), judges, newest.truth)
    best = max(measured, key=lambda one: float(measured[one].mean()))
    lift = paired_bootstrap(
        len(judges),
        lambda drawn: float(measured[best][drawn].mean()),
        lambda drawn: float(rule[drawn].mean()),
        higher_is_better=True,
        draws=300,
        seed=settings.seed,
    )
    values = {_name(weights): float(value.mean()) for weights, value in measured.items()}
    values[RULE] = float(rule.mean())
    if not lift.low > 0:
        return Choice(tifu, upcf, (0.0, 0.0, 0.0), values), None
    booster = None
    if best[0]:
        booster = _boosted(pairs, labels, [np.ones(len(one.user), bool) for one in pairs], settings)
    return Choice(tifu, upcf, (best[0], best[1], best[2]), values), booster


def _name(weights: Sequence[float]) -> str:
    return " + ".join(f"{w:g} {name}" for w, name in zip(weights, MEMBERS, strict=True) if w)


def _labels(pairs: Pairs, truth: sp.csr_matrix) -> npt.NDArray[np.float32]:
    if len(pairs.user) == 0:
        return np.zeros(0, np.float32)
    return np.asarray(truth[pairs.user, pairs.item], dtype=np.float32).ravel()


def _boosted(
    pairs: Sequence[Pairs],
    labels: Sequence[npt.NDArray[np.float32]],
    use: Sequence[npt.NDArray[np.bool_]],
    settings: NextBasketSettings,
) -> str | None:
    """The ranker as text; None where nothing, or everything, of the labels came true."""
    import lightgbm as lgb

    values = np.concatenate([one.values[keep] for one, keep in zip(pairs, use, strict=True)])
    label = np.concatenate([one[keep] for one, keep in zip(labels, use, strict=True)])
    if not 0 < label.sum() < len(label):
        return None
    params = settings.booster
    words = {
        "objective": "binary",
        "num_leaves": params.leaves,
        "learning_rate": params.learning_rate,
        "min_data_in_leaf": params.min_rows_a_leaf,
        "feature_fraction": params.column_share,
        "max_bin": 63,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": settings.seed,
        "verbose": -1,
    }
    data = lgb.Dataset(values, label, feature_name=list(FEATURES), free_raw_data=True)
    return str(lgb.train(words, data, params.rounds).model_to_string())


def _member_scores(pairs: Pairs, booster: str | None) -> list[npt.NDArray[np.float32]]:
    import lightgbm as lgb

    zero = np.zeros(len(pairs.user), np.float32)
    ranker = zero
    if booster is not None and len(pairs.user):
        model = lgb.Booster(model_str=booster)
        ranker = np.asarray(model.predict(pairs.values, num_threads=1), dtype=np.float32)
    return [ranker, pairs.column("tifu"), pairs.column("upcf")]


def _ranked_pairs(
    scene: Scene,
    pairs: Pairs,
    scores: Sequence[npt.NDArray[np.float32]],
    weights: Sequence[float],
    users: Indices,
    k: int,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> Indices:
    score = fused(pairs.user, scores, weights)
    return _filled(scene, pairs.user, pairs.item, score, users, k, allowed)


def _ranked_by_rule(scene: Scene, users: Indices, k: int, allowed: npt.NDArray[np.bool_] | None) -> Indices:
    scored = top_frequency(scene.counts[users], scene.popularity).tocoo()
    user, item, score = users[scored.row], scored.col.astype(np.int64), scored.data
    if allowed is not None:
        user, item, score = user[allowed[item]], item[allowed[item]], score[allowed[item]]
    return _filled(scene, user, item, score, users, k, allowed)


def _filled(
    scene: Scene,
    user: Indices,
    item: Indices,
    score: npt.NDArray[np.float32],
    users: Indices,
    k: int,
    allowed: npt.NDArray[np.bool_] | None,
) -> Indices:
    """Lists of k, filled up with what is popular and allowed."""
    if allowed is None:
        return top_k_pairs(user, item, score, scene.popularity, users, k)
    inside = np.flatnonzero(allowed)
    place = np.full(len(allowed), -1)
    place[inside] = np.arange(len(inside))
    ranked = top_k_pairs(user, place[item], score, scene.popularity[inside], users, k)
    return np.where(ranked >= 0, inside[np.maximum(ranked, 0)], -1) if len(inside) else ranked


def _ranked(
    scene: Scene,
    users: Indices,
    k: int,
    weights: Sequence[float],
    booster: str | None,
    settings: NextBasketSettings,
    allowed: npt.NDArray[np.bool_] | None,
) -> Indices:
    if not any(weights):
        return _ranked_by_rule(scene, users, k, allowed)
    pairs = scene.pairs(users, max(settings.candidates, 2 * k), allowed)
    return _ranked_pairs(scene, pairs, _member_scores(pairs, booster), weights, users, k, allowed)


def _has_history(history: History) -> npt.NDArray[np.bool_]:
    return np.bincount(history.user, minlength=history.n_users) > 0


def _window(catalogue: Catalogue, settings: NextBasketSettings) -> float:
    """Days ahead: the horizon, or the mean gap between two baskets of a consumer."""
    if settings.horizon_days is not None:
        return settings.horizon_days
    spans = catalogue.rows.group_by("user").agg(
        days=(pl.col("at").max() - pl.col("at").min()).dt.total_microseconds() / 86_400_000_000.0,
        gaps=pl.col("basket").n_unique() - 1,
    )
    return float(spans["days"].sum()) / max(float(spans["gaps"].sum()), 1.0) or 1.0
