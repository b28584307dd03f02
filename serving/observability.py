"""Request ids, one structured log line a request, and Prometheus metrics. No personal values anywhere.

Logged is the route's template, never the path or the query, since both hold consumer ids.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from typing import Any

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from serving.scores.standing import Standing

PUBLICATION_HEADER = "muyun-publication"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"}
_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def configure_logging(level: str) -> None:
    """One JSON object a line on standard error, for the process that calls it."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(
                serializer=lambda event, **_: msgspec.json.encode(event, enc_hook=repr)
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "muyun_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "muyun_http_request_seconds",
            "Seconds from the request to its answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.lost_transactions = Counter(
            "muyun_lost_transactions",
            "Transactions of requests that PostgreSQL ended for another one; the request was run again.",
            ("reason",),
            registry=self.registry,
        )
        self.in_flight = Gauge("muyun_http_in_flight", "Requests being answered.", registry=self.registry)
        self.database_up = Gauge(
            "muyun_database_up", "1 when PostgreSQL answered the last check.", registry=self.registry
        )
        self.connections = Gauge(
            "muyun_database_connections_in_use", "Connections busy with a query.", registry=self.registry
        )
        self.publication = Gauge(
            "muyun_publication_as_of_seconds",
            "Business time of the version that is served, as a Unix time.",
            ("version",),
            registry=self.registry,
        )
        self.lag = Gauge(
            "muyun_live_lag_seconds",
            "Business seconds since the moment up to which values of a refresh class, or prices, are right.",
            ("refresh",),
            registry=self.registry,
        )
        self.revision = Gauge(
            "muyun_live_revision", "Newest tick that readers see.", ("table",), registry=self.registry
        )
        self.overlay_rows = Gauge(
            "muyun_live_overlay_rows",
            "Rows that lie over the publication until the next one.",
            ("table",),
            registry=self.registry,
        )
        self.publication_age = Gauge(
            "muyun_publication_age_seconds",
            "Seconds since readers were switched to the served version; NaN while there is none.",
            registry=self.registry,
        )
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def stands(self, standing: Standing | None) -> None:
        """Show how fresh what is served is; None takes the series away, so that no old value is shown."""
        for gauge in (self.lag, self.revision, self.overlay_rows):
            gauge.clear()
        self.publication_age.set(float("nan") if standing is None else standing.publication_age_s)
        if standing is None:
            return
        for refresh, seconds in standing.lag_s.items():
            self.lag.labels(refresh).set(seconds)
        for table, revision in standing.revision.items():
            self.revision.labels(table).set(revision)
            self.overlay_rows.labels(table).set(standing.overlay_rows[table])

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; finding the series by its labels costs more than counting, so they are kept.

        Args:
            method: Of a few known ones.
            route: Template of the route, never a path.
            status: HTTP status.
            seconds: From the request to its answer.
        """
        found = self._answered.get((method, route, status))
        if found is None:
            found = (self.requests.labels(method, route, str(status)), self.seconds.labels(route))
            self._answered[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)


class RequestContext:
    """Outermost ASGI layer: gives every request an id, a log line and its place in the metrics."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        sent_id = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = sent_id.decode() if _REQUEST_ID.fullmatch(sent_id) else secrets.token_hex(8)
        state: dict[str, Any] = scope["state"]
        state["request_id"] = request_id
        answer: dict[str, Any] = {"status": 500, "publication": None}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                added = list(message["headers"])
                added.append((b"x-request-id", request_id.encode()))
                if (version := state.get("publication")) is not None:
                    answer["publication"] = version
                    added.append((PUBLICATION_HEADER.encode(), version.encode()))
                message["headers"] = added
            await send(message)

        started = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            elapsed = time.perf_counter() - started
            self._metrics.in_flight.dec()
            # A path that no route knows must not become a label of its own.
            route = scope.get("path_template") or "unmatched"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.answered(method, route, answer["status"], elapsed)
            self._log.info(
                "request",
                request_id=request_id,
                method=method,
                route=route,
                status=answer["status"],
                ms=round(elapsed * 1000, 3),
                key_id=state.get("key_id"),
                publication=answer["publication"],
            )
