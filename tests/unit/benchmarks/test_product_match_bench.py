"""The truth of the made offers, counted another way, and the peer's line."""

from __future__ import annotations

import itertools

import polars as pl

from benchmarks.supply.product_match import _most_recall, _true_pairs, made_offers


def test_true_pairs_are_those_of_one_product_and_two_suppliers() -> None:
    offers = pl.DataFrame(
        [("a", "s1", "p"), ("b", "s1", "p"), ("c", "s2", "p"), ("d", "s3", "q"), ("e", "s3", "q")],
        schema=["sku_id", "supplier_id", "product"],
        orient="row",
    )
    assert _true_pairs(offers) == 2
    made = made_offers(3).head(300)
    rows = made.select("product", "supplier_id").rows()
    counted = sum(one[0] == other[0] and one[1] != other[1] for one, other in itertools.combinations(rows, 2))
    assert _true_pairs(made) == counted > 0


def test_the_peer_keeps_the_pairs_above_its_best_line() -> None:
    product = {**{f"t{number}": "p" for number in range(50)}, "x": "q"}
    pairs = [("t0", f"t{number}", 1 - number / 1000) for number in range(1, 50)] + [("t0", "x", 0.9)]
    frame = pl.DataFrame(pairs, schema=["sku_id", "other_sku_id", "score"], orient="row")
    assert _most_recall(frame, product).height == 50  # 49 of 50 is .98 exactly
    worse = pl.concat([frame, pl.DataFrame([("t1", "x", 0.8)], schema=frame.schema, orient="row")])
    assert _most_recall(worse, product).height == 50
