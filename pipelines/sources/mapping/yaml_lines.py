"""YAML with the line of every key, so that a problem can be pointed at. Scalars stay text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.sources.contract import SourceError
from pipelines.sources.mapping.names import nearest

Model = TypeVar("Model", bound=BaseModel)
_EXTRA = "extra_forbidden"


class Lines:
    """Line of every key of a document, by its path."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], int] = {}

    def remember(self, path: tuple[str, ...], line: int) -> None:
        """Notes where a key stands."""
        self._found[path] = line

    def problem(self, path: Sequence[object], text: str) -> str:
        """The problem with the line and the name of the key; the nearest known ancestor's line."""
        where = tuple(str(part) for part in path)
        known = next((where[:end] for end in range(len(where), 0, -1) if where[:end] in self._found), ())
        line = f"line {self._found[known]}, " if known else ""
        return f"{line}{'.'.join(where) or 'the document'}: {text}"


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        SourceError: It cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path.name} cannot be read ({error}); check its permissions") from error
    except UnicodeDecodeError:
        raise SourceError(f"{path.name} is not UTF-8; save it as UTF-8") from None


def parse_yaml(text: str, name: str) -> tuple[dict[str, Any], Lines]:
    """The content of a document and the lines of its keys.

    Args:
        text: The YAML.
        name: What to call it in messages.

    Raises:
        SourceError: It is no YAML, names a key twice, or is no mapping.
    """
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        raise SourceError(
            f"{name} is not readable YAML{line} ({getattr(error, 'problem', None) or error}); "
            "put texts with special characters into quotes and indent with spaces"
        ) from None
    lines = Lines()
    twice: list[str] = []
    if root is not None:
        _walk(root, (), lines, twice)
    if twice:
        raise SourceError(f"{name}: " + f"\n{name}: ".join(twice))
    if root is None or content == "":
        return {}, lines
    if not isinstance(content, dict):
        raise SourceError(f"{name} must be made of keys and values, such as `currency: CNY`")
    return content, lines


def _walk(node: yaml.Node, path: tuple[str, ...], lines: Lines, twice: list[str]) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = (*path, name)
            lines.remember(here, key.start_mark.line + 1)
            if name in seen:
                twice.append(lines.problem(here, "the key stands here twice"))
            seen.add(name)
            _walk(value, here, lines, twice)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            lines.remember((*path, str(position)), value.start_mark.line + 1)
            _walk(value, (*path, str(position)), lines, twice)


def checked(
    model: type[Model], content: Any, lines: Lines, path: tuple[str, ...], known: Sequence[str]
) -> tuple[Model | None, list[str]]:
    """The content as a model, or what is wrong with it.

    Args:
        model: What it should be.
        content: What was read.
        lines: Where its keys stand.
        path: Where the content itself stands.
        known: Keys that may stand directly in it.
    """
    if not isinstance(content, dict):
        return None, [lines.problem(path, f"must be made of keys and values: {', '.join(known)}")]
    try:
        return model.model_validate(content), []
    except ValidationError as error:
        problems = []
        for item in error.errors():
            where = item["loc"]
            text = item["msg"].removeprefix("Value error, ")
            if item["type"] == _EXTRA:
                near = nearest(str(where[-1]), known) if len(where) == 1 else ""
                text = f"unknown key{near}"
            problems.append(lines.problem((*path, *where), text))
        return None, list(dict.fromkeys(problems))
