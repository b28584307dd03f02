"""The keys of a connector's declaration and what may stand there.

Secrets are named, never written: a declaration holds names of environment variables.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from pipelines.sources.contract import SourceError
from pipelines.sources.mapping.document import Mapping, misfits
from pipelines.sources.mapping.model import Column, Document, Money, Strict, TableDocument, Texts, Zone
from pipelines.sources.mapping.yaml_lines import Lines, checked, parse_yaml, text_of

FED = (
    "suppliers", "categories", "products", "offers", "inventory_movements", "shipments", "warehouses",
    "warehouse_closures", "licences", "batches", "supply_observations", "competitor_prices",
)  # fmt: skip
"""Tables that a connector may feed: goods and supply. None of them names a consumer."""

_NAME = re.compile(r"[a-z][a-z_-]{0,39}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9_-]+")


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("give the name of an environment variable such as MARKET_TOKEN, not the secret")
    return value


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError(f"{value!r} is no name of a header such as X-Api-Key")
    return value


def _base(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is no address such as https://api.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the address holds more than a host and a path; secrets belong under `auth`")
    return value.rstrip("/")


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is no path such as /v1/items")
    return value


def _table(value: str) -> str:
    if value not in FED:
        raise ValueError(f"a connector cannot feed {value!r}; it may feed {', '.join(FED)}")
    return value


Variable = Annotated[str, AfterValidator(_variable)]
Header = Annotated[str, AfterValidator(_header)]
Table = Annotated[str, AfterValidator(_table)]


class Auth(Strict):
    """Who asks; every value is the name of an environment variable.

    Attributes:
        bearer: Holds the token of `Authorization: Bearer`.
        headers: Header to the variable with its value.
        basic: Variables with the user and the password.
    """

    bearer: Variable | None = None
    headers: dict[Header, Variable] = Field(default_factory=dict)
    basic: tuple[Variable, Variable] | None = None


class Pace(Strict):
    """How often the other side may be asked.

    Attributes:
        requests: So many requests.
        per_seconds: In so many seconds.
    """

    requests: Annotated[int, Field(ge=1)] = 10
    per_seconds: Annotated[float, Field(gt=0)] = 1.0


class Retry(Strict):
    """How long a request is asked again that had no answer.

    Attributes:
        attempts: Times that a request is made at most.
        first_wait_s: Wait before the second; it doubles each time.
        longest_wait_s: Longest wait. A server that asks for a longer one ends the pull; the next goes on.
    """

    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    first_wait_s: Annotated[float, Field(gt=0)] = 1.0
    longest_wait_s: Annotated[float, Field(gt=0, le=3600)] = 60.0


class Pages(Strict):
    """How the next page is asked for.

    Attributes:
        kind: `page`: by a number that counts up; `cursor`: by what the answer names; `next_url`: the answer
            names the whole address.
        param: Parameter that holds the number or the cursor.
        first: Number of the first page.
        more: Of pages by number: field of the answer that says whether another follows; without it the last
            page is the first that is empty.
        next: Field of the answer with the cursor or the address; null or blank on the last page.
        ends_without: Whether the last page has no such field; else a page without it is refused, so that a
            renamed field does not end a pull early.
    """

    kind: Literal["page", "cursor", "next_url"]
    param: str | None = None
    first: int = 1
    more: str | None = None
    next: str | None = None
    ends_without: bool = False

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> Self:
        if self.kind != "next_url" and self.param is None:
            raise ValueError(f"pages by {self.kind} need `param`")
        if self.kind != "page" and self.next is None:
            raise ValueError(f"pages by {self.kind} need `next`")
        return self


class Since(Strict):
    """What makes a load incremental: only rows changed since the newest that came are asked for.

    Attributes:
        param: Parameter that takes the mark.
        field: Field of a row with the time or the number of its last change.
        start: Mark of the first pull; without it the first asks for everything.
        overlap_s: Seconds that are asked for again, for rows that the other side writes late; rows that came
            already are dropped.
    """

    param: str
    field: str
    start: str | None = None
    overlap_s: Annotated[int, Field(ge=0)] = 0


class Stream(Strict):
    """One resource of the other side that feeds one table.

    Attributes:
        table: Table of the contract.
        path: Where it is asked for.
        params: Parameters of every request.
        records: Field of the answer with the array of rows, dots between levels; blank: the answer is it.
        each: Array inside of a row: every element becomes a row with the fields of the row around it.
        pages: How pages follow; None: there is one.
        since: What is asked for after the first time; None: everything, every time.
        written_at: Field of the answer that says when it was written; one that is older than the last is not
            landed.
        ignored: Fields that are known and not wanted.
        may_lack: Fields that a row may be without; a row without any other field that is used is refused.
        columns: Column of the contract to field, as in `muyun.yaml`; fields of objects with dots between.
        constants: Column to the text of every row.
        defaults: Column to the text of rows without a value.
        values: Column to words of the other side and what they mean.
        changed_at: Field that says when a row was last changed; the newest version wins.
        money: Amounts in units with decimals, or in the smallest unit.
        time_zone: Zone of times without an offset.
        day_first: Whether 02/11/2026 is the second of November.
    """

    table: Table
    path: Annotated[str, AfterValidator(_path)]
    params: dict[str, str] = Field(default_factory=dict)
    records: str = ""
    each: str | None = None
    pages: Pages | None = None
    since: Since | None = None
    written_at: str | None = None
    ignored: Texts = ()
    may_lack: Texts = ()
    columns: dict[str, Column] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, str] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    changed_at: str | None = None
    money: Money | None = None
    time_zone: Zone | None = None
    day_first: bool | None = None

    @model_validator(mode="after")
    def _is_whole_or_incremental(self) -> Self:
        if self.since is not None and self.written_at is not None:
            raise ValueError("`written_at` is of whole answers, `since` of changes: say one of them")
        return self

    @property
    def document(self) -> TableDocument:
        """How its rows become those of the contract."""
        shared = sorted(TableDocument.model_fields.keys() & Stream.model_fields.keys())
        return TableDocument.model_construct(**{name: getattr(self, name) for name in shared})

    def mapping(self, currency: str | None) -> Mapping:
        """The same as what a folder's document says, of this one table.

        Args:
            currency: ISO code of every amount; None where nobody says it.
        """
        return Mapping(Document(currency=currency, tables={self.table: self.document}))

    @property
    def needed(self) -> tuple[tuple[str, ...], ...]:
        """Fields without which a row is refused; of several in one group one is enough."""
        groups: list[tuple[str, ...]] = []
        for made in self.columns.values():
            groups += [made.columns] if made.how == "first_of" else [(name,) for name in made.columns]
        groups += [(name,) for name in (self.changed_at, self.since.field if self.since else None) if name]
        return tuple(dict.fromkeys(group for group in groups if not set(group) & set(self.may_lack)))

    @property
    def used(self) -> frozenset[str]:
        """Every field that the declaration names."""
        columns = {name for made in self.columns.values() for name in made.columns}
        others = {self.changed_at, self.since.field if self.since else None} - {None}
        return frozenset(columns | {str(name) for name in others} | set(self.ignored) | set(self.may_lack))


class Connector(Strict):
    """The whole of a declaration.

    Attributes:
        connector: Its name: letters, `-` and `_`.
        base_url: Address that the paths of streams follow.
        auth: Who asks.
        pace: How often.
        retry: How patiently.
        timeout_s: Seconds that an answer may take.
        streams: What is pulled, by name.
    """

    connector: str
    base_url: Annotated[str, AfterValidator(_base)]
    auth: Auth = Auth()
    pace: Pace = Pace()
    retry: Retry = Retry()
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    streams: dict[str, Stream]

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        for name in (self.connector, *self.streams):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a connector or stream; use letters, - and _")
        return self


def load_connectors(folder: Path, names: tuple[str, ...]) -> tuple[Connector, ...]:
    """The declarations that a folder's document names.

    Args:
        folder: The user's folder.
        names: Names of their files in it.

    Raises:
        SourceError: One is not there, is wrong, or two connectors have one name.
    """
    found: dict[str, Connector] = {}
    for name in names:
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts or not path.is_file():
            raise SourceError(f"muyun.yaml: connectors: there is no file {name!r} in the folder")
        connector = parse_connector(text_of(path), path.name)
        if connector.connector in found:
            raise SourceError(f"{name}: another connector is called {connector.connector!r} too; rename one")
        found[connector.connector] = connector
    return tuple(found.values())


def parse_connector(text: str, name: str) -> Connector:
    """Reads and checks a declaration.

    Args:
        text: The YAML.
        name: What to call it in messages.

    Raises:
        SourceError: It is no YAML, or has an unknown key or a value that cannot stand there; every problem is
            named with its line.
    """
    content, lines = parse_yaml(text, name)
    connector, problems = checked(Connector, content, lines, (), tuple(Connector.model_fields))
    if connector is not None:
        problems += _misfits(connector, lines)
    if problems or connector is None:
        raise SourceError(f"{name}: " + f"\n{name}: ".join(problems))
    return connector


def _misfits(connector: Connector, lines: Lines) -> list[str]:
    return [
        lines.problem(("streams", name, *where), text)
        for name, stream in connector.streams.items()
        for where, text in misfits(stream.table, stream.document)
    ]
