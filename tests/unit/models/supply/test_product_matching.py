"""Titles say what they say, contradictions are no pairs, planted twins are found and near twins are not."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.supply.matching.match import PAIR_SCHEMA, MatchingConfig, pairs_of
from models.supply.matching.titles import contradict, gtins_in, read_title

CONFIG = MatchingConfig()


def skus(*rows):
    """Skus of `(sku_id, title, supplier)`, with further columns by keyword in a fourth part."""
    return pl.DataFrame(
        [
            {
                "sku_id": sku,
                "title": title,
                "pack_size": None,
                "brand_id": None,
                "price_cents": None,
                "suppliers": [supplier],
                **(more[0] if more else {}),
            }
            for sku, title, supplier, *more in rows
        ],
        schema={
            "sku_id": pl.String,
            "title": pl.String,
            "pack_size": pl.String,
            "brand_id": pl.String,
            "price_cents": pl.Float64,
            "suppliers": pl.List(pl.String),
        },
    )


def found(frame, config=CONFIG):
    return {(one, other): score for one, other, score in pairs_of(frame, config).iter_rows()}


FILLER = [(f"f{number}", f"other goods of kind {number * 7919}", "s-9") for number in range(30)]


def test_what_a_title_says():
    title = read_title("ＡＣＭＥ Tea-Tin X200b 2×250G 12 罐装红茶")
    assert title.words == ("acme", "tea", "tin", "x200b", "2", "12", "罐装", "装红", "红茶")
    assert title.amounts == {("g", 250.0)}
    assert title.numbers == {"2", "12"}
    assert title.codes == {"x200b"}
    assert read_title("一斤 1.5公斤 330毫升").amounts == {("g", 1500.0), ("ml", 330.0)}


@pytest.mark.parametrize(
    ("one", "other", "contradicts"),
    [
        ("tea 250g", "tea 250 g", False),
        ("tea 250g", "tea 0.25kg", False),
        ("tea 250g", "tea 500g", True),
        ("tea 250g", "tea", False),
        ("disk 1tb 7mm", "disk 1000gb", False),
        ("disk 1tb 7mm", "disk 1000gb 9mm", True),
        ("tea 4006381333931 250g", "tea 04006381333931 300g", False),  # the barcode decides
        ("tea 4006381333931", "tea 5901234123457", True),
    ],
)
def test_amounts_and_barcodes_contradict(one, other, contradicts):
    assert contradict(read_title(one), read_title(other)) is contradicts
    assert contradict(read_title(other), read_title(one)) is contradicts


@given(st.integers(0, 10**12 - 1), st.integers(0, 9))
def test_a_barcode_has_its_check_digit(body, digit):
    digits = f"{body:012d}"
    odd, even = sum(map(int, digits[::2])), sum(map(int, digits[1::2]))
    right = (10 - (odd + 3 * even) % 10) % 10
    is_code = digit == right and body > 0
    assert bool(gtins_in(f"{digits}{digit}")) is is_code


def test_a_twin_of_another_supplier_is_found_and_near_twins_are_not_sure():
    rows = skus(
        ("a", "Leaf Earl Grey black tea tin 250g", "s-1"),
        ("b", "earl grey black tea, leaf, tin 250 g", "s-2"),
        ("c", "Leaf Earl Grey black tea tin 500g", "s-2"),
        ("d", "Leaf Lady Grey green tea bags", "s-2"),
        *FILLER,
    )
    scores = found(rows)
    assert scores["a", "b"] >= CONFIG.cut
    assert ("a", "c") not in scores  # another size
    assert scores.get(("a", "d"), 0.0) < CONFIG.cut


def test_chinese_titles_match_by_pairs_of_characters():
    scores = found(
        skus(
            ("a", "云南 普洱熟茶饼 357克", "s-1"),
            ("b", "普洱熟茶饼 云南 包邮 357g", "s-2"),
            ("c", "福建 铁观音茶叶 357克", "s-2"),
            *FILLER,
        )
    )
    assert scores["a", "b"] >= CONFIG.review
    assert scores.get(("a", "c"), 0.0) < CONFIG.cut


@pytest.mark.parametrize(
    ("more", "is_pair"),
    [
        ({}, True),
        ({"suppliers": ["s-1", "s-2"]}, False),  # who offers both says that they are two
        ({"brand_id": "OTHER"}, False),
        ({"brand_id": "leaf"}, True),
        ({"price_cents": 3000.0}, True),  # three times is in the band
        ({"price_cents": 3000.1}, False),
        ({"price_cents": 0.0}, True),
    ],
)
def test_suppliers_brands_and_prices_forbid_pairs(more, is_pair):
    twin = "Leaf Earl Grey black tea tin 250g"
    rows = skus(
        ("a", twin, "s-1", {"brand_id": "Leaf", "price_cents": 1000.0}), ("b", twin, "s-2", more), *FILLER
    )
    assert (("a", "b") in found(rows)) is is_pair


def test_model_numbers_and_numbers_tell_near_twins_apart():
    scores = found(
        skus(
            ("a", "Montpellier MAB2030R retro fridge freezer", "s-1"),
            ("b", "montpellier retro fridge freezer mab2030r", "s-2"),
            ("c", "Montpellier MAB2030C retro fridge freezer", "s-3"),
            ("d", "apple iphone 7 silver", "s-1"),
            ("e", "apple iphone 8 silver", "s-2"),
            *FILLER,
        )
    )
    assert scores["a", "b"] >= CONFIG.cut
    assert scores.get(("a", "c"), 0.0) < CONFIG.cut
    assert scores.get(("d", "e"), 0.0) < CONFIG.cut


def test_one_barcode_is_one_product_whatever_the_titles_say():
    scores = found(
        skus(("4006381333931", "Stabilo pen", "s-1"), ("x", "Marker 4006381333931 Stabilo", "s-2"), *FILLER)
    )
    assert scores["4006381333931", "x"] == 1.0


def test_the_review_line_is_within_and_order_does_not_matter():
    rows = skus(("a", "leaf earl grey tea", "s-1"), ("b", "leaf earl grey black tea", "s-2"), *FILLER)
    (score,) = found(rows).values()
    assert len(found(rows, MatchingConfig(review=score))) == 1
    assert not found(rows, MatchingConfig(review=score + 1e-9))
    assert found(rows.reverse()) == found(rows)


def test_few_skus_have_no_pairs():
    for frame in (skus(), skus(("a", "tea", "s-1")), skus(("a", "tea", "s-1"), ("b", "soap", "s-2"))):
        pairs = pairs_of(frame, CONFIG)
        assert pairs.is_empty()
        assert dict(pairs.schema) == PAIR_SCHEMA
    assert found(skus(("a", "!!", "s-1"), ("b", "??", "s-2"))) == {}


def with_codes(frame, **codes):
    return frame.with_columns(
        gtin=pl.col("sku_id").replace_strict(codes, default=None, return_dtype=pl.String)
    )


def test_the_same_stated_barcode_is_one_product_whatever_titles_and_brands_say():
    frame = skus(
        ("a", "Earl Grey tin", "s-1", {"brand_id": "b-1"}),
        ("b", "black tea of the best", "s-2", {"brand_id": "other"}),
        *FILLER,
    )
    assert found(frame) == {}
    coded = with_codes(frame, a="4006381333931", b="04006381333931")
    assert found(coded) == {("a", "b"): 1.0}
    # One supplier states one barcode twice: its two skus stay two.
    mine = coded.with_columns(suppliers=pl.lit(["s-1"]))
    assert found(mine) == {}
    # So do goods of which one costs ten times the other: a case and its unit.
    priced = coded.with_columns(price_cents=pl.when(sku_id="a").then(100.0).otherwise(1_000.0))
    assert found(priced) == {}


def test_other_stated_barcodes_are_two_products_whatever_titles_say():
    frame = skus(("a", "Earl Grey black tea tin", "s-1"), ("b", "Earl Grey black tea tin", "s-2"), *FILLER)
    assert found(frame)[("a", "b")] > 0.9
    assert ("a", "b") not in found(with_codes(frame, a="4006381333931", b="96385074"))
    # Of one that states none nothing is known: the titles count.
    assert found(with_codes(frame, a="4006381333931"))[("a", "b")] > 0.9
