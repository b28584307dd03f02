"""Documents the body of a resource that reads its batch itself, so that one bad row spoils no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import msgspec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema


def batch_operation(row: type[msgspec.Struct], member: str, most: int) -> type[Operation]:
    """The OpenAPI operation with the body `{member: [row, ...]}`, at most so many rows."""

    @dataclass
    class BatchOperation(Operation):
        def __post_init__(self) -> None:
            (_, parts) = msgspec.json.schema_components([row], ref_template="{name}")
            schema = {
                "type": "object",
                "properties": {member: {"type": "array", "maxItems": most, "items": parts[row.__name__]}},
                "required": [member],
                "additionalProperties": False,
            }
            # The document takes a plain JSON schema wherever it takes its own class.
            media = OpenAPIMediaType(schema=cast(Schema, schema))
            self.request_body = RequestBody(content={"application/json": media}, required=True)

    return BatchOperation
