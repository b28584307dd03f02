"""Every keyed route that writes, and every one that shows privileged things, calls the audit log."""

import ast
import inspect
import sys

from litestar.routes import HTTPRoute
from published_scores import SCHEMA

from feature_store.online import ProfileReader
from serving.api.transactions import note
from serving.app import create_app
from serving.audit import record
from serving.security import Scope, require_scope
from serving.settings import Settings

PRIVILEGED = {Scope.LEDGER_READ, Scope.AUDIT_READ, Scope.PERSONAL_READ}
AUDITING = {note, record}


def routes():
    settings = Settings(database_url="postgresql://unused/unused", log_level="ERROR")
    app = create_app(settings, "postgresql://unused/unused", ProfileReader(SCHEMA))
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            methods = handler.http_methods - {"OPTIONS", "HEAD"}
            if methods and require_scope in handler.resolve_guards():
                yield route.path, methods, handler


def reaches(function, wanted):
    """Whether a function, or one of `serving.api` that it uses, uses one of the wanted functions."""
    waiting, seen = [function], set()
    while waiting:
        function = waiting.pop()
        if function in wanted:
            return True
        if function in seen or not function.__module__.startswith("serving.api"):
            continue
        seen.add(function)
        names = vars(sys.modules[function.__module__])
        used = {
            node.id for node in ast.walk(ast.parse(inspect.getsource(function))) if isinstance(node, ast.Name)
        }
        waiting.extend(names[name] for name in used if inspect.isfunction(names.get(name)))
    return False


def audits(handler):
    return reaches(getattr(handler.fn, "func", handler.fn), AUDITING)


def test_writes_and_privileged_reads_are_recorded():
    found = list(routes())
    wanted = [
        (path, methods, handler)
        for path, methods, handler in found
        if methods != {"GET"} or handler.opt["scope"] in PRIVILEGED
    ]
    assert [f"{methods} {path}" for path, methods, handler in wanted if not audits(handler)] == []
    assert "/v1/audit-log" in {path for path, _, _ in wanted}


def test_the_search_tells_routes_apart():
    plain = next(handler for path, _, handler in routes() if path == "/v1/publications")
    assert not audits(plain)
