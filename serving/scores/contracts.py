"""The manifest of a published version: what it holds, from which data, by which models. No database code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from models.contracts import PUBLISHED_TABLES, REQUIRED_TABLES


class TableEntry(BaseModel):
    """One table of a version.

    Attributes:
        rows: Row count before any folding.
        sha256: Hash of the table's Parquet file, lower-case hex.
        carried_from: The version whose rows are shown again, or None when this version brings its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    carried_from: str | None = None


class PublicationManifest(BaseModel):
    """An immutable published version.

    Attributes:
        version: Name of the version; also its folder in the lake.
        created_at: When it was made.
        as_of: The business time that the scores are for.
        data_from: Oldest data used.
        data_to: Newest data used.
        model_versions: Model name to the version that made the scores; a simple rule is named as such.
        tables: One entry for every published table that the version has.
        kind: `full` when everything was scored anew, `refresh` when a part was; decides how long it is kept.
        content_hash: `content_hash_of` the tables and models; checked on construction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    created_at: AwareDatetime
    as_of: AwareDatetime
    data_from: AwareDatetime
    data_to: AwareDatetime
    model_versions: dict[str, str]
    tables: dict[str, TableEntry]
    content_hash: str
    kind: Literal["full", "refresh"] = "full"

    @model_validator(mode="after")
    def _is_complete(self) -> PublicationManifest:
        missing = sorted(REQUIRED_TABLES - self.tables.keys())
        unknown = sorted(self.tables.keys() - PUBLISHED_TABLES.keys())
        if missing or unknown:
            raise ValueError(
                f"version {self.version!r} must name every published table once: "
                f"missing {missing}, unknown {unknown}"
            )
        if self.data_from > self.data_to:
            raise ValueError(f"version {self.version!r}: data_from is after data_to")
        expected = content_hash_of(self.as_of, self.model_versions, self.tables)
        if self.content_hash != expected:
            raise ValueError(
                f"version {self.version!r}: content_hash {self.content_hash[:12]} does not fit the tables "
                f"and models ({expected[:12]}): the manifest was changed after it was made"
            )
        return self

    @classmethod
    def build(
        cls,
        *,
        version: str,
        created_at: datetime,
        as_of: datetime,
        data_from: datetime,
        data_to: datetime,
        model_versions: Mapping[str, str],
        tables: Mapping[str, TableEntry],
        kind: Literal["full", "refresh"] = "full",
    ) -> PublicationManifest:
        """A manifest with its content hash filled in.

        Raises:
            pydantic.ValidationError: A table is missing or unknown, a time has no zone, or a hash is not hex.
        """
        return cls(
            version=version,
            created_at=created_at,
            as_of=as_of,
            data_from=data_from,
            data_to=data_to,
            model_versions=dict(model_versions),
            tables=dict(tables),
            content_hash=content_hash_of(as_of, model_versions, tables),
            kind=kind,
        )


def content_hash_of(
    as_of: datetime, model_versions: Mapping[str, str], tables: Mapping[str, TableEntry]
) -> str:
    """SHA-256 over what a version shows: equal content gives an equal hash, whatever its name."""
    document = {
        "as_of": as_of.timestamp(),
        "model_versions": dict(sorted(model_versions.items())),
        "tables": {name: [entry.rows, entry.sha256] for name, entry in sorted(tables.items())},
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
