"""What the library of materials refuses."""

from __future__ import annotations

from serving.errors import ServingError


class MaterialError(ServingError):
    """Something about a material is refused."""


class MaterialUnknownError(MaterialError):
    """There is no such material here."""


class MaterialConflictError(MaterialError):
    """The id was used for other words."""


class MaterialStateError(MaterialError):
    """The material is not in a state in which this can be done."""


class OwnMaterialError(MaterialError):
    """Whoever wrote a text does not release it."""
