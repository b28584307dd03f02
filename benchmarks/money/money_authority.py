"""Attempts to move money or facts that are not one's own, made out of the table of authorities."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
import psycopg

from benchmarks.harness import OURS, Row, report
from benchmarks.money.authority_market import LISTED, MOST_BPS, PRICE, TENANT, Market, fill, open_for_business
from benchmarks.money.authority_samples import Samples
from benchmarks.servers import free_port, server
from serving.authority import AUTHORITIES, Authority
from serving.channels.simulated.messages import SERIAL, encoded, new_keys, signed_headers
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.urls import libpq_url
from serving.settings import Settings

# Role that the table knows to the callers of it that own nothing of the victims'.
_STRANGERS = {"merchant": ("m2",), "supplier": ("s2",), "agent": ("a2",), "auditor": ("auditor",)}
# The victims themselves, where the table gives their role nothing to say.
_VICTIMS = {"merchant": ("m1",), "supplier": ("s1",), "agent": ("a1",)}
_ELSEWHERE = ("operator of another tenant", "m1 of another tenant", "s1 of another tenant")
_NO_FACTS = ("ops", "scores", "privacy", "consumers", "identity", "events", "market")
_MONEY = ("ledger", "settlement")
Watch = Literal["facts", "money"]
PROTOCOL = (
    "A real HTTP server over a database with two tenants. Every row of the table of authorities that moves "
    "money gives, for each of its routes, an attempt by a merchant, a supplier and an agent that own nothing "
    "of the victims', by an auditor, by the victims' own keys where their role states nothing, and by an "
    "operator, a merchant and a supplier of the same names in another tenant: a request as the OpenAPI "
    "document has it, with the victims' ids. Every key has every scope, so that only roles, owners and "
    "tenants refuse. To these come attempts beyond a limit by those who may state the fact (offers outside "
    "the corridor, lines at a loss, refunds above the case, forged notices, one operator alone). An attempt "
    "succeeds when a digest over all facts of the victims' tenant changes (over the books, the offers in "
    "force and the budgets, where the statement itself is one's own). controls: routes on which an operator "
    "changes something with the same request."
)


@dataclass(frozen=True)
class Attempt:
    """One request that must change nothing.

    Attributes:
        fact: The authority that it attacks.
        who: The caller; empty for one without a key.
        method, path, body, headers: The request.
        watch: What must not change.
    """

    fact: str
    who: str
    method: str
    path: str
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    watch: Watch = "facts"

    def __str__(self) -> str:
        return f"{self.who or 'nobody'}: {self.method} {self.path} ({self.fact})"


def main() -> int:
    """Run the benchmark; 0 when nothing succeeded and the attempts were real ones."""
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as cluster,
    ):
        url = cluster.connect_info().url(DATABASE)
        migrate.upgrade(url)
        keys = fill(url)
        port = free_port()
        environment = {
            **os.environ,
            "MUYUN_HOME": folder,
            "MUYUN_DATABASE_URL": url,
            "MUYUN_DATA": folder,
            "MUYUN_API_HOST": "127.0.0.1",
            "MUYUN_API_PORT": str(port),
            "MUYUN_LOG_LEVEL": "ERROR",
        }
        with (
            server(["-m", "serving.server"], environment, port, "/health/live"),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
            psycopg.connect(libpq_url(url), autocommit=True) as conn,
        ):
            market = open_for_business(client, keys)
            document = client.get("/v1/openapi.json", headers={"X-API-Key": keys["operator"]}).json()
            samples = Samples(document, market.ids)
            tried, succeeded, answers = _attack(client, conn, market, samples)
            controls = _controls(client, conn, market, samples)
    report(
        Settings().home,
        name="money_authority",
        protocol=PROTOCOL,
        rows=[
            Row(OURS, "attacks", float(len(tried)), "attempts"),
            Row(OURS, "succeeded", float(len(succeeded)), "attempts"),
            Row(OURS, "facts_attacked", float(len({one.fact for one in tried})), "facts"),
            *(
                Row(OURS, f"answered_{status}", float(count), "attempts")
                for status, count in sorted(answers.items())
            ),
            Row(OURS, "controls", float(controls), "routes"),
        ],
        wall_s=time.perf_counter() - started,
    )
    for line in succeeded[:20]:
        sys.stderr.write(f"error: {line}\n")
    distinct = len({str(one) + repr(one.body) + repr(one.headers) for one in tried})
    return int(bool(succeeded) or distinct < 200 or any(status >= 500 for status in answers))


def _attack(
    client: httpx.Client, conn: psycopg.Connection[Any], market: Market, samples: Samples
) -> tuple[list[Attempt], list[str], Counter[int]]:
    tried: list[Attempt] = []
    succeeded: list[str] = []
    answers: Counter[int] = Counter()
    before = {watch: _digest(conn, watch) for watch in ("facts", "money")}
    for attempt in [*_by_strangers(market, samples), *_beyond_limits(market)]:
        answer = _send(client, market, attempt)
        tried.append(attempt)
        answers[answer.status_code] += 1
        after = {watch: _digest(conn, watch) for watch in ("facts", "money")}
        if after[attempt.watch] != before[attempt.watch]:
            succeeded.append(f"{attempt}: {answer.status_code} {answer.text[:200]}")
        before = after
    return tried, succeeded, answers


def _controls(client: httpx.Client, conn: psycopg.Connection[Any], market: Market, samples: Samples) -> int:
    """Routes on which the operator changes something by the very requests of the strangers."""
    changed = 0
    for authority in _stated():
        for route in authority.routes:
            method, path = route.split(" ", 1)
            before = _digest(conn, "facts")
            concrete, headers, body = samples.request(method, path)
            _send(client, market, Attempt(authority.fact, "operator", method, concrete, body, headers))
            changed += _digest(conn, "facts") != before
    return changed


def _send(client: httpx.Client, market: Market, attempt: Attempt) -> httpx.Response:
    headers = dict(attempt.headers)
    if attempt.who:
        headers["X-API-Key"] = market.keys[attempt.who]
    if isinstance(attempt.body, bytes):
        return client.request(attempt.method, attempt.path, content=attempt.body, headers=headers)
    return client.request(attempt.method, attempt.path, json=attempt.body, headers=headers)


def _stated() -> list[Authority]:
    return [one for one in AUTHORITIES if one.moves_money and one.roles]


def _by_strangers(market: Market, samples: Samples) -> Iterator[Attempt]:
    """Every route that states a fact, by everybody who has no say in the victims' facts."""
    for authority in _stated():
        callers = [who for strangers in _STRANGERS.values() for who in strangers]
        callers += [
            who for role, victims in _VICTIMS.items() if role not in authority.roles for who in victims
        ]
        for route in authority.routes:
            method, path = route.split(" ", 1)
            for who in [*callers, *_ELSEWHERE]:
                concrete, headers, body = samples.request(method, path)
                yield Attempt(authority.fact, who, method, concrete, body, headers)


def _beyond_limits(market: Market) -> Iterator[Attempt]:
    """What those who may state a fact must not state alone, or not at all."""
    yield from _offers()
    yield from _orders(market)
    yield from _notices(market)
    yield from _alone(market)


def _offers() -> Iterator[Attempt]:
    high, low = PRICE * (10_000 + MOST_BPS) // 10_000, PRICE * (10_000 - MOST_BPS) // 10_000
    cases = [(price, 0) for price in (high + 1, low - 1, 1, 0, 2 * PRICE, LISTED, 10**6, 10**8, 10**10)]
    cases += [(PRICE, freight) for freight in (high - PRICE + 1, 10**5, 10**10)]
    for number, (price, freight) in enumerate(cases):
        stated = datetime.now(UTC) + timedelta(seconds=number)
        terms = {
            "sku_id": "sku-1",
            "supply_price_cents": price,
            "freight_cents": freight,
            "lead_time_days": 1,
            "source_at": stated.isoformat(),
        }
        yield Attempt("offer", "s1", "PUT", "/v1/suppliers/s1/offers", {"offers": [terms]}, watch="money")
        foreign = {**terms, "sku_id": "sku-none", "supply_price_cents": price or 1}
        yield Attempt("supplier_sku", "s1", "PUT", "/v1/suppliers/s1/offers", {"offers": [foreign]})


def _orders(market: Market) -> Iterator[Attempt]:
    plain = {"merchant_id": "m1", "consumer_id": "c9", "lines": [{"sku_id": "sku-1", "qty": 1}]}
    changes: list[dict[str, Any]] = [
        {"lines": [{"sku_id": "sku-loss", "qty": 1}]},
        {"lines": [{"sku_id": "sku-loss", "qty": 100}]},
        {"lines": [{"sku_id": "sku-1", "qty": 1, "list_price_cents": 1}]},
        {"lines": [{"sku_id": "sku-1", "qty": 1, "supply_price_cents": 1}]},
        {"payable_cents": 1},
        {"coupons": [{"kind": "percentage", "discount_cents": 5_000}]},
        {"coupon_codes": ["guessed-code"]},
        {"agent_id": "a2"},
        {"agent_id": "nobody"},
        {"merchant_id": "m2"},
        {"roles": [{"role": "live_anchor", "party_type": "agent", "party_id": "a2"}]},
    ]
    for number, change in enumerate(changes):
        headers = {"Idempotency-Key": f"beyond-{number}"}
        yield Attempt("order", "m1", "POST", "/v1/orders", plain | change, headers)
    case, paid = market.ids["case_id"], market.paid
    for cents in (1_001, 20_000, 10**10):
        path = f"/v1/after-sales/{case}/refund"
        headers = {"Idempotency-Key": f"refund-{cents}"}
        yield Attempt("refund", "m1", "POST", path, {"refund_cents": cents}, headers)
    yield Attempt("order_cancel", "m1", "POST", f"/v1/orders/{paid}/cancel", None)
    for qty in (3, 10**6):
        path = f"/v1/orders/{paid}/lines/1/cancel"
        headers = {"Idempotency-Key": f"cancel-{qty}"}
        yield Attempt("order_cancel", "m1", "POST", path, {"qty": qty}, headers)
    yield Attempt("receipt", "m1", "POST", f"/v1/orders/{paid}/receipt", {})
    yield Attempt("points", "m1", "POST", f"/v1/orders/{paid}/lines/1/points", {"points": 10**6})
    for price in (0, -1, 10**11):
        body = {"listings": [{"sku_id": "sku-1", "list_price_cents": price}]}
        yield Attempt("listing_price", "m1", "PUT", "/v1/merchants/m1/listings", body)


def _notices(market: Market) -> Iterator[Attempt]:
    """Notices that no channel signed."""
    path = f"/v1/channels/{market.till.channel_id}/notices"
    for who, cents in (("", 2 * LISTED), ("m1", 2 * LISTED), ("m2", 1), ("s1", 2 * LISTED), ("a1", 10**9)):
        message = market.till.bank.pay(market.unpaid, cents)
        body = encoded(message)
        forged = signed_headers(new_keys().private, SERIAL, body, datetime.now(UTC))
        yield Attempt("payment", who, "POST", path, body, {"Content-Type": "application/json"})
        yield Attempt("payment", who, "POST", path, body, dict(forged))
        old = market.till.headers(body, datetime.now(UTC) - timedelta(hours=1))
        yield Attempt("payment", who, "POST", path, body, dict(old))
        other = market.till.headers(encoded(market.till.bank.pay(market.unpaid, cents + 1)))
        yield Attempt("payment", who, "POST", path, body, dict(other))


def _alone(market: Market) -> Iterator[Attempt]:
    """One operator does what two must; asking is free, so only the books are watched."""
    now = datetime.now(UTC).isoformat()
    for number, party in enumerate(("s1", "s2")):
        entries = [
            {"account": "subsidy", "amount_cents": -(10**6)},
            {
                "account": "supplier_available",
                "amount_cents": 10**6,
                "party_type": "supplier",
                "party_id": party,
            },
        ]
        posting = {"kind": "correction", "booked_at": now, "entries": entries, "reason_code": "gift"}
        headers = {"Idempotency-Key": f"alone-{number}"}
        path = "/v1/ledger/transactions"
        yield Attempt("manual_posting", "operator", "POST", path, posting, headers, watch="money")
    penalty = {
        "fee_id": "alone",
        "payer": {"party_type": "supplier", "party_id": "s1"},
        "cents": 10**6,
        "reason_code": "late",
    }
    yield Attempt("penalty", "operator", "POST", "/v1/fees/penalties", penalty, watch="money")
    decision = {"version": market.ids["version"], "digest": market.ids["digest"]}
    path = f"/v1/approvals/{market.ids['approval_id']}/approve"
    yield Attempt("approval", "operator", "POST", path, decision)
    yield Attempt("approval", "second operator", "POST", path, {**decision, "digest": "0" * 64})
    yield Attempt("approval", "second operator", "POST", path, {**decision, "version": 99})


def _digest(conn: psycopg.Connection[Any], watch: Watch) -> str:
    """Over every row of the victims' tenant in the watched tables."""
    tables = conn.execute(
        "select format('%%I.%%I', n.nspname, c.relname) from pg_class c join pg_namespace n"
        " on n.oid = c.relnamespace where c.relkind in ('r', 'p') and not c.relispartition"
        " and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')"
        " and (%(all)s and n.nspname <> all(%(no)s) or n.nspname = any(%(money)s)"
        "  or n.nspname = 'orders' and c.relname in ('offer', 'loss_budget', 'listing', 'payment'))"
        " order by 1",
        {"all": watch == "facts", "no": list(_NO_FACTS), "money": list(_MONEY)},
    ).fetchall()
    parts = [
        f"select '{table}' as t, md5(coalesce(string_agg(r::text, '|' order by r::text), '')) as h"
        f" from {table} r where r.tenant_id = %(tenant)s"
        for (table,) in tables
    ]
    query = f"select md5(string_agg(h, '' order by t)) from ({' union all '.join(parts)}) x"
    row = conn.execute(query.encode(), {"tenant": TENANT}).fetchone()
    assert row is not None, "an aggregate has one row"
    return str(row[0])
