"""Which encoding a text file has, from its byte order mark or from all of its bytes.

UTF-8 wins wherever it fits. A file is GB18030 (which holds GBK and GB2312) only when its lines are valid in
it and look like Chinese text, so that Western letters are never read as Chinese ones.
"""

from __future__ import annotations

import codecs
import re
from itertools import islice
from pathlib import Path
from typing import IO

from pipelines.sources.contract import SourceError
from pipelines.sources.files.opened import opened

UTF8 = "utf-8"
CHINESE = "gb18030"
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BLOCK = 4 << 20
_SAMPLE_LINES = 2000
_LINE_BYTES = 1 << 16
_COMMON_SHARE = 0.8


def is_wide(encoding: str) -> bool:
    """Whether a line end takes more than one byte in an encoding."""
    return encoding in _WIDE


def known_encoding(encoding: str, name: str) -> str:
    """The codec of an encoding that an owner named.

    Raises:
        SourceError: If there is no such encoding.
    """
    try:
        known = codecs.lookup(encoding).name
    except LookupError:
        raise SourceError(
            f"{name}: there is no encoding '{encoding}'; write utf-8, gb18030, utf-16-le, cp1252 or big5"
        ) from None
    return {"utf-8-sig": UTF8, "gbk": CHINESE, "gb2312": CHINESE}.get(known, known)


def mark_of(head: bytes) -> tuple[str, int] | None:
    """Encoding and length of the byte order mark at the start of a file."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return None


def find_encoding(path: Path, name: str) -> str:
    """The encoding of a text file.

    Raises:
        SourceError: If the file cannot be read.
    """
    with opened(path, name) as file:
        head = file.read(_BLOCK)
        marked = mark_of(head)
        if marked is not None:
            return marked[0]
        wide = _wide(head)
        if wide is not None:
            return wide
        if _is_utf8(head, file):
            return UTF8
    with opened(path, name) as file:
        return _by_lines(file)


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: Latin text, such as a header, has a zero in every second byte."""
    for size in (4096, 64):
        sample = head[:size]
        half = len(sample) // 2
        even, odd = sample[0 : 2 * half : 2].count(0), sample[1 : 2 * half : 2].count(0)
        if half >= 2 and odd > half // 3 and even <= half // 20:
            return "utf-16-le"
        if half >= 2 and even > half // 3 and odd <= half // 20:
            return "utf-16-be"
    return None


def _is_utf8(head: bytes, file: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder(UTF8)()
    block = head
    try:
        while block:
            if not block.isascii() or decoder.getstate()[0]:
                decoder.decode(block)
            block = file.read(_BLOCK)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _by_lines(file: IO[bytes]) -> str:
    """The encoding that most of the lines with other than ASCII bytes are in."""
    pieces = (piece for piece in iter(lambda: file.readline(_LINE_BYTES), b"") if not piece.isascii())
    lines = [line for piece in islice(pieces, _SAMPLE_LINES) for line in re.split(rb"[\r\n]", piece)]
    lines = [line for line in lines if not line.isascii()]
    utf8 = sum(_decoded(line, UTF8) is not None for line in lines)
    chinese = [text for line in lines if (text := _decoded(line, CHINESE)) is not None]
    fits = len(chinese) > utf8 and 2 * len(chinese) > len(lines)
    return CHINESE if fits and _looks_chinese("".join(chinese)) else UTF8


def _decoded(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


def _looks_chinese(text: str) -> bool:
    """Whether nearly all of the characters are common ones; other encodings show up as rare characters."""
    chars = [char for char in text if not char.isascii()]
    common = sum(bool(char.encode("gb2312", "ignore")) for char in chars)
    return common >= _COMMON_SHARE * len(chars)
