"""Profile documents: written offline, read online without frames, refused when they do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime, timedelta

import polars as pl
import pytest

from benchmarks.tags.tag_oracle.compare import row_of
from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago
from feature_store.contracts import REFRESH_TTL, ProfileSchema, RefreshClass, TagField, TagStatus, TagType
from feature_store.errors import FingerprintMismatchError, ProfileError, UnknownTagError
from feature_store.offline import build_tags, profile_documents, tags_without_source, validate_tags
from feature_store.online import SCHEMA_FILE, ProfileReader, packaged_schema, read_schema
from feature_store.predicted import PREDICTED, SCHEMA
from feature_store.registry import Registry, entities, load_registry
from feature_store.registry.catalogue import PACKAGE, catalogue, catalogue_file, schema_text
from models.contracts import PUBLISHED_TABLES

NAMES = ["orders_30d", "aov_90d", "weekend_share", "is_active_30d", "cohort_month", "lifecycle_stage"]


@pytest.fixture
def world() -> World:
    world = World()
    world.order("a", ago(5), net=250)
    world.order("b", ago(100), net=99)
    return world


def reader(registry: Registry, names: list[str] | None = None) -> ProfileReader:
    return ProfileReader(registry.profile_schema(names))


def test_documents_match_the_published_table(world: World) -> None:
    documents = profile_documents(build_tags(world.connect(), NOW, NAMES, time_zone=ZONE))
    assert documents.columns == [column.name for column in PUBLISHED_TABLES["profiles"].columns]
    assert documents.schema["as_of"] == pl.Datetime("us", "UTC")
    assert documents["consumer_id"].to_list() == ["a", "b"]


def test_what_is_written_is_read_back(world: World, registry: Registry) -> None:
    frame = build_tags(world.connect(), NOW, NAMES, time_zone=ZONE)
    documents = profile_documents(frame)
    for row in documents.iter_rows(named=True):
        profile = reader(registry, NAMES).decode(**row, now=NOW)
        expected = {name: row_of(frame, row["consumer_id"])[name] for name in NAMES}
        assert {name: tag.value for name, tag in profile.tags.items()} == expected
        assert profile.as_of == NOW
    lapsed = reader(registry, NAMES).decode(**documents.row(1, named=True), now=NOW)
    assert lapsed.tags["aov_90d"].status is TagStatus.NULL
    assert lapsed.tags["orders_30d"].status is TagStatus.PRESENT
    assert "aov_90d" not in lapsed.present()
    assert lapsed.present()["cohort_month"] == date(2017, 8, 1)


def test_a_tag_whose_source_never_reported_has_no_source(world: World, registry: Registry) -> None:
    con = world.connect()
    frame = build_tags(con, NOW, time_zone=ZONE)
    silent = tags_without_source(con, NOW)
    assert {"points_balance", "sessions_7d", "invites_90d"} <= set(silent)
    assert not {"orders_30d", "top_brand_365d"} & set(silent)
    assert tags_without_source(con, ago(5_000)) == list(registry.tags)
    row = profile_documents(frame, without_source=silent).row(0, named=True)
    judge = reader(registry, list(registry.tags))
    read = judge.decode(**row, now=NOW).tags
    assert {name for name, tag in read.items() if tag.status is TagStatus.NO_SOURCE} == set(silent)
    assert read["orders_30d"].status is TagStatus.PRESENT
    live = judge.decode(**row, now=NOW, changed='{"points_balance": null, "sessions_7d": 3}').tags
    assert live["points_balance"].status is TagStatus.NO_SOURCE
    assert live["sessions_7d"].value == 3


def test_all_tags_are_read_with_the_packaged_schema(world: World) -> None:
    frame = build_tags(world.connect(), NOW, time_zone=ZONE)
    documents = profile_documents(frame, predicted=SCHEMA.to_frame())
    profile = ProfileReader(packaged_schema()).decode(**documents.row(0, named=True), now=NOW)
    assert profile.present()["net_spend_30d"] == 250
    # No champion serves: nobody says anything, which is not the same as saying nothing about this consumer.
    assert {profile.tags[one.name].status for one in PREDICTED} == {TagStatus.NO_SOURCE}


def test_what_champions_say_stands_beside_the_tags_with_its_version(world: World) -> None:
    said = pl.DataFrame(
        {"consumer_id": ["b"], "churn_probability_28d": [0.25], "churn_probability_28d_by": ["m version 3"]}
    )
    predicted = pl.concat([SCHEMA.to_frame(), said], how="diagonal")
    documents = profile_documents(build_tags(world.connect(), NOW, time_zone=ZONE), predicted=predicted)
    judge = ProfileReader(packaged_schema())
    a, b = (judge.decode(**row, now=NOW).tags for row in documents.iter_rows(named=True))
    assert (b["churn_probability_28d"].value, b["churn_probability_28d_by"].value) == (0.25, "m version 3")
    assert a["churn_probability_28d"].status is TagStatus.NULL
    assert {tags["rebuy_category_14d"].status for tags in (a, b)} == {TagStatus.NO_SOURCE}
    withdrawn = judge.decode(**documents.row(1, named=True), now=NOW, consents={"profiling": False}).tags
    assert {withdrawn[one.name].status for one in PREDICTED} == {TagStatus.WITHHELD}
    assert withdrawn["churn_probability_28d"].value is None
    old = judge.decode(**documents.row(1, named=True), now=NOW + REFRESH_TTL[RefreshClass.DAY] * 2).tags
    assert old["churn_probability_28d"].status is TagStatus.EXPIRED


def test_a_predicted_tag_is_no_tag_of_the_registry_and_of_consumers_alone(registry: Registry) -> None:
    names = [one.name for one in PREDICTED]
    assert not set(names) & set(registry.tags)
    fields = registry.profile_schema(["orders_30d", *names]).fields
    assert [field.name for field in fields] == ["orders_30d", *names]
    assert [field.is_predicted for field in fields] == [False, *[True] * len(names)]
    others = load_registry(entity="merchant").profile_schema().fields
    assert not any(field.is_predicted for field in others)


def test_each_tag_expires_after_its_own_time_to_live(world: World, registry: Registry) -> None:
    row = profile_documents(build_tags(world.connect(), NOW, NAMES)).row(0, named=True)
    quick, slow = REFRESH_TTL[RefreshClass.QUARTER_HOUR], REFRESH_TTL[RefreshClass.DAY]

    def status(now: datetime) -> tuple[TagStatus, TagStatus]:
        tags = reader(registry, NAMES).decode(**row, now=now).tags
        return tags["orders_30d"].status, tags["weekend_share"].status

    tick = timedelta(microseconds=1)
    assert status(NOW + quick) == (TagStatus.PRESENT, TagStatus.PRESENT)
    assert status(NOW + quick + tick) == (TagStatus.EXPIRED, TagStatus.PRESENT)
    assert status(NOW + slow + tick) == (TagStatus.EXPIRED, TagStatus.EXPIRED)
    expired = reader(registry, NAMES).decode(**row, now=NOW + slow + tick)
    assert expired.present() == {}
    assert expired.tags["orders_30d"].value is None


def test_age_is_judged_by_the_moment_of_the_class(world: World, registry: Registry) -> None:
    """A consumer without a changed tag is as fresh as the tick that looked at everybody."""
    row = profile_documents(build_tags(world.connect(), NOW, NAMES)).row(0, named=True)
    later = NOW + timedelta(hours=30)
    live = {RefreshClass.QUARTER_HOUR: later}
    judge = reader(registry, NAMES)
    assert judge.decode(**row, now=later).tags["orders_30d"].status is TagStatus.EXPIRED
    profile = judge.decode(**row, now=later, live_as_of=live)
    assert profile.tags["orders_30d"].status is TagStatus.PRESENT
    assert profile.as_of_by_class == {
        RefreshClass.QUARTER_HOUR: later,
        RefreshClass.HOUR: NOW,
        RefreshClass.DAY: NOW,
    }
    much_later = judge.decode(**row, now=NOW + timedelta(hours=49), live_as_of=live)
    assert much_later.tags["weekend_share"].status is TagStatus.EXPIRED
    assert much_later.tags["orders_30d"].status is TagStatus.EXPIRED


def test_changed_tags_replace_the_published_ones(registry: Registry) -> None:
    judge = reader(registry, ["orders_30d", "is_active_30d"])
    published = '{"orders_30d": 1, "is_active_30d": true}'
    read = judge.decode("a", published, judge.fingerprint, NOW, now=NOW, changed='{"orders_30d": 2}')
    assert read.present() == {"orders_30d": 2, "is_active_30d": True}
    emptied = judge.decode("a", published, judge.fingerprint, NOW, now=NOW, changed='{"orders_30d": null}')
    assert emptied.tags["orders_30d"].status is TagStatus.NULL
    newcomer = judge.decode("a", None, judge.fingerprint, NOW, now=NOW, changed='{"orders_30d": 2}')
    assert newcomer.present() == {"orders_30d": 2}
    assert newcomer.tags["is_active_30d"].status is TagStatus.NULL
    with pytest.raises(ProfileError, match="should be int, got 'two'"):
        judge.decode("a", published, judge.fingerprint, NOW, now=NOW, changed='{"orders_30d": "two"}')


def test_another_schema_is_refused(world: World, registry: Registry) -> None:
    row = profile_documents(build_tags(world.connect(), NOW, NAMES)).row(0, named=True)
    with pytest.raises(FingerprintMismatchError, match="consumer 'a'"):
        reader(registry).decode(**row, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [{"unit": "point"}, {"type": TagType.DECIMAL}, {"refresh": RefreshClass.DAY}, {"name": "orders_31d"}],
)
def test_the_fingerprint_follows_every_field(changes: dict[str, object]) -> None:
    field = TagField(name="orders_30d", type=TagType.INT, unit="count", refresh=RefreshClass.HOUR)
    other = field.model_copy(update=changes)
    assert ProfileSchema(fields=(field,)).fingerprint != ProfileSchema(fields=(other,)).fingerprint
    assert (
        ProfileSchema(fields=(field,)).fingerprint == ProfileSchema(fields=(field.model_copy(),)).fingerprint
    )


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"orders_30d": true, "is_active_30d": true, "cohort_month": null}', "should be int, got True"),
        ('{"orders_30d": 1.5, "is_active_30d": true, "cohort_month": null}', "should be int, got 1.5"),
        ('{"orders_30d": 1, "is_active_30d": 1, "cohort_month": null}', "should be bool, got 1"),
        ('{"orders_30d": 1, "is_active_30d": true, "cohort_month": "soon"}', "is not a date: 'soon'"),
    ],
)
def test_broken_documents_are_refused(registry: Registry, tags: str, message: str) -> None:
    judge = reader(registry, ["orders_30d", "is_active_30d", "cohort_month"])
    with pytest.raises(ProfileError, match=message):
        judge.decode("a", tags, judge.fingerprint, NOW, now=NOW)


def test_naive_times_and_broken_schemas_are_refused(registry: Registry) -> None:
    judge = reader(registry, ["orders_30d"])
    with pytest.raises(ProfileError, match="time zone"):
        judge.decode("a", '{"orders_30d": 1}', judge.fingerprint, NOW.replace(tzinfo=None), now=NOW)
    with pytest.raises(ProfileError, match="cannot be read"):
        read_schema('{"fields": [{"name": "x"}]}')


def test_only_tags_are_written() -> None:
    frame = pl.DataFrame({"consumer_id": ["a"], "as_of": [NOW], "shoe_size": [42]})
    with pytest.raises(UnknownTagError, match="shoe_size"):
        profile_documents(frame)


def test_the_reader_is_light() -> None:
    code = (
        "import json, sys; import feature_store.online; "
        "print(json.dumps([m for m in ('polars', 'duckdb', 'sqlglot', 'yaml', 'numpy') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_values_outside_the_registry_are_violations(world: World) -> None:
    names = ["orders_30d", "weekend_share", "lifecycle_stage", "rfm_cell", "is_active_30d"]
    frame = build_tags(world.connect(), NOW, names)
    assert validate_tags(frame) == []
    broken = frame.with_columns(
        orders_30d=pl.lit(-1, dtype=pl.Int64),
        weekend_share=pl.Series([1.5, float("nan")]),
        lifecycle_stage=pl.lit("asleep"),
        rfm_cell=pl.Series([None, "66"]),
        is_active_30d=pl.lit(1),
    )
    found = {(v.tag, v.rule.split(",")[0]): (v.rows, v.entity_id, v.value) for v in validate_tags(broken)}
    assert found[("orders_30d", "must be at least 0")] == (2, "a", "-1")
    assert found[("weekend_share", "must be finite")][:2] == (1, "b")
    assert found[("weekend_share", "must be at most 1")][1] == "a"
    assert found[("lifecycle_stage", "must be one of prospect")] == (2, "a", "asleep")
    assert found[("rfm_cell", "must match [1-5]{3}")] == (1, "b", "66")
    assert found[("is_active_30d", "type must be Boolean")][0] == 2


def test_generated_files_are_current(registry: Registry) -> None:
    stale = "run `python -m feature_store.registry.catalogue` and commit"
    for entity in entities():
        page = catalogue_file(entity).read_text(encoding="utf-8")
        assert page == catalogue(load_registry(entity=entity)), stale
    assert (PACKAGE / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text(registry), stale
