"""Every sign from small facts, with what it says and where its thresholds lie."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from models.supply.supervision.config import SupervisionConfig
from models.supply.supervision.facts import COLUMNS, Facts, frame_of
from models.supply.supervision.signs import signs_of

SINCE = datetime(2026, 10, 1, tzinfo=UTC)
CONFIG = SupervisionConfig()


def listing(merchant="m", sku="a", brand=None, cents=1000, days=0, **more):
    return {"merchant_id": merchant, "sku_id": sku, "brand_id": brand, "list_price_cents": cents,
            "since": SINCE + timedelta(days=days), **more}  # fmt: skip


def offer(supplier="s", sku="a", cents=1000, brand=None, maker=None):
    return {"supplier_id": supplier, "sku_id": sku, "brand_id": brand, "maker_id": maker,
            "supply_price_cents": cents}  # fmt: skip


def found(config=CONFIG, **rows):
    facts = Facts(**{name: frame_of(name, rows.get(name, [])) for name in COLUMNS})
    return {
        tuple(subject): {sign.name: (sign.strength, sign.facts) for sign in signs}
        for subject, signs in signs_of(facts, config).items()
    }


@pytest.mark.parametrize(
    ("cents", "strength"), [(800, None), (799, 1 / 300), (650, 0.5), (500, 1.0), (200, 1.0)]
)
def test_a_listing_below_the_supply_market(cents, strength):
    """The market is the median of the offers: 600, 1000, 5000."""
    offers = [offer("s1", cents=600), offer("s2", cents=1000), offer("s3", cents=5000)]
    got = found(listings=[listing(cents=cents)], offers=offers).get(("merchant", "m", "a"))
    if strength is None:
        assert got is None
        return
    told = got["price"]
    assert told[0] == pytest.approx(strength)
    assert told[1] == {"price_cents": cents, "market_cents": 1000, "share": cents / 1000, "offers": 3}


def test_a_price_without_a_market_says_nothing():
    assert found(listings=[listing(cents=1)]) == {}
    assert found(offers=[offer(cents=1)]) == {}


def test_an_offer_is_measured_by_the_others_alone():
    got = found(offers=[offer("cheap", cents=500), offer("s1", cents=1000), offer("s2", cents=1200)])
    # The median of the others is 1100; the others are not cheap beside (500, 1200) and (500, 1000).
    assert got.keys() == {("supplier", "cheap", "a")}
    assert got["supplier", "cheap", "a"]["price"][1]["market_cents"] == 1100


def test_a_guarded_brand_without_an_authorisation():
    listings = [listing("known", brand="B"), listing("stranger", brand="B"), listing("free", "x", "C")]
    offers = [
        offer("maker", brand="B", maker="maker"),
        offer("holder", "other", brand="B"),
        offer("grey", brand="B", maker="maker"),
    ]
    holders = [{"brand_id": "B", "merchant_id": "known"}, {"brand_id": "B", "supplier_id": "holder"}]
    got = found(listings=listings, offers=offers, authorisations=holders)
    assert {subject: list(signs) for subject, signs in got.items()} == {
        ("merchant", "stranger", "a"): ["authorisation"],
        ("supplier", "grey", "a"): ["authorisation"],
    }
    assert got["merchant", "stranger", "a"]["authorisation"] == (1.0, {"brand_id": "B", "holders": 1})


@pytest.mark.parametrize(
    ("holder", "asked"), [("merchant", ("merchant", "m", "a")), ("supplier", ("supplier", "s", "a"))]
)
def test_papers_are_asked_of_the_kind_of_party_that_others_of_the_brand_are(holder, asked):
    holders = [{"brand_id": "B", f"{holder}_id": "other"}]
    got = found(listings=[listing(brand="B")], offers=[offer(brand="B")], authorisations=holders)
    assert got.keys() == {asked}


def test_a_brand_that_nobody_is_authorised_for_is_not_guarded():
    assert found(listings=[listing(brand="B")], offers=[offer(brand="B")]) == {}


def copied(*listings, config=CONFIG):
    return {
        subject[1]: {name: facts for name, (_, facts) in signs.items() if name in ("title", "image")}
        for subject, signs in found(config, listings=listings).items()
    }


def test_a_title_that_names_another_brand():
    rows = [
        listing("m1", "a", "Nestle", title="Nestle coffee 200 g"),
        listing("m2", "b", "noname", title="Coffee like NESTLE 200 g"),
        listing("m3", "c", "noname", title="capsules for Nestle machines"),
        listing("m4", "d", "noname", title="nestled cups"),
        listing("m5", "e", "雀巢", title="雀巢咖啡"),
        listing("m6", "f", "noname", title="正宗雀巢咖啡"),
        listing("m7", "g", "noname", title="适用于雀巢咖啡机"),
        listing("m8", "h", "Nestle Gold", title="nestle gold 100 g"),
    ]
    got = copied(*rows)
    assert got == {
        "m2": {"title": {"of_brand_id": "Nestle", "title": "Coffee like NESTLE 200 g"}},
        "m6": {"title": {"of_brand_id": "雀巢", "title": "正宗雀巢咖啡"}},
    }


def test_ids_that_are_no_names_are_not_looked_for():
    assert copied(listing("m1", "a", "12"), listing("m2", "b", "x-1", title="pack of 12")) == {}


def test_the_same_words_but_for_the_brand():
    first = listing("m1", "a", "Acme", title="Acme turbo kettle 1.7 l")
    later = listing("m2", "b", "Zeta", title="Zeta  Turbo-Kettle 1.7L", days=1)
    assert copied(first, later) == {
        "m2": {"title": {"of_brand_id": "Acme", "title": "Zeta  Turbo-Kettle 1.7L"}}
    }
    # Who was first is not known, a third brand says it too, or the words are common: nobody copied.
    assert copied(first, {**later, "since": SINCE}) == {}
    third = listing("m3", "c", "Beta", title="beta turbo kettle 1.7 l", days=2)
    assert copied(first, later, third) == {}
    common = [listing("m1", "a", "Acme", title="Acme tea"), listing("m2", "b", "Zeta", days=1, title="tea")]
    assert copied(*common) == {}


def test_an_image_of_another_brand():
    first = listing("m1", "a", "Acme", image_hash="h1")
    rows = [first, listing("m2", "a", "Acme", image_hash="h1", days=1)]
    copy = listing("m3", "b", "Zeta", image_hash="h1", days=1)
    assert copied(*rows) == {}
    assert copied(*rows, copy) == {"m3": {"image": {"of_brand_id": "Acme", "image": "h1"}}}
    assert copied(*rows, copy, listing("m4", "c", "Beta", image_hash="h1", days=3)) == {}


def complain(*reasons, orders=10, config=CONFIG):
    line = {"merchant_id": "m", "supplier_id": "s", "sku_id": "a"}
    sold = [{**line, "order_id": f"o{number}"} for number in range(orders)]
    said = [{**line, "order_id": f"o{number}", "reason": reason} for number, reason in enumerate(reasons)]
    got = found(config, sold=sold, complaints=said)
    assert got.keys() in (set(), {("merchant", "m", "a"), ("supplier", "s", "a")})
    return got.get(("merchant", "m", "a"), {}).get("complaints")


def test_complaints_that_call_it_counterfeit():
    assert complain("假货") is None
    assert complain("假货", "不是假货") is None
    assert complain("假货", "fake") == (0.5, {"complaints": 2, "orders": 10, "words": ["fake", "假货"]})
    assert complain(*["假货"] * 9)[0] == 1.0


def test_a_few_wrong_buyers_of_many_do_not_count():
    assert complain("假货", "假货", orders=200) is None  # exactly 1%
    assert complain("假货", "假货", orders=199) is not None


def test_complaints_about_lines_that_nobody_sold_in_the_window_still_count():
    line = {"merchant_id": "m", "sku_id": "a"}
    said = [{**line, "order_id": f"o{number}", "reason": "fake"} for number in range(3)]
    got = found(complaints=said)
    assert got["merchant", "m", "a"]["complaints"][1] == {"complaints": 3, "orders": 3, "words": ["fake"]}
    assert got.keys() == {("merchant", "m", "a")}


def test_what_happened_before_a_person_cleared_it_is_answered():
    line = {"merchant_id": "m", "supplier_id": "s", "sku_id": "a"}
    said = [
        {**line, "order_id": f"o{day}", "reason": "fake", "opened_at": SINCE + timedelta(days=day)}
        for day in range(4)
    ]
    scans = [{**scan("made-up", f"o{day}"), "seen_at": SINCE + timedelta(days=day)} for day in range(4)]
    clear = {
        "party_type": "merchant",
        "party_id": "m",
        "sku_id": "a",
        "cleared_at": SINCE + timedelta(days=1),
    }
    earlier = {**clear, "cleared_at": SINCE}
    supplier = {**clear, "party_type": "supplier", "party_id": "s", "cleared_at": SINCE + timedelta(days=2)}
    got = found(complaints=said, scans=scans, batches=[batch("b1")], cleared=[clear, earlier, supplier])
    assert got["merchant", "m", "a"]["complaints"][1]["complaints"] == 2  # of days 2 and 3
    assert {name: facts for name, (_, facts) in got["supplier", "s", "a"].items()} == {
        "batch_unknown": {"codes": ["made-up"], "orders": 1, "of_others": 0}
    }


def batch(batch_id, sku="a", supplier="s", qty=None):
    return {"batch_id": batch_id, "sku_id": sku, "supplier_id": supplier, "qty": qty}


def scan(batch_id, order, units=1.0, sku="a", supplier="s"):
    return {"batch_id": batch_id, "sku_id": sku, "supplier_id": supplier, "order_id": order, "units": units}


def test_batch_codes_that_do_not_exist_or_are_anothers():
    batches = [batch("b1"), batch("of-t", supplier="t")]
    got = found(batches=batches, scans=[scan("b1", "o0"), scan("made-up", "o1"), scan("of-t", "o2")])
    told = {"codes": ["made-up", "of-t"], "orders": 2, "of_others": 1}
    assert got == {("supplier", "s", "a"): {"batch_unknown": (1.0, told)}}
    assert (
        found(batches=batches, scans=[scan("made-up", "o1")])["supplier", "s", "a"]["batch_unknown"][0] == 0.5
    )
    # Who states no batches of the sku has said nothing that could be wrong.
    assert found(batches=batches, scans=[scan("x", "o1", sku="other"), scan("y", "o2", supplier="u")]) == {}


def test_a_batch_of_which_more_was_sold_than_made():
    scans = [scan("b1", "o1", 60.0), scan("b1", "o1", 60.0), scan("b1", "o2", 50.0)]  # o1 was scanned twice
    at_the_line = found(batches=[batch("b1", qty=100)], scans=scans)
    assert at_the_line == {}
    got = found(batches=[batch("b1", qty=99)], scans=scans)
    assert got["supplier", "s", "a"]["batch_oversold"] == (1.0, {"codes": ["b1"], "sold": 110.0, "made": 99})
    assert found(batches=[batch("b1")], scans=scans) == {}


def test_frames_of_another_shape_are_refused():
    frames = {name: frame_of(name, []) for name in COLUMNS}
    with pytest.raises(ValueError, match="sold has"):
        Facts(**{**frames, "sold": pl.DataFrame({"order_id": ["o"]})})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"far_market": 0.8}, "far_market"),
        ({"enough_complaints": 1}, "enough_complaints"),
        ({"least_complaint_rate": 1.0}, "least_complaint_rate"),
        ({"oversold_share": 0.9}, "oversold_share"),
        ({"most_alike": 0}, "most_alike"),
        ({"words": ()}, "words"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SupervisionConfig(**wrong)


def invoice(number="i1", party=("supplier", "s"), sku="a", units=10, days=0):
    at = SINCE + timedelta(days=days)
    return {
        "party_type": party[0], "party_id": party[1], "invoice_id": number, "sku_id": sku, "units": units,
        "issued_on": at.date(), "stated_at": at,
    }  # fmt: skip


def sale(order, units, days=1, supplier="s", merchant="m", sku="a"):
    return {
        "merchant_id": merchant, "supplier_id": supplier, "sku_id": sku, "order_id": order,
        "units": float(units), "placed_at": SINCE + timedelta(days=days),
    }  # fmt: skip


def test_an_invoice_has_one_buyer_and_who_was_first_is_believed():
    """The first states it for another sku as well; that is later than the second, and still its own."""
    got = found(
        invoices=[
            invoice(),
            invoice(party=("supplier", "t"), days=1),
            invoice(party=("merchant", "m"), sku="b", days=2),
            invoice(sku="b", days=3),
            invoice("i2", party=("supplier", "t"), days=1),
        ]
    )
    assert got == {
        ("merchant", "m", "b"): {"invoice_shared": (1.0, {"invoices": ["i1"]})},
        ("supplier", "t", "a"): {"invoice_shared": (1.0, {"invoices": ["i1"]})},
    }


@pytest.mark.parametrize(("units", "is_short"), [(11, False), (12, True)])
def test_more_was_sold_than_is_on_the_invoices(units, is_short):
    told = [invoice(units=4), invoice("i2", units=6, days=5)]
    got = found(invoices=told, sold=[sale("o1", 5), sale("o2", units - 5, days=9), sale("o3", 99, days=-1)])
    wanted = {"invoice_oversold": (1.0, {"invoices": ["i1", "i2"], "sold": 12.0, "units": 10})}
    assert got == ({("supplier", "s", "a"): wanted} if is_short else {})


def test_who_stated_no_invoice_is_asked_for_none_and_what_was_cleared_is_answered():
    sold = [sale("o1", 50)]
    assert found(sold=sold, invoices=[invoice(sku="b")]) == {}
    asked = found(sold=sold, invoices=[invoice(party=("merchant", "m"))])
    assert list(asked) == [("merchant", "m", "a")]
    cleared = [
        {"party_type": "merchant", "party_id": "m", "sku_id": "a", "cleared_at": SINCE + timedelta(days=2)}
    ]
    assert found(sold=sold, invoices=[invoice(party=("merchant", "m"))], cleared=cleared) == {}
