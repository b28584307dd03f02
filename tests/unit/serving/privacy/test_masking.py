import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.privacy.masking import (
    RECIPIENT_TABLE,
    Relation,
    Visibility,
    mask_address,
    mask_name,
    mask_phone,
    recipient_visibility,
)
from serving.security import Principal, Role, Scope


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("", ""),
        (" ", ""),
        ("王", "*"),
        ("王明", "王*"),
        ("王小明", "王**"),
        ("欧阳小明", "欧***"),
        ("阿卜杜拉买买提", "阿***"),
        ("Anna", "A****"),
        ("Anna Schmidt", "A****"),
        ("Li 明", "L****"),
    ],
)
def test_names(name, masked):
    assert mask_name(name) == masked


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("13800001234", "138****1234"),
        ("138-0000-1234", "138****1234"),
        ("+86 138 0000 1234", "861****1234"),
        ("021-5555666", "****66"),
        ("5555666", "****66"),
        ("110", "****"),
        ("", "****"),
        ("none", "****"),
    ],
)
def test_phones(phone, masked):
    assert mask_phone(phone) == masked


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("浙江省杭州市西湖区文三路1号", "浙江省杭州市****"),
        ("上海市浦东新区世纪大道100号", "上海市****"),
        ("新疆维吾尔自治区伊犁哈萨克自治州伊宁市1号", "新疆维吾尔自治区伊犁哈萨克自治州****"),
        ("内蒙古自治区锡林郭勒盟1号", "内蒙古自治区锡林郭勒盟****"),
        ("香港特别行政区中环1号", "香港特别行政区****"),
        ("广东省惠民超市对面", "广东省****"),
        ("阳光小区3栋", "****"),
        ("12 Main Street, Shanghai", "****"),
        ("", "****"),
    ],
)
def test_addresses(address, masked):
    assert mask_address(address) == masked


@given(st.text(alphabet="0123456789 +-()", max_size=25))
def test_a_masked_phone_hides_four_digits_or_more(phone):
    digits = [character for character in phone if character.isdecimal()]
    shown = [character for character in mask_phone(phone) if character.isdecimal()]
    assert len(shown) <= max(0, len(digits) - 4)


@given(st.text(min_size=2, max_size=30))
def test_a_masked_name_shows_one_character_at_most(name):
    assert len(mask_name(name).rstrip("*")) <= 1


@given(st.text(alphabet="浙江省杭州市西湖区文三路一二三号0123456789", max_size=40))
def test_a_masked_address_shows_no_house_number(address):
    masked = mask_address(address)
    assert masked.endswith("****")
    assert not any(character.isdecimal() for character in masked)


CLEAR, MASKED, NOTHING = Visibility.CLEAR, Visibility.MASKED, Visibility.NOTHING
SHIPS, PARTY, NONE = Relation.SHIPS, Relation.PARTY, Relation.NONE


@pytest.mark.parametrize(
    ("role", "scopes", "seen"),
    [
        (Role.OPERATOR, {Scope.PERSONAL_READ}, {SHIPS: CLEAR, PARTY: CLEAR, NONE: CLEAR}),
        (Role.OPERATOR, set(Scope) - {Scope.PERSONAL_READ}, {SHIPS: MASKED, PARTY: MASKED, NONE: MASKED}),
        (Role.AUDITOR, set(), {SHIPS: MASKED, PARTY: MASKED, NONE: MASKED}),
        (Role.SUPPLIER, set(), {SHIPS: CLEAR, PARTY: MASKED, NONE: NOTHING}),
        (Role.MERCHANT, set(), {SHIPS: MASKED, PARTY: MASKED, NONE: NOTHING}),
        (Role.AGENT, set(), {SHIPS: NOTHING, PARTY: NOTHING, NONE: NOTHING}),
        # The scope alone opens nothing for other roles, however it came to the key.
        (Role.AUDITOR, {Scope.PERSONAL_READ}, {SHIPS: MASKED, PARTY: MASKED, NONE: MASKED}),
        (Role.AGENT, {Scope.PERSONAL_READ}, {SHIPS: NOTHING, PARTY: NOTHING, NONE: NOTHING}),
    ],
)
def test_who_sees_a_recipient(role, scopes, seen):
    party = None if role in (Role.OPERATOR, Role.AUDITOR) else "p1"
    principal = Principal("k", "default", role, party, frozenset(scopes))
    assert {relation: recipient_visibility(principal, relation) for relation in Relation} == seen


def test_the_table_is_complete():
    assert RECIPIENT_TABLE.keys() == set(Role)
    assert all(row.keys() == set(Relation) for row in RECIPIENT_TABLE.values())
