"""A segment of the published version: size, members, who came and who left."""

import psycopg
import pytest

from serving.db.urls import libpq_url


def members(answer):
    return [member["consumer_id"] for member in answer["members"]]


def test_size_movement_and_members(ask):
    answer = ask("/v1/segments/loyal").json()
    assert answer["publication_version"] == "v1"
    assert (answer["member_count"], answer["entered_count"], answer["left_count"]) == (3, 1, 1)
    assert members(answer) == ["c1", "c2", "c4"]
    assert answer["members"][0] == {"consumer_id": "c1", "entered_on": "2017-12-30", "left_on": None}
    assert answer["description"] == "Bought in each of the last three months."


def test_the_list_has_every_segment_with_its_movement(ask):
    answer = ask("/v1/segments")
    assert answer.json() == {
        "publication_version": "v1",
        "as_of": ask("/v1/segments/loyal").json()["as_of"],
        "days": 7,
        "segments": [
            {
                "segment": "loyal",
                "description": "Bought in each of the last three months.",
                "member_count": 3,
                "entered_count": 1,
                "left_count": 1,
            },
            {
                "segment": "nobody",
                "description": "A rule that holds for nobody.",
                "member_count": 0,
                "entered_count": 0,
                "left_count": 0,
            },
        ],
    }
    (loyal, _) = ask("/v1/segments", days=1).json()["segments"]
    assert (loyal["entered_count"], loyal["left_count"]) == (0, 1)
    assert ask("/v1/segments", days=29).status_code == 422


@pytest.mark.parametrize(
    ("show", "days", "expected"),
    [
        ("entered", 7, ["c1"]),
        ("entered", 1, []),  # the day before is not within one day
        ("entered", 2, ["c1"]),
        ("left", 7, ["c3"]),
        ("left", 1, ["c3"]),
        ("members", 1, ["c1", "c2", "c4"]),
    ],
)
def test_who_came_and_who_left(ask, show, days, expected):
    assert members(ask("/v1/segments/loyal", show=show, days=days).json()) == expected


def test_pages_meet_every_member_once(ask):
    first = ask("/v1/segments/loyal", limit=2).json()
    rest = ask("/v1/segments/loyal", limit=2, cursor=first["next_cursor"]).json()
    assert members(first) + members(rest) == ["c1", "c2", "c4"]
    assert rest["next_cursor"] is None
    assert ask("/v1/segments/loyal", cursor="x").status_code == 422


def test_empty_and_unknown_segments_differ(ask):
    empty = ask("/v1/segments/nobody").json()
    assert (empty["member_count"], empty["members"]) == (0, [])
    assert ask("/v1/segments/unheard").json()["type"] == "urn:muyun:problem:segment-not-found"
    assert ask("/v1/segments/loyal", show="all").status_code == 422
    assert ask("/v1/segments/loyal", days=29).status_code == 422


def test_who_withdrew_is_counted_and_not_listed(ask, scores_url):
    with psycopg.connect(libpq_url(scores_url)) as connection:
        connection.execute(
            "insert into consumers.consent (tenant_id, consumer_id, purpose, stated_at, granted, source,"
            " received_at) values ('default', 'c2', 'marketing', now(), false, 'test', now())"
        )
    answer = ask("/v1/segments/loyal").json()
    assert (answer["member_count"], members(answer)) == (3, ["c1", "c4"])
