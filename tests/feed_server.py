"""The other side of a feed, over real HTTP: it throttles, repeats, renames and dies as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "secret-of-the-market"
KEY = "secret-of-the-brand"
ENVIRONMENT = {"MARKETPLACE_TOKEN": TOKEN, "BRAND_API_KEY": KEY}

Fault = Callable[[BaseHTTPRequestHandler], bool]
"""Answers a request in the server's place, or declines with False."""


class FeedShop:
    """What is on sale, what was asked, and what goes wrong next.

    Attributes:
        items: Rows of the catalogue.
        offers: Rows of the offers, oldest change first.
        parcels: Parcels with their scans.
        prices: The answer of the brand's price list.
        page_size: Rows of a page.
        faults: By path, what the next requests meet, first come first served.
        asked: Path and parameters of every request that was let in.
        reshape: Changes the rows of a page, by its number from 1, before they are sent.
    """

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.offers: list[dict[str, Any]] = []
        self.parcels: list[dict[str, Any]] = []
        self.prices: dict[str, Any] = {"written_at": "2026-11-29T00:00:00Z", "lines": []}
        self.page_size = 3
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.reshape: Callable[[int, list[dict[str, Any]]], list[dict[str, Any]]] = lambda page, rows: rows
        self.url = ""

    def stock_up(self, count: int) -> None:
        """Fill the shop with goods: prices, stocks and times differ from row to row."""
        for number in range(count):
            at = f"2026-11-{1 + number // 24:02d}T{number % 24:02d}:00:00Z"
            self.items.append(
                {
                    "item_id": f"{number:05d}",
                    "title": f"茶 {number}",
                    "category": {"id": "tea", "name": "Tea"},
                    "brand": {"id": "leaf", "name": None},
                    "spec": "250 g",
                    "updated_at": at,
                }
            )
            self.offers.append(
                {
                    "seller_id": "shop-1",
                    "item_id": f"{number:05d}",
                    "price": 10.10 + number,
                    "stock": number,
                    "ship_days": 2,
                    "min_qty": 1,
                    "ship_from": "east",
                    "on_sale": True,
                    "updated_at": at,
                }
            )
            self.parcels.append(
                {
                    "parcel_no": f"p-{number}",
                    "carrier": "swift",
                    "track": [
                        {"id": f"p-{number}-{step}", "place": "hub", "state": state, "at": at}
                        for step, state in enumerate(("PICKED", "SIGNED"))
                    ],
                }
            )

    def answer(self, path: str, query: dict[str, str]) -> Any:
        """The answer to a request that meets no fault; None: there is nothing at that path."""
        if path == "/api/v1/items":
            page = int(query["page"])
            rows = self._slice(self.items, page)
            return {"data": {"items": rows, "has_more": page * self.page_size < len(self.items)}}
        if path == "/api/v1/offers":
            since = query.get("updated_after", "")
            wanted = [row for row in self.offers if row["updated_at"] >= since]
            page = int(query.get("cursor", "c1").removeprefix("c"))
            following = f"c{page + 1}" if page * self.page_size < len(wanted) else None
            return {"offers": self._slice(wanted, page), "paging": {"next": following}}
        if path == "/api/v1/parcels":
            page = int(query.get("at", "1"))
            ends = page * self.page_size >= len(self.parcels)
            following = None if ends else f"{self.url}/api/v1/parcels?at={page + 1}"
            return {"parcels": self._slice(self.parcels, page), "links": {"next": following}}
        return self.prices if path == "/price-list" else None

    def _slice(self, rows: list[dict[str, Any]], page: int) -> list[dict[str, Any]]:
        return self.reshape(page, rows[(page - 1) * self.page_size : page * self.page_size])

    def asked_for(self, path: str) -> list[dict[str, str]]:
        """Parameters of the requests for a path."""
        return [query for asked, query in self.asked if asked == path]


def throttled(retry_after: str) -> Fault:
    """Too many requests; asks to wait."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(429)
        handler.send_header("Retry-After", retry_after)
        handler.end_headers()
        return True

    return fault


def answers(status: int, body: bytes = b"", **headers: str) -> Fault:
    """Some other answer."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        return True

    return fault


def dies(handler: BaseHTTPRequestHandler) -> bool:
    """Breaks off in the middle of an answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"data": {"items": [{"item_id": "1')
    handler.wfile.flush()
    handler.connection.close()
    return True


def fine(handler: BaseHTTPRequestHandler) -> bool:
    """No fault: the request is answered as it should be."""
    return False


@contextmanager
def feed_server(shop: FeedShop) -> Iterator[str]:
    """The shop behind a local port; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            known = (self.headers.get("Authorization"), self.headers.get("X-Api-Key"))
            if known not in ((f"Bearer {TOKEN}", None), (None, KEY)):
                self.send_response(401)
                self.end_headers()
                return
            shop.asked.append((parts.path, query))
            waiting = shop.faults.get(parts.path, [])
            if waiting and waiting.pop(0)(self):
                return
            answer = shop.answer(parts.path, query)
            body = json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    shop.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield shop.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
