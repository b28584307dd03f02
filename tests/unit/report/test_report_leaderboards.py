from pipelines.report.origins import Origin, Origins
from pipelines.report.sections import leaderboards
from pipelines.sources.loading.ingest import IngestReport

OBSERVED = Origin("observed")


def row(system, metric, value, level, **more):
    return {"system": system, "metric": metric, "value": value, "level": level, **more}


def model(**changes):
    base = {
        "name": "demand_lstm",
        "metric": "wape",
        "value": 0.4,
        "baseline": "naive_median",
        "baseline_value": 0.5,
        "lift": [0.05, 0.1, 0.15],
        "leaderboard": [
            row("demand_lstm", "wape", 0.4, "weeks"),
            row("naive", "wape", 0.55, "weeks"),
            row("mean", "wape", 0.5, "weeks"),
            row("demand_lstm", "wape", 0.1, "months"),
            row("naive", "wape", 0.2, "months"),
            row("mean", "crossings", 3.0, "weeks"),
        ],
    }
    return base | changes


def test_the_model_is_found_by_its_name_and_the_rule_without_its_suffix():
    assert leaderboards.kinds(model()) == {"demand_lstm": "model", "naive": "rule", "mean": "other"}


def test_a_model_under_another_name_is_found_by_its_value():
    renamed = model(name="recommendation_repeat", baseline="naive", value=0.5000001)
    assert leaderboards.kinds(renamed) == {"demand_lstm": "other", "naive": "rule", "mean": "model"}


def test_the_level_is_where_the_gate_decided():
    assert leaderboards.headline_level(model()) == "weeks"
    assert leaderboards.headline_level(model(value=0.11)) == "months"
    assert leaderboards.headline_level(model(leaderboard=[])) is None


def order(figure):
    return [name for name in ("demand_lstm", "mean", "naive") if name in figure.svg] and [
        part.split(">")[1].split("<")[0]
        for part in str(figure.svg).split("<text")
        if 'text-anchor="end"' in part and 'class=""' in part
    ]


def test_systems_stand_best_first_in_either_direction():
    figure = leaderboards.interval_figure(model(), "wape", OBSERVED)
    assert order(figure) == ["demand_lstm", "mean", "naive"]
    higher = model(
        value=0.6, leaderboard=[row("demand_lstm", "wape", 0.6, "w"), row("naive", "wape", 0.5, "w")]
    )
    assert order(leaderboards.interval_figure(higher, "wape", OBSERVED)) == ["demand_lstm", "naive"]


def test_tables_fill_gaps_and_write_counts_as_counts():
    table = leaderboards.system_table(model(), "t", OBSERVED)
    assert [column.title for column in table.columns] == ["system", "wape", "crossings"]
    assert list(table.rows[0]) == ["demand_lstm", "0.4000", "–"]
    assert list(table.rows[2]) == ["mean", "0.5000", "3"]


def test_repeated_rows_stand_once_and_shared_words_are_left_out():
    rows = [
        row("a", "auc", 0.8, "churn, cut 2017-10-01", low=0.7, high=0.9),
        row("a", "auc", 0.8, "churn, cut 2017-10-01", low=0.7, high=0.9),
        row("a", "auc", 0.6, "churn, cut 2017-11-01"),
    ]
    table = leaderboards.level_table(model(leaderboard=rows, metric="auc"), "auc", "t", OBSERVED)
    assert [column.title for column in table.columns] == ["system", "cut 2017‑10‑01", "cut 2017‑11‑01"]
    assert [list(cells) for cells in table.rows] == [["a", "0.8000 [0.7000, 0.9000]", "0.6000"]]


def account(table, origin, accepted):
    return IngestReport(table, origin, accepted, accepted, 0, {}, (), None, None, ())


def test_origins_are_those_of_the_tables_with_rows():
    origins = Origins(
        [account("orders", "observed", 5), account("offers", "overlay", 5), account("events", "overlay", 0)]
    )
    assert origins.of("orders").kind == "observed"
    assert origins.of("offers").kind == "overlay"
    assert origins.of("orders", "offers").kind == "both"
    assert origins.of("orders", "events").kind == "observed"
    assert origins.of("events", "messages").kind == "none"
    assert origins.of_all().kind == "both"
    assert origins.of("offers", "orders").tables == "observed: orders; overlay: offers"
    assert Origins([]).of_all().kind == "none"
