"""The table of authorities is whole, and the page shows it."""

from pathlib import Path

from serving.authority import AUTHORITIES, authority_of
from serving.authority.page import page
from serving.security import Role
from serving.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "authority.md"


def test_rows_name_roles_that_exist_and_settings_that_exist():
    unknown = [
        (one.fact, name)
        for one in AUTHORITIES
        for name in (*one.roles - set(Role), *set(one.limits) - set(Settings.model_fields))
    ]
    assert unknown == []


def test_an_auditor_states_nothing_and_every_fact_is_named_once_and_proved():
    assert [one.fact for one in AUTHORITIES if Role.AUDITOR in one.roles] == []
    assert len({one.fact for one in AUTHORITIES}) == len(AUTHORITIES)
    assert [one.fact for one in AUTHORITIES if not (one.says and one.proof)] == []


def test_a_fact_comes_by_a_key_or_by_something_else_that_is_named():
    assert [one.fact for one in AUTHORITIES if bool(one.roles) == bool(one.by)] == []
    assert [one.fact for one in AUTHORITIES if one.roles and not one.routes] == []


def test_an_authority_is_found_by_its_route_with_typed_parameters_or_without():
    offer = authority_of("PUT", "/v1/suppliers/{supplier_id:str}/offers")
    assert offer is authority_of("PUT", "/v1/suppliers/{supplier_id}/offers")
    assert offer is not None
    assert offer.fact == "offer"
    assert authority_of("GET", "/v1/suppliers/{supplier_id}/offers") is None


def test_the_page_is_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m serving.authority > docs/authority.md"
