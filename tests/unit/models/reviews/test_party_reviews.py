"""Reviews of a publication: who is compared with whom, by what, and how likely silence is."""

import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from models.contracts import PUBLISHED_TABLES
from models.reviews.config import ReviewConfig
from models.reviews.months import party_reviews
from models.reviews.silence import with_silence

AS_OF = datetime(2025, 6, 20, tzinfo=UTC)
NO_SKUS = pl.DataFrame(
    schema={
        "party_type": pl.String, "party_id": pl.String, "month_start_on": pl.Date, "side": pl.String,
        "place": pl.Int64, "sku_id": pl.String, "units": pl.Float64, "net_sales_cents": pl.Int64,
        "refunded_cents": pl.Int64, "margin_cents": pl.Int64,
    }
)  # fmt: skip


def month(party, on=date(2025, 5, 1), net=100, **changes):
    return {
        "party_type": "agent",
        "party_id": party,
        "month_start_on": on,
        "merchant_id": "m1",
        "level": "gold",
        "region_code": "east",
        "tenure": "from_1_year",
        "is_active": True,
        "order_count": int(net > 0),
        "known_order_count": int(net > 0),
        "net_sales_cents": net,
        "net_sales_square": float(net) ** 2,
        "settled_cents": 0,
        "settled_square": 0.0,
        "paid_cents": net,
        "refunded_cents": 0,
        "margin_cents": None,
        "costed_cents": 0,
        "buyer_count": int(net > 0),
        "new_buyer_count": 0,
        "repeat_buyer_count": 0,
        "customer_count": 1,
        "visitor_count": 0,
        "cart_count": 0,
    } | changes


SCHEMA = {"margin_cents": pl.Int64, "month_start_on": pl.Date, "net_sales_square": pl.Float64}


def reviews(*rows, skus=NO_SKUS, **settings):
    frame = pl.DataFrame(list(rows), schema_overrides=SCHEMA)
    found = party_reviews(frame, skus, AS_OF, ReviewConfig(**settings))
    return {(row["party_id"], row["month_start_on"].month): row for row in found.to_dicts()}


def test_the_columns_are_those_of_the_published_table():
    found = party_reviews(
        pl.DataFrame([month("a1")], schema_overrides=SCHEMA), NO_SKUS, AS_OF, ReviewConfig()
    )
    assert found.columns == [column.name for column in PUBLISHED_TABLES["party_reviews"].columns]
    empty = party_reviews(
        pl.DataFrame([month("a1")], schema_overrides=SCHEMA).clear(), NO_SKUS, AS_OF, ReviewConfig()
    )
    assert empty.height == 0
    assert empty.columns == found.columns


def test_peers_are_as_alike_as_there_are_enough_of_them():
    rows = [month(f"a{n}", net=100 * n) for n in range(1, 6)]
    rows += [month("west", net=50, region_code="west"), month("silver", level="silver")]
    found = reviews(*rows)
    assert found["a5", 5]["peers_share"] == '["level", "region_code", "tenure"]'
    assert (found["a5", 5]["rank"], found["a5", 5]["peers"]) == (1, 5)
    assert found["west", 5]["peers_share"] == '["level", "tenure"]'
    assert (found["west", 5]["rank"], found["west", 5]["peers"]) == (6, 6)
    assert (found["silver", 5]["rank"], found["silver", 5]["peers"]) == (None, 1)


def test_settled_sales_rank_where_settlement_released_any_else_orders_do():
    may = [month(f"a{n}", net=100 * n, settled_cents=1000 - n, settled_square=1.0) for n in range(1, 6)]
    april = [month(f"a{n}", on=date(2025, 4, 1), net=100 * n) for n in range(1, 6)]
    found = reviews(*may, *april)
    assert [found[f"a{n}", 5]["rank"] for n in range(1, 6)] == [1, 2, 3, 4, 5]
    assert [found[f"a{n}", 4]["rank"] for n in range(1, 6)] == [5, 4, 3, 2, 1]
    assert (found["a1", 5]["basis"], found["a1", 4]["basis"]) == ("settled", "orders")
    assert found["a1", 5]["error_cents"] == 1.0


def test_what_leaders_do_is_a_mean_of_four_at_least():
    rows = [
        month(f"a{n}", net=100 * n, buyer_count=4, repeat_buyer_count=n - 1, order_count=4)
        for n in range(1, 6)
    ]
    do = json.loads(reviews(*rows)["a1", 5]["peers_do"])
    assert do["repeat_rate"] == {"median": 0.5, "leaders": 0.625}
    assert do["margin_rate"] == {"median": None, "leaders": None}
    assert do["ranked_cents"] == {"median": 300.0, "leaders": 350.0}


def test_orders_a_buyer_leaves_out_those_whose_buyer_nobody_knows():
    rows = [month(f"a{n}", buyer_count=2, order_count=40, known_order_count=3) for n in range(1, 6)]
    do = json.loads(reviews(*rows)["a1", 5]["peers_do"])
    assert do["orders_per_buyer"] == {"median": 1.5, "leaders": 1.5}


@pytest.mark.parametrize(("sellers", "told"), [(4, False), (5, True)])
def test_what_few_of_the_peers_have_is_told_to_nobody(sellers, told):
    """Ten registered parties of whom few sold: their numbers are nobody's to solve for."""
    rows = [
        month(f"a{n}", net=100 * n if n <= sellers else 0, buyer_count=4 * (n <= sellers), order_count=4)
        for n in range(1, 11)
    ]
    rows[0] |= {"margin_cents": 37, "costed_cents": 100}
    do = json.loads(reviews(*rows)["a9", 5]["peers_do"])
    for name in ("ranked_cents", "repeat_rate"):
        assert {figure is not None for figure in do[name].values()} == {told}
    assert do["margin_rate"] == {"median": None, "leaders": None}


def test_a_month_that_runs_is_told_and_only_the_newest_are_published():
    rows = [month("a1", on=date(2025, m, 1)) for m in (3, 4, 5, 6)]
    found = reviews(*rows, months=2)
    assert sorted(found) == [("a1", 5), ("a1", 6)]
    assert [found["a1", m]["is_whole"] for m in (5, 6)] == [True, False]


def test_skus_stand_in_their_order():
    sku = {"party_type": "agent", "party_id": "a1", "month_start_on": date(2025, 5, 1), "units": 1.0,
               "net_sales_cents": 5, "refunded_cents": 0, "margin_cents": None}  # fmt: skip
    skus = pl.DataFrame(
        [
            sku | {"side": "best", "place": 2, "sku_id": "s2"},
            sku | {"side": "best", "place": 1, "sku_id": "s1"},
            sku | {"side": "worst", "place": 1, "sku_id": "s9"},
        ],
        schema=NO_SKUS.schema,
    )
    found = reviews(month("a1"), skus=skus)["a1", 5]
    assert [one["sku_id"] for one in json.loads(found["best_skus"])] == ["s1", "s2"]
    assert json.loads(found["worst_skus"])[0]["margin_cents"] is None


def silence(nets_by_party, prior=0.0, left=()):
    rows = [
        month(party, on=date(2025, m, 1), net=net, is_active=party not in left)
        for party, nets in nets_by_party.items()
        for m, net in enumerate(nets, start=1)
    ]
    frame = pl.DataFrame(rows, schema_overrides=SCHEMA)
    done = with_silence(frame, pl.col("month_start_on") < date(2025, 6, 1), ReviewConfig(prior=prior))
    return {(row["party_id"], row["month_start_on"].month): row for row in done.to_dicts()}


def test_states_are_by_when_was_the_last_sale_and_by_the_fall():
    found = silence({"a1": [0, 100, 100, 30, 0, 0], "a2": [100, 0, 0, 0, 0, 9]})
    assert [found["a1", m]["state"] for m in range(1, 7)] == [
        "never", "sells", "sells", "falling", "quiet_1", "quiet_2",
    ]  # fmt: skip
    assert [found["a2", m]["state"] for m in range(2, 7)] == [
        "quiet_1", "quiet_2", "quiet_3", "quiet_3", "sells",
    ]  # fmt: skip
    assert found["a2", 5]["quiet_months"] == 4


def test_the_risk_is_the_share_that_was_silent_in_the_next_month_that_is_over():
    # June runs: what happens in it teaches nothing. Of four sells-months before May three sold on.
    found = silence({"a1": [100, 100, 100, 100, 100, 0], "a2": [100, 0, 0, 0, 0, 0]})
    assert found["a1", 5]["churn_risk"] == pytest.approx(1 / 5)
    assert found["a2", 5]["churn_risk"] == 1.0
    drawn = silence({"a1": [100, 100, 100, 100, 100, 0], "a2": [100, 0, 0, 0, 0, 0]}, prior=10)
    assert drawn["a1", 5]["churn_risk"] == pytest.approx((1 + 10 * 4 / 8) / (5 + 10))


def test_without_a_month_after_another_there_is_no_risk():
    assert silence({"a1": [100]})["a1", 1]["churn_risk"] is None


def test_who_left_counts_once_in_each_state_of_silence():
    """By hand, months January to May: who left was silent after a sale, and once in each state."""
    stays, back = [100, 100, 100, 100, 100, 0], [100, 0, 100, 100, 0, 0]
    found = silence({"stays": stays, "back": back, "gone": [100, 0, 0, 0, 0, 0]}, left={"gone"})
    # Months with a sale before a month that is over: 4 of stays, 3 of back, 1 of gone; then silent: 0, 2, 1.
    assert found["stays", 5]["churn_risk"] == pytest.approx(3 / 8)
    # Silent for one month: gone stayed silent, back came back. For two and three: gone alone.
    assert found["back", 5]["churn_risk"] == pytest.approx(1 / 2)
    assert (found["gone", 4]["state"], found["gone", 4]["churn_risk"]) == ("quiet_3", 1.0)
    # Without whoever left, as if only those who stayed were counted, it is too low.
    stayed = silence({"stays": stays, "back": back})
    assert stayed["stays", 5]["churn_risk"] == pytest.approx(2 / 7)


def test_long_silence_of_who_left_is_not_counted_again_and_again():
    stayed = {"late": [100, 0, 0, 0, 100, 0, 0, 0]}
    left = {"gone": [100, 0, 0, 0, 0, 0, 0, 0], "never": [0] * 8}
    rows = [
        month(party, on=date(2024 + (9 + m) // 12, (9 + m) % 12 + 1, 1), net=net, is_active=party in stayed)
        for party, nets in (stayed | left).items()
        for m, net in enumerate(nets)
    ]
    frame = pl.DataFrame(rows, schema_overrides=SCHEMA)
    done = with_silence(frame, pl.col("month_start_on") < date(2025, 6, 1), ReviewConfig(prior=0.0))
    risk = dict(done.select("state", "churn_risk").iter_rows())
    # Both were silent for three months in January; late came back. Later months of gone tell nothing.
    assert risk["quiet_3"] == pytest.approx(1 / 2)
    # Nothing was seen of `never`: the share of all, 4 of 4 months of gone and 6 of 7 of late.
    assert risk["never"] == pytest.approx(10 / 11)


def test_who_left_was_a_peer_until_the_last_sale_and_is_none_after_it():
    rows = [
        month(f"a{n}", on=date(2025, m, 1), net=100 * n if m != 4 else 0)
        for n in range(1, 5)
        for m in (3, 4, 5)
    ]
    nets = {2: 0, 3: 50, 4: 0, 5: 0}
    rows += [month("gone", on=date(2025, m, 1), net=net, is_active=False) for m, net in nets.items()]
    found = reviews(*rows)
    assert [key for key in found if key[0] == "gone"] == [("gone", 2), ("gone", 3)]
    assert (found["a1", 3]["peers"], found["a1", 5]["peers"]) == (5, 4)
    # Of all followed months 6 of 11 were silent; of those after a sale, all 5.
    assert found["a1", 5]["churn_risk"] == pytest.approx((5 + 10 * 6 / 11) / (5 + 10))
