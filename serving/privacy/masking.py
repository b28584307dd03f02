"""What a role sees of personal values: the masks and the table of who sees what. Pure; opens nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from serving.security.principal import Principal
from serving.security.roles import Role, Scope

_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|"
    "湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_REGION = re.compile(
    rf"\s*(?:{_PROVINCES})(?:特别行政区|(?:壮族|回族|维吾尔)?自治区|省|市)?"
    r"(?:\s*[\u4e00-\u9fff]{1,7}?(?:自治州|地区|盟|(?<!超)市))?"
)
_HIDDEN = "****"


class Visibility(StrEnum):
    """How a personal value is shown."""

    CLEAR = "clear"
    MASKED = "masked"
    NOTHING = "nothing"


class Relation(StrEnum):
    """What the asking party has to do with the order of the recipient."""

    SHIPS = "ships"
    """A supplier whose sub-order has not yet been received (pending, accepted or shipped)."""
    PARTY = "party"
    """A party of the order in any other way."""
    NONE = "none"
    """Not a party of the order."""


RECIPIENT_TABLE: Mapping[Role, Mapping[Relation, Visibility]] = {
    # Every party of the tenant is the operator's and the auditor's business.
    Role.OPERATOR: dict.fromkeys(Relation, Visibility.MASKED),
    Role.AUDITOR: dict.fromkeys(Relation, Visibility.MASKED),
    Role.SUPPLIER: {
        Relation.SHIPS: Visibility.CLEAR,
        Relation.PARTY: Visibility.MASKED,
        Relation.NONE: Visibility.NOTHING,
    },
    Role.MERCHANT: {
        Relation.SHIPS: Visibility.MASKED,
        Relation.PARTY: Visibility.MASKED,
        Relation.NONE: Visibility.NOTHING,
    },
    Role.AGENT: dict.fromkeys(Relation, Visibility.NOTHING),
}
"""Who sees the recipient of an order, and how. An operator's key with `personal:read` sees it in clear."""


def recipient_visibility(principal: Principal, relation: Relation) -> Visibility:
    """How the recipient of an order is shown to a key.

    Args:
        principal: Who asks.
        relation: What its party has to do with the order; of no meaning for operators and auditors.
    """
    if principal.role is Role.OPERATOR and Scope.PERSONAL_READ in principal.scopes:
        return Visibility.CLEAR
    return RECIPIENT_TABLE[principal.role][relation]


def mask_name(name: str) -> str:
    """The first character, the rest starred: one star a character for Chinese names, else four.

    >>> mask_name("王小明"), mask_name("Anna Schmidt"), mask_name("王")
    ('王**', 'A****', '*')
    """
    stripped = name.strip()
    if len(stripped) < 2:
        return "*" * len(stripped)
    chinese = all("\u4e00" <= character <= "\u9fff" for character in stripped)
    # At most three stars: a longer name shall not be known by its length.
    return stripped[0] + ("*" * min(3, len(stripped) - 1) if chinese else _HIDDEN)


def mask_phone(phone: str) -> str:
    """First three and last four digits of a full number; of a short one the last two; of less nothing.

    >>> mask_phone("138 0000 1234"), mask_phone("6512345"), mask_phone("110")
    ('138****1234', '****45', '****')
    """
    digits = "".join(character for character in phone if character.isdecimal())
    if len(digits) >= 11:
        return f"{digits[:3]}{_HIDDEN}{digits[-4:]}"
    return _HIDDEN + (digits[-2:] if len(digits) >= 7 else "")


def mask_address(address: str) -> str:
    """Province and city when the address begins with them, the rest starred.

    >>> mask_address("浙江省杭州市西湖区文三路 1 号"), mask_address("12 Main Street")
    ('浙江省杭州市****', '****')
    """
    region = _REGION.match(address)
    return (region.group().strip() if region else "") + _HIDDEN
