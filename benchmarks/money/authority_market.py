"""A market whose things others try to move: two shops, two suppliers, their agents, and another tenant."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from benchmarks.money.till import Till
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.orders.assortment import catalogue, stock
from serving.security import Scope, hash_key
from serving.settlement.plans.assignments import put_into_force

TENANT, OTHER = "default", "other"
PRICE, LISTED = 7_000, 10_000
MOST_BPS = 2_000
_EARLY = datetime.now(UTC) - timedelta(days=60)
_PARTIES = (("merchant", "m1"), ("merchant", "m2"), ("supplier", "s1"), ("supplier", "s2"))
_AGENTS = (("a1", "m1"), ("a2", "m2"))
_KEYS = {
    "operator": (TENANT, "operator", None),
    "second operator": (TENANT, "operator", None),
    "auditor": (TENANT, "auditor", None),
    "m1": (TENANT, "merchant", "m1"),
    "m2": (TENANT, "merchant", "m2"),
    "s1": (TENANT, "supplier", "s1"),
    "s2": (TENANT, "supplier", "s2"),
    "a1": (TENANT, "agent", "a1"),
    "a2": (TENANT, "agent", "a2"),
    "operator of another tenant": (OTHER, "operator", None),
    "m1 of another tenant": (OTHER, "merchant", "m1"),
    "s1 of another tenant": (OTHER, "supplier", "s1"),
}


@dataclass(frozen=True)
class Market:
    """What there is to attack.

    Attributes:
        keys: Name of a caller to its key; every key has every scope, so that only roles and owners refuse.
        ids: Name of a parameter or field to the id of the victims' thing.
        till: Pays as the channel does.
        paid, unpaid: Orders of m1, shipped by s1 and sold by a1.
    """

    keys: dict[str, str]
    ids: dict[str, Any]
    till: Till
    paid: str
    unpaid: str


def fill(url: str) -> dict[str, str]:
    """A plan in force, the parties and their goods, in both tenants; the keys by the name of the caller."""
    with Operations(url, size=1) as operations:
        for tenant in (TENANT, OTHER):
            with operations.transaction(tenant) as conn:
                _fill_tenant(conn, tenant)
    keys = {}
    with psycopg.connect(libpq_url(url)) as conn:
        for name, (tenant, role, party) in _KEYS.items():
            keys[name] = f"muyun_bench_{secrets.token_urlsafe(24)}"
            conn.execute(
                "insert into ops.api_key (key_id, key_hash, name, scopes, tenant_id, role, party_id,"
                " rate_per_s, burst) values (%s, %s, %s, %s, %s, %s, %s, 1e6, 1000000)",
                (secrets.token_hex(6), hash_key(keys[name]), name, sorted(Scope), tenant, role, party),
            )
    return keys


def open_for_business(client: httpx.Client, keys: dict[str, str]) -> Market:
    """Orders, a case, a hold and a request for approval of the victims, over HTTP.

    Raises:
        RuntimeError: The server refuses one of them.
    """

    def ask(who: str, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": key} if key else {})
        answer = client.request(method, f"/v1{path}", json=body, headers=headers)
        if answer.is_error:
            raise RuntimeError(f"{who} {method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    def post(path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        answer = client.post(path, content=body, headers=dict(headers))
        return answer.status_code, answer.content

    till = Till.register(post, keys["operator"], merchant_number="shop", fee_bps=60)
    orders = {}
    for name in ("paid", "unpaid", "case"):
        wanted = {
            "merchant_id": "m1",
            "consumer_id": "c1",
            "agent_id": "a1",
            "lines": [{"sku_id": "sku-1", "qty": 2}],
        }
        orders[name] = ask("m1", "POST", "/orders", wanted, f"order-{name}")
    for name in ("paid", "case"):
        status, answer = till.pay(orders[name]["order_id"], orders[name]["payable_cents"])
        if status != 200:
            raise RuntimeError(f"the payment was not taken: {status} {answer[:300]!r}")
    case_order = orders["case"]["order_id"]
    case = {"line_no": 1, "kind": "refund", "reason_code": "damaged", "requested_cents": 1_000}
    opened = ask("m1", "POST", f"/orders/{case_order}/after-sales", case, "case-1")
    hold = {"target_type": "party", "party_type": "supplier", "party_id": "s1", "reason_code": "review"}
    held = ask("operator", "POST", "/holds", hold, "hold-1")
    entries = [
        {"account": "platform_fee", "amount_cents": 100},
        {"account": "subsidy", "amount_cents": -100},
    ]
    posting = {
        "kind": "correction",
        "booked_at": datetime.now(UTC).isoformat(),
        "entries": entries,
        "reason_code": "rounding_difference",
    }
    waiting = ask("operator", "POST", "/ledger/transactions", posting, "posting-1")
    ids = {
        "merchant_id": "m1",
        "supplier_id": "s1",
        "agent_id": "a1",
        "consumer_id": "c1",
        "sku_id": "sku-1",
        "party_type": "supplier",
        "party_id": "s1",
        "payee_type": "supplier",
        "payee_id": "s1",
        "protected_agent_id": "a1",
        "order_id": orders["paid"]["order_id"],
        "case_id": opened["case_id"],
        "hold_id": held["hold_id"],
        "approval_id": waiting["approval_id"],
        "version": waiting["version"],
        "digest": waiting["digest"],
        "channel_id": till.channel_id,
        "line_no": 1,
        "source_at": datetime.now(UTC).isoformat(),
        "first_on": "2026-01-01",
        "last_on": "2026-12-01",
    }
    return Market(keys, ids, till, orders["paid"]["order_id"], orders["unpaid"]["order_id"])


def _fill_tenant(conn: psycopg.Connection[Any], tenant: str) -> None:
    put_into_force(conn, tenant, _EARLY)
    for kind, party in (*_PARTIES, *(("agent", agent) for agent, _ in _AGENTS)):
        conn.execute(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract)"
            " values (%s, %s, %s, true, true)",
            (tenant, kind, party),
        )
    for agent, merchant in _AGENTS:
        conn.execute(
            "insert into agents.agent (tenant_id, agent_id, merchant_id, depth) values (%s, %s, %s, 1)",
            (tenant, agent, merchant),
        )
    skus = ["sku-1", "sku-loss"]
    catalogue.put_products(conn, tenant, [catalogue.Product(sku, sku) for sku in [*skus, "sku-none"]])
    catalogue.put_listings(conn, tenant, [catalogue.Listing("m1", sku, LISTED) for sku in skus])
    catalogue.put_offers(
        conn,
        tenant,
        [
            catalogue.Offer("s1", "sku-1", PRICE, 0, 2, _EARLY),
            catalogue.Offer("s1", "sku-loss", 100_000_000, 0, 2, _EARLY),
        ],
    )
    counted = [stock.StockReport(sku, 1_000, 0, _EARLY) for sku in skus]
    stock.report_stock(conn, tenant, "s1", counted, _EARLY)
