"""Parameter types that several resources share: ids, page sizes, cursors."""

from __future__ import annotations

from typing import Annotated

from litestar.params import Parameter

_NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]+(?!\n)$"

Identifier = Annotated[
    str,
    Parameter(
        min_length=1, max_length=128, pattern=_NO_CONTROL_CHARACTERS, description="An id, as published."
    ),
]
OptionalIdentifier = Annotated[
    str | None,
    Parameter(
        min_length=1, max_length=128, pattern=_NO_CONTROL_CHARACTERS, description="An id, as published."
    ),
]
PageSize = Annotated[int, Parameter(ge=1, le=500, description="Most rows in the answer.")]
CursorText = Annotated[
    str | None, Parameter(max_length=600, description="`next_cursor` of the page before; none for the first.")
]
