"""`/v1/openapi.json` and the page at `/v1/docs`, which needs nothing from outside the machine."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import OpenAPIRenderPlugin

from serving.api.examples import ANSWERS
from serving.security.openapi import describe_access

PAGE = "/v1/docs"
# The framework documents one media type a status.
_ALSO_AS = {"/v1/statements/{party_type}/{party_id}": ("text/csv", "text/html")}


@get("/v1/openapi.json", include_in_schema=False)
async def openapi_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI 3.1 document of this API."""
    document = request.app.openapi_schema.to_schema()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            # The framework documents its own 400; here a faulty parameter is a 422 problem.
            operation["responses"].pop("400", None)
            for media_type in _ALSO_AS.get(path, ()):
                operation["responses"]["200"]["content"][media_type] = {"schema": {"type": "string"}}
            if path in ANSWERS:
                content = operation["responses"]["200"]["content"]["application/json"]
                content["example"] = ANSWERS[path]
    describe_access(request.app, document)
    return Response(msgspec.json.encode(document), media_type="application/json")


class OfflineDocumentation(OpenAPIRenderPlugin):
    """A page of our own that lists the resources and lets the reader try them; no scripts from elsewhere."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page; it fetches the OpenAPI document from this server."""
        return files("serving.api").joinpath("documentation.html").read_bytes()


def documentation_router() -> Router:
    """Where the framework puts the page; its own HTML answers below that path are refused."""
    return Router(PAGE, route_handlers=[], include_in_schema=False, before_request=_only_the_page)


def _only_the_page(request: Request[Any, Any, Any]) -> None:
    if request.url.path.rstrip("/") != PAGE:
        raise NotFoundException
