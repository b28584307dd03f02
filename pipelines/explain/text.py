"""An explanation for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from feature_store.contracts import TagStatus
from feature_store.explain.rows import CountedRows
from pipelines.explain.explanation import ExplainedTag, Explanation, classes_of
from pipelines.explain.predictions import ExplainedPrediction
from pipelines.messages import Texts

_NOTHING = "-"
_WIDEST = 40
"""Characters of a cell: a search text may be long."""


def as_text(explanation: Explanation, text: Texts) -> str:
    """What a person reads: who, what serves it, then each tag with its rows."""
    served = explanation.served
    lines = [f"{explanation.entity} {explanation.entity_id}"]
    if explanation.as_of is not None:
        lines.append(text("explain.at", moment=_moment(explanation.as_of)))
    elif not served.tags:
        lines.append(text("explain.not_served", origin=served.origin))
    else:
        ages = ", ".join(f"{name} {_moment(moment)}" for name, moment in classes_of(served).items())
        lines.append(
            text("explain.served", origin=served.origin, revision=served.revision, ages=ages)
            if served.live
            else text("explain.served_plain", origin=served.origin, ages=ages)
        )
    withdrawn = sorted(purpose for purpose, granted in served.consents.items() if not granted)
    if withdrawn:
        lines.append(text("explain.withdrawn", purposes=", ".join(withdrawn)))
    for one in explanation.tags:
        lines += ["", *_tag(one, text)]
    for said in explanation.predictions:
        lines += ["", *_prediction(said, text)]
    return "\n".join(lines)


def _tag(one: ExplainedTag, text: Texts) -> list[str]:
    tag, definition = one.tag, one.definition
    shown = _NOTHING if one.value is None else _cell(one.value)
    lines = [f"{tag.name} = {shown}  ({text(f'explain.{one.status.value}')})", f"  {tag.description}"]
    what = definition.expression
    if definition.over:
        what += text("explain.over", source=definition.over)
    if definition.where:
        what += text("explain.where", condition=definition.where)
    lines.append(text("explain.definition", what=what))
    lines.append(text("explain.window", window=tag.window, unit=tag.unit, rule=tag.null_rule))
    lines.append(
        text("explain.as_of", moment=_moment(one.as_of), refresh=tag.refresh.value, store=text(_store(one)))
    )
    if one.computed is None:
        return [*lines, text("explain.no_rows_told")]
    if one.agrees is False:
        lines.append(text("explain.differs", value=_cell(one.computed.value)))
    if one.inputs:
        inputs = ", ".join(f"{name} = {_cell(value)}" for name, value in one.inputs.items())
        lines.append(text("explain.from_tags", inputs=inputs))
    if definition.compares:
        lines.append(text("explain.compares"))
    for part in one.computed.parts:
        lines += _part(part, text)
    return lines


def _prediction(one: ExplainedPrediction, text: Texts) -> list[str]:
    shown = _NOTHING if one.value is None else _cell(one.value)
    lines = [f"{one.tag.name} = {shown}  ({text(f'explain.{one.status.value}')})", f"  {one.tag.description}"]
    if one.by is not None:
        lines.append(text("explain.said_by", model=one.by))
    return [*lines, text("explain.predicted", moment=_moment(one.as_of), unit=one.tag.unit)]


def _store(one: ExplainedTag) -> str:
    return f"explain.{one.store.replace(' ', '_')}"


def _part(part: CountedRows, text: Texts) -> list[str]:
    key = "explain.rows" if part.kind == "rows" else "explain.groups"
    lines = [text(key, tags=", ".join(part.tags), count=part.count, relation=part.relation, table=part.table)]
    if part.rows:
        cells = [[_named(name) for name in part.columns], *([_cell(v) for v in row] for row in part.rows)]
        lines += [f"      {line}" for line in _aligned(cells)]
    if part.rows and part.left_out:
        lines.append(text("explain.left_out", count=part.left_out))
    return lines


def _named(column: str) -> str:
    return {"known_at": "received_at"}.get(column, column)


def _aligned(cells: list[list[str]]) -> Iterable[str]:
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    written = str(value)
    return written if len(written) <= _WIDEST else f"{written[: _WIDEST - 1]}…"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def as_json(explanation: Explanation) -> str:
    """The same as one JSON document; times are ISO 8601 in UTC."""
    served = explanation.served
    document = {
        "entity": explanation.entity,
        "id": explanation.entity_id,
        "as_of": explanation.as_of,
        "served": {
            "origin": served.origin,
            "revision": served.revision,
            "classes": classes_of(served),
            "consents": dict(served.consents),
        }
        if served.tags and explanation.as_of is None
        else None,
        "tags": {one.tag.name: _tag_document(one) for one in explanation.tags},
        "predictions": {one.tag.name: _prediction_document(one) for one in explanation.predictions},
    }
    return json.dumps(document, default=_json_value, ensure_ascii=False, indent=1)


def _tag_document(one: ExplainedTag) -> dict[str, Any]:
    tag, definition, computed = one.tag, one.definition, one.computed
    document: dict[str, Any] = {
        "status": one.status.value,
        "value": one.value,
        "as_of": one.as_of,
        "refresh": tag.refresh.value,
        "unit": tag.unit,
        "description": tag.description,
        "definition": {
            "expression": definition.expression,
            "source": definition.over or None,
            "where": definition.where or None,
            "tables": definition.tables,
            "window": tag.window,
            "null_rule": tag.null_rule,
            "compares_entities": definition.compares,
        },
        "read_from": one.store,
        "equals_rows": one.agrees,
    }
    if computed is None or one.status is TagStatus.WITHHELD:
        return document
    document["derived_from"] = one.inputs
    document["rows"] = [
        {
            "tags": part.tags,
            "relation": part.relation,
            "kind": part.kind,
            "table": part.table or None,
            "count": part.count,
            "left_out": part.left_out,
            "rows": [dict(zip(map(_named, part.columns), row, strict=True)) for row in part.rows],
        }
        for part in computed.parts
    ]
    return document


def _prediction_document(one: ExplainedPrediction) -> dict[str, Any]:
    return {
        "status": one.status.value,
        "value": one.value,
        "as_of": one.as_of,
        "unit": one.tag.unit,
        "description": one.tag.description,
        "said_by": one.by,
    }


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
