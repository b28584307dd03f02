"""The page of the API names every route of the application and no other, and every refusal of money."""

import re
from pathlib import Path

import pytest

from serving.api.refusals import _PROBLEMS
from serving.app import create_app
from serving.orders.errors import OrdersError
from serving.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
NAMED = re.compile(r"(GET|POST|PUT|DELETE)? ?(/\S*|\.\.\.\S*)?")


def nameless(path):
    return re.sub(r"\{[^}]*\}", "{}", path.split("?")[0])


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    app = create_app(Settings(home=tmp_path_factory.mktemp("home")), "postgresql://nowhere/nothing")
    return {
        (method.upper(), nameless(path))
        for path, operations in app.openapi_schema.to_schema()["paths"].items()
        for method in operations
    }


def routes_of(cell, known):
    """Routes that a cell names; `...` stands for as much of the path before as makes a known one."""
    found, methods, waiting, before = [], [], [], ""
    for code in re.findall(r"`([^`]*)`", cell):
        named = NAMED.fullmatch(code)
        method, path = named.groups() if named else (None, None)
        waiting += [method] if method else []
        if path is None:
            continue
        methods, waiting = waiting or methods, []
        if path.startswith("..."):
            parts, end = before.split("/"), nameless(path.removeprefix("..."))
            begins = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
            path = next((begin + end for begin in begins if (methods[0], begin + end) in known), path)
        else:
            path = before = nameless(path)
        found += [(method, path) for method in methods]
    return found


def test_the_page_names_every_route_and_no_other(routes):
    table = PAGE.split("\n## Resources\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [route for cell in cells for route in routes_of(cell, routes)]
    assert sorted(set(named) - routes) == []
    assert sorted(routes - set(named)) == []


def test_short_forms_are_read():
    known = {("POST", "/v1/a/{}/b"), ("POST", "/v1/a/{}/c"), ("GET", "/v1/a"), ("POST", "/v1/a")}
    cell = " `POST`, `GET /v1/a`, `POST /v1/a/{id}/b?x=`, `.../c`, `GET .../none` "
    assert routes_of(cell, known) == [
        ("POST", "/v1/a"),
        ("GET", "/v1/a"),
        ("POST", "/v1/a/{}/b"),
        ("POST", "/v1/a/{}/c"),
        ("GET", ".../none"),
    ]


def test_the_page_names_every_refusal_of_approvals_money_and_orders():
    def below(kind):
        return {kind, *(one for sub in kind.__subclasses__() for one in below(sub))}

    slugs = {slug for _, _, slug, _ in _PROBLEMS}
    # The base is never raised itself; `<thing>-not-found` is said by the thing.
    slugs |= {kind.slug for kind in below(OrdersError) - {OrdersError} if "slug" in vars(kind)}
    table = PAGE.split("\n## Errors\n")[1].split("\n## ")[0]
    assert sorted(slug for slug in slugs if f"`{slug}`" not in table) == []
