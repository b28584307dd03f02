"""Writes small .xlsx files by hand: no library that writes them is installed."""

import datetime as dt
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_SERIAL_ZERO = dt.datetime(1899, 12, 30)  # noqa: DTZ001
_DATE_STYLE = 1

Cell = str | int | float | bool | dt.datetime | None


def write_xlsx(path: Path, sheets: dict[str, list[list[Cell]]], hidden: tuple[str, ...] = ()) -> Path:
    """Writes sheets of rows; times become numbers that are formatted as dates."""
    hiding = ' state="hidden"'
    tags = "".join(
        f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"{hiding * (name in hidden)}/>'
        for at, name in enumerate(sheets, 1)
    )
    links = "".join(
        f'<Relationship Id="rId{at}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, len(sheets) + 1)
    )
    links += f'<Relationship Id="rId0" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_TYPES}">'
        f'<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{tags}</sheets>'
        f"</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONS}">{links}</Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs count="2"><xf numFmtId="0"/>'
        f'<xf numFmtId="22"/></cellXfs></styleSheet>',
    }
    for at, rows in enumerate(sheets.values(), 1):
        body = "".join(_row(row, number) for number, row in enumerate(rows, 1))
        parts[f"xl/worksheets/sheet{at}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>'
        )
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return path


def _row(row: list[Cell], number: int) -> str:
    cells = "".join(_cell(cell, number, column) for column, cell in enumerate(row))
    return f'<row r="{number}">{cells}</row>'


def _cell(cell: Cell, row: int, column: int) -> str:
    place = f'<c r="{chr(ord("A") + column)}{row}"'
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return f'{place} t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, dt.datetime):
        days = (cell - _SERIAL_ZERO) / dt.timedelta(days=1)
        return f'{place} s="{_DATE_STYLE}"><v>{days!r}</v></c>'
    if isinstance(cell, int | float):
        return f"{place}><v>{cell!r}</v></c>"
    return f'{place} t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
