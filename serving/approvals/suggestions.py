"""What a request suggests: codes and numbers, and the digest of what a decider was shown. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from serving.approvals.errors import SuggestionError

Suggestion = Mapping[str, Any]
"""Names to whole numbers, codes, truth values, null, and lists or mappings of those."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CODE = re.compile(r"[^\x00-\x20\x7f]{0,128}")
_ID = re.compile(r"[^\x00-\x1f\x7f]{0,128}")
_PERSONAL = re.compile(r"name|phone|mobile|address|email|recipient|birthday|secret|password")
_MOST_CHARACTERS = 100_000
_LARGEST = 10**15


def check_suggestion(suggestion: Suggestion) -> None:
    """Refuse prose and personal values: a code is at most 128 characters, with blanks only in an id.

    Raises:
        SuggestionError: Naming the field.
    """
    _check("suggestion", dict(suggestion))
    if len(_canonical(suggestion)) > _MOST_CHARACTERS:
        raise SuggestionError(f"a suggestion has at most {_MOST_CHARACTERS} characters; attach a document")


def digest_of(shown: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of what is shown, hex; order of names does not matter."""
    return hashlib.sha256(_canonical(shown).encode()).hexdigest()


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _check(where: str, found: Any) -> None:
    match found:
        case None | bool():
            return
        case int():
            if abs(found) > _LARGEST:
                raise SuggestionError(f"{where} is larger than {_LARGEST}")
        case str():
            if not (_ID if where.endswith("_id") else _CODE).fullmatch(found):
                raise SuggestionError(
                    f"{where} is no code: at most 128 characters, with blanks only in an id"
                )
        case list():
            for number, part in enumerate(found):
                _check(f"{where}[{number}]", part)
        case Mapping():
            for name, part in found.items():
                if not isinstance(name, str) or not _NAME.fullmatch(name) or _PERSONAL.search(name):
                    raise SuggestionError(f"{where} has a field that is no plain name, or sounds personal")
                _check(f"{where}.{name}", part)
        case _:
            raise SuggestionError(f"{where} is a {type(found).__name__}: only codes and whole numbers")
