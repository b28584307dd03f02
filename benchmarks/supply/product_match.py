"""One product from many suppliers: precision and recall of pairs, on real and on made Chinese titles."""

from __future__ import annotations

import csv
import gzip
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.harness import OURS, Row, report
from benchmarks.models.public_data import MissingDataError, public_file
from models.supply.matching.match import MatchingConfig, pairs_of
from serving.settings import Settings

SEED = 20171231
LEAST_PRECISION = 0.98
MADE_PRODUCTS = 1_500
CHOSEN_ON = 6
"""One real product in so many was looked at first when penalties were chosen; none of them is judged."""
CONFIG = MatchingConfig()
Offers = pl.DataFrame
"""`sku_id`, `title`, `supplier_id`, `product` (the truth)."""

_PLACES = ("云南", "福建", "安徽", "浙江", "四川", "贵州", "湖南", "广西")
_MAKERS = ("山叶", "清源", "古树", "春满", "福寿", "和顺", "鼎盛", "青峰", "玉泉", "金谷")
_GOODS = (
    "普洱熟茶饼", "铁观音茶叶", "龙井绿茶", "茉莉花茶", "大红袍岩茶", "东北大米", "五常稻花香米", "山茶籽油",
    "菜籽油", "芝麻酱", "黄豆酱油", "老陈醋", "香辣火锅底料", "牛肉面", "全麦饼干", "核桃牛奶", "椰子汁",
    "洗衣液", "抽取式面巾纸", "婴儿湿巾", "儿童牙膏", "男士洗面奶", "保湿面霜", "不锈钢保温杯",
)  # fmt: skip
_SIZES = ((100, "g"), (250, "g"), (357, "g"), (500, "g"), (1000, "g"), (330, "ml"), (500, "ml"), (1000, "ml"))
_KINDS = ("经典", "浓香", "清香", "家庭装", "礼盒装", "无糖", "低脂", "加厚")
_NOISE = ("包邮", "正品", "新款", "特惠", "厂家直销", "热卖")


def main() -> int:
    """Run it."""
    started = time.perf_counter()
    rows, told = _real()
    rows += _judged(made_offers(SEED), "made_zh_")
    target = report(
        Settings().home,
        name="product_match",
        protocol=(
            f"Pairs of offers of different suppliers. {told} Made: {MADE_PRODUCTS:,} Chinese products, each"
            " offered by two to four suppliers who order the words their own way, write amounts in other"
            " units and add words of advertising; products differ by place, maker, kind or size alone."
            f" {OURS}: pairs from the shipped cut ({CONFIG.cut:g}) and from the review line"
            f" ({CONFIG.review:g}) on. Recall is of all true pairs, also those that blocking misses. The"
            " peer tfidf is the cosine of words with the line that gives it the most recall at a precision"
            f" of {LEAST_PRECISION:g} on the judged data themselves, which favours it."
        ),
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    return 0 if target.exists() else 1


def _real() -> tuple[list[Row], str]:
    try:
        path = public_file("pricerunner", "pricerunner.csv.gz")
    except MissingDataError as error:
        print(f"without the real titles: {error}", file=sys.stderr)
        return [], "The real titles are missing."
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [(row[0], row[1], row[2], row[3]) for row in csv.reader(file)]
    offers = pl.DataFrame(lines, schema=["sku_id", "title", "supplier_id", "product"], orient="row")
    products = offers["product"].unique(maintain_order=True)
    others = products.filter(pl.int_range(len(products), eager=True) % CHOSEN_ON != 0)
    drawn = np.random.default_rng(SEED).permutation(len(others))
    judged = others.gather(drawn[: len(products) // 2].tolist())
    half = offers.filter(pl.col("product").is_in(judged.implode()))
    begun = time.process_time()
    pairs_of(_as_skus(offers), CONFIG)
    speed = Row(OURS, "real_all_offers_cpu_s", time.process_time() - begun, "s")
    return [speed, *_judged(half, "real_")], (
        f"Real: PriceRunner, {offers.height:,} offers of {len(products):,} products; a random"
        f" half is judged ({half.height:,} offers), penalties were chosen on the rest, and the cut on made"
        " offers of another seed."
    )


def made_offers(seed: int) -> Offers:
    """Offers with planted truth: every product at two to four suppliers, each in its own words."""
    rng = np.random.default_rng(seed)
    kinds = len(_PLACES) * len(_MAKERS) * len(_GOODS) * len(_SIZES) * len(_KINDS)
    rows = []
    for product, code in enumerate(rng.choice(kinds, MADE_PRODUCTS, replace=False).tolist()):
        parts = []
        for words in (_PLACES, _MAKERS, _GOODS, _KINDS):
            code, at = divmod(code, len(words))
            parts.append(words[at])
        much, unit = _SIZES[code]
        for supplier in rng.choice(12, int(rng.integers(2, 5)), replace=False).tolist():
            order = rng.permutation(len(parts))
            noise = [str(rng.choice(_NOISE))] if rng.random() < 0.5 else []
            size = _written(much, unit, int(rng.integers(3)))
            title = " ".join([*(parts[at] for at in order), size, *noise])
            rows.append((f"{product}-{supplier}", title, f"s-{supplier}", str(product)))
    return pl.DataFrame(rows, schema=["sku_id", "title", "supplier_id", "product"], orient="row")


def _written(much: int, unit: str, way: int) -> str:
    if way == 0:
        return f"{much}{unit}"
    if way == 1:
        return f"{much}{'克' if unit == 'g' else '毫升'}"
    return f"{much / 1000:g}{'kg' if unit == 'g' else 'L'}"


def _as_skus(offers: Offers) -> pl.DataFrame:
    nothing = pl.lit(None, pl.String)
    return offers.select(
        "sku_id",
        "title",
        pack_size=nothing,
        brand_id=nothing,
        price_cents=pl.lit(None, pl.Float64),
        suppliers=pl.concat_list("supplier_id"),
    )


def _judged(offers: Offers, prefix: str) -> list[Row]:
    product = dict(offers.select("sku_id", "product").iter_rows())
    true = _true_pairs(offers)
    pairs = pairs_of(_as_skus(offers), CONFIG)
    cut = pairs.filter(pl.col("score") >= CONFIG.cut)
    rows = []
    for name, found in (("", cut), ("review_", pairs)):
        rows += _rows(OURS, f"{prefix}{name}", _right(found, product), true)
    peers: dict[str, Callable[[Offers], pl.DataFrame]] = {"exact_title": _exact, "tfidf": _tfidf}
    for name, peer in peers.items():
        found = peer(offers)
        if name == "tfidf":
            found = _most_recall(found, product)
        rows += _rows(name, prefix, _right(found, product), true)
    return rows


def _rows(system: str, prefix: str, right: np.ndarray, true: int) -> list[Row]:
    precision = float(right.mean()) if len(right) else 1.0
    return [
        Row(system, f"{prefix}precision", precision, "0..1"),
        Row(system, f"{prefix}recall", float(right.sum()) / true, "0..1"),
    ]


def _right(pairs: pl.DataFrame, product: dict[str, str]) -> np.ndarray:
    both = pairs.select("sku_id", "other_sku_id").iter_rows()
    return np.array([product[one] == product[other] for one, other in both], dtype=bool)


def _true_pairs(offers: Offers) -> int:
    """Pairs of offers of one product and two suppliers."""

    def pairs(columns: list[str]) -> int:
        return int(
            offers.group_by(columns).len().select((pl.col("len") * (pl.col("len") - 1) // 2).sum()).item()
        )

    return pairs(["product"]) - pairs(["product", "supplier_id"])


def _exact(offers: Offers) -> pl.DataFrame:
    """Pairs whose titles are the same but for case and blanks."""
    plain = offers.with_columns(pl.col("title").str.to_lowercase().str.replace_all(r"\s+", " "))
    both = plain.join(plain, on="title", suffix="_other")
    return both.filter(
        pl.col("sku_id") < pl.col("sku_id_other"), pl.col("supplier_id") != pl.col("supplier_id_other")
    ).select("sku_id", other_sku_id="sku_id_other")


def _tfidf(offers: Offers) -> pl.DataFrame:
    """Pairs from a cosine of .5 on, with it; Chinese by pairs of characters, else by words."""
    is_chinese = bool(offers["title"].str.contains(r"[\u4e00-\u9fff]").any())
    vectoriser = TfidfVectorizer(analyzer="char", ngram_range=(2, 2)) if is_chinese else TfidfVectorizer()
    weights = vectoriser.fit_transform(offers["title"].to_list()).tocsr()
    ids, suppliers = offers["sku_id"].to_numpy(), offers["supplier_id"].to_numpy()
    parts = []
    for begin in range(0, weights.shape[0], 500):
        near = (weights[begin : begin + 500] @ weights.T).tocoo()
        left, right, score = near.row + begin, near.col, near.data
        keep = (left < right) & (score >= 0.5)
        left, right, score = left[keep], right[keep], score[keep]
        apart = suppliers[left] != suppliers[right]
        parts.append(
            pl.DataFrame(
                {"sku_id": ids[left[apart]], "other_sku_id": ids[right[apart]], "score": score[apart]}
            )
        )
    return pl.concat(parts)


def _most_recall(pairs: pl.DataFrame, product: dict[str, str]) -> pl.DataFrame:
    """Its pairs above the line that keeps the precision; the best pair alone where none does."""
    ordered = pairs.sort("score", "sku_id", "other_sku_id", descending=[True, False, False])
    right = _right(ordered, product)
    kept = np.flatnonzero(np.cumsum(right) / np.arange(1, len(right) + 1) >= LEAST_PRECISION)
    return ordered.head(int(kept[-1]) + 1 if len(kept) else 1)


if __name__ == "__main__":
    raise SystemExit(main())
