"""Requests of every writing route as its OpenAPI document has them, with ids of things that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


class Samples:
    """Sample requests.

    Args:
        document: The OpenAPI document of the server.
        ids: Name of a parameter or of a field of a body to its value.
    """

    def __init__(self, document: Document, ids: Mapping[str, Any]) -> None:
        self._document = document
        self._ids = ids

    def request(self, method: str, path: str) -> tuple[str, dict[str, str], Any]:
        """Path, headers and body of a request of a route.

        Args:
            method: HTTP method.
            path: Path with its parameters in braces.
        """
        item = self._document["paths"][path]
        operation = item[method.lower()]
        headers: dict[str, str] = {}
        for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]:
            name, schema = parameter["name"], parameter.get("schema", {})
            if parameter["in"] == "path":
                path = path.replace("{" + name + "}", str(self._ids.get(name, self._value(schema, name))))
            elif parameter["in"] == "header" and parameter.get("required"):
                headers[name] = f"attempt-{abs(hash((method, path))):x}"[:40]
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        return path, headers, None if content is None else self._value(content["schema"], "body")

    def _value(self, schema: Any, name: str) -> Any:
        schema = self._resolved(schema)
        if name in self._ids and schema.get("type") not in ("object", "array"):
            return self._ids[name]
        variants = [self._resolved(one) for one in schema.get("oneOf", schema.get("anyOf", []))]
        if variants:
            return self._value(next((one for one in variants if one.get("type") != "null"), {}), name)
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            fields = schema.get("properties", {})
            wanted = [field for field in fields if field in schema.get("required", []) or field in self._ids]
            return {field: self._value(fields[field], field) for field in wanted}
        if kind == "array":
            items = schema.get("items", {})
            return [
                self._value(items, name.removesuffix("s")) for _ in range(max(1, schema.get("minItems", 1)))
            ]
        for key in ("const", "enum", "examples", "example"):
            if key in schema:
                found = schema[key]
                return found[0] if isinstance(found, list) else found
        if kind in ("integer", "number"):
            return max(1, schema.get("minimum", 1))
        known = {"date": "2026-11-01", "date-time": "2026-11-01T00:00:00Z", "boolean": True}
        return known.get(schema.get("format") or kind or "", "x-1")

    def _resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            found: Any = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema
