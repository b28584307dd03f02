"""Which adapters there are, and which secrets each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serving.channels.alipay.adapter import ADAPTER as ALIPAY
from serving.channels.alipay.adapter import AlipayAdapter
from serving.channels.protocol import Account, Adapter
from serving.channels.simulated.adapter import ADAPTER as SIMULATED
from serving.channels.simulated.adapter import SimulatedAdapter
from serving.channels.wechat.adapter import ADAPTER as WECHAT
from serving.channels.wechat.adapter import WeChatAdapter
from serving.channels.wechat.resource import check_key

ADAPTERS: Mapping[str, Callable[[Account], Adapter]] = {
    ALIPAY: AlipayAdapter,
    SIMULATED: SimulatedAdapter,
    WECHAT: WeChatAdapter,
}
"""Adapters by the name under which accounts are registered."""

BILL_KINDS: Mapping[str, frozenset[str]] = {
    ALIPAY: AlipayAdapter.bill_kinds,
    SIMULATED: SimulatedAdapter.bill_kinds,
    WECHAT: WeChatAdapter.bill_kinds,
}
"""What the bills of an adapter's accounts tell of, of the kinds of `facts.BillLine`."""

SECRETS: Mapping[str, tuple[str, ...]] = {
    ALIPAY: ("private_key",),
    SIMULATED: ("private_key",),
    WECHAT: ("private_key", "serial", "api_v3_key"),
}
"""Names of the secrets that an account of an adapter has, all of them and no other."""


def adapter_of(account: Account) -> Adapter:
    """The adapter that speaks for an account."""
    return ADAPTERS[account.adapter](account)


def check_secrets(adapter: str, secrets: Mapping[str, str]) -> None:
    """Refuse secrets that an adapter could not use beyond what every adapter checks.

    Raises:
        ChannelKeyError: One cannot be used.
    """
    if adapter == WECHAT:
        check_key(secrets["api_v3_key"])
