"""Hostile strings, and requests that put one into each string of each operation of an OpenAPI document.

Every request is otherwise valid as far as the document tells, so that the string gets as deep as it can.
"""

import json
from dataclasses import dataclass, field
from urllib.parse import quote

from role_matrix import METHODS, resolve

CORPUS = (
    ("sql_quote", "' OR '1'='1"),
    ("sql_drop", "'; DROP TABLE ledger.entry; --"),
    ("sql_union", "x' UNION SELECT key_hash FROM ops.api_key --"),
    ("sql_sleep", "1); SELECT pg_sleep(5); --"),
    ("sql_copy", "$$; COPY ops.api_key TO PROGRAM 'id'; $$"),
    ("sql_like", "%_%\\"),
    ("html_script", "<script>alert(1)</script>"),
    ("html_attribute", "\"><img src=x onerror=alert(1)>'"),
    ("html_entity", "&lt;svg/onload=alert(1)&gt;<svg/onload=alert(1)>"),
    ("nul", "a\x00b"),
    ("control_characters", "a\x01\x08\x1b[31m\x7f"),
    ("line_breaks", "a\r\nX-Injected: 1\r\n\r\nb"),
    ("very_long", "x" * 100_000),
    ("long_unicode", "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 2_000),
    ("right_to_left", "abc\u202egnp.exe"),
    ("zero_width", "ad\u200bmin\ufeff"),
    ("lookalike", "\u0430dmin"),
    ("combining", "Z\u0351\u036b\u0343\u036a" * 50),
    ("not_a_character", "\ufffe\uffff\U0010ffff"),
    ("lone_surrogate", "\ud800"),
    ("normalising", "\u2126\u212b\ufb03\uff07\uff1c"),
    ("path_up", "../../../../etc/passwd"),
    ("path_up_encoded", "..%2f..%2f..%2fetc%2fpasswd"),
    ("path_windows", "..\\..\\windows\\win.ini"),
    ("format_percent", "%s%n%x%d %(tenant)s"),
    ("format_braces", "{0.__class__.__mro__} {tenant!r}"),
    ("template", "{{7*7}}${7*7}<%= 7*7 %>#{7*7}"),
    ("log4j", "${jndi:ldap://127.0.0.1/a}"),
    ("shell", "`id` $(id) | id; id"),
    ("csv_formula", "=cmd|' /C calc'!A0"),
    ("xml_entity", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    ("yaml", "!!python/object/apply:os.system ['id']"),
    ("json", '{"$ne": null}'),
    ("number_like", "1e999999"),
    ("empty", ""),
    ("blank", " \t "),
)
_REACHES_HTML = ("<", ">", '"', "'")


@dataclass(frozen=True)
class Case:
    """One request with the hostile string in one place."""

    name: str
    method: str
    path: str
    query: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)
    body: object = None

    def send(self, client, key):
        headers = {"X-API-Key": key}
        for name, value in self.headers.items():
            # HTTP itself does not carry other bytes in a header.
            headers[name] = "".join(letter for letter in value if " " <= letter <= "~")[:8_000]
        content = None
        if self.body is not None:
            headers["content-type"] = "application/json"
            content = json_of(self.body)
        address = self.path
        if self.query:
            address += "?" + "&".join(f"{name}={quoted(value)}" for name, value in self.query.items())
        return client.request(self.method, address, content=content, headers=headers)


def cases_of(document, text):
    """Requests that put `text` into every string parameter and every string of every body."""
    for path, item in document["paths"].items():
        for method in sorted(METHODS & item.keys()):
            operation = item[method]
            parameters = [
                resolve(document, p) for p in (*item.get("parameters", ()), *operation.get("parameters", ()))
            ]
            schema = _body_schema(document, operation)
            body = None if schema is None else sample(document, schema)
            label = f"{method.upper()} {path}"
            for parameter in parameters:
                if _is_text(document, parameter["schema"]):
                    yield _request(document, label, method, path, parameters, parameter["name"], text, body)
            if schema is not None:
                yield _request(document, label, method, path, parameters, None, text, text)
                for place, hostile in replaced(document, schema, body, text):
                    case = _request(
                        document, f"{label} {place}", method, path, parameters, None, text, hostile
                    )
                    yield case


def is_echoed_unescaped(answer, text):
    """Whether a browser that reads the answer as a page would run what was sent."""
    kind = answer.headers.get("content-type", "")
    return "html" in kind and any(sign in text for sign in _REACHES_HTML) and text in answer.text


def sample(document, schema, depth=0):
    """A small value that fits a schema: every property is there, arrays have one item."""
    schema = resolve(document, schema)
    for name in ("const", "default", "example"):
        if schema.get(name) is not None:
            return schema[name]
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("enum"):
        return schema["enum"][0]
    for name in ("oneOf", "anyOf", "allOf"):
        options = [
            option for option in schema.get(name, ()) if resolve(document, option).get("type") != "null"
        ]
        if options:
            return sample(document, options[0], depth)
    kind = _kind(schema)
    if kind == "object":
        return {
            name: sample(document, part, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if depth < 8
        }
    if kind == "array":
        return [sample(document, schema.get("items", {"type": "string"}), depth + 1)]
    if kind == "integer":
        return max(1, schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
    if kind == "number":
        return 0.5
    if kind == "boolean":
        return True
    return {"date": "2018-01-01", "date-time": "2018-01-01T00:00:00Z"}.get(schema.get("format"), "x1")


def replaced(document, schema, value, text, place="body"):
    """(where, body) for every string in a body, with that string replaced."""
    schema = resolve(document, schema)
    options = [
        option
        for name in ("oneOf", "anyOf", "allOf")
        for option in schema.get(name, ())
        if resolve(document, option).get("type") != "null"
    ]
    if options:
        schema = resolve(document, options[0])
    if isinstance(value, dict):
        yield f"{place}.<key>", {**value, text: "x"}
        for name, part in schema.get("properties", {}).items():
            if name in value:
                for where, changed in replaced(document, part, value[name], text, f"{place}.{name}"):
                    yield where, {**value, name: changed}
    elif isinstance(value, list) and value:
        for where, changed in replaced(document, schema.get("items", {}), value[0], text, f"{place}[0]"):
            yield where, [changed, *value[1:]]
    elif isinstance(value, str):
        yield place, text


def _request(document, name, method, path, parameters, hostile_name, text, body):
    query, headers = {}, {}
    for parameter in parameters:
        is_hostile = parameter["name"] == hostile_name
        value = text if is_hostile else sample(document, parameter["schema"])
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", quoted(value) or "%20")
        elif parameter["in"] == "header" and (is_hostile or parameter.get("required")):
            headers[parameter["name"]] = str(value)
        elif parameter["in"] == "query" and (is_hostile or parameter.get("required")):
            query[parameter["name"]] = value
    where = f" {hostile_name}" if hostile_name else ""
    return Case(name + where, method.upper(), path, query, headers, body)


def _body_schema(document, operation):
    content = operation.get("requestBody", {}).get("content", {})
    media = content.get("application/json")
    return resolve(document, media["schema"]) if media else None


def _is_text(document, schema):
    schema = resolve(document, schema)
    options = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    return any(_is_text(document, option) for option in options) or _kind(schema) == "string"


def _kind(schema):
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((one for one in kind if one != "null"), "null")
    return kind or ("object" if "properties" in schema else None)


def quoted(value):
    # Clients themselves refuse addresses that are much longer.
    return quote(str(value)[:5_000].encode("utf-8", "surrogatepass"), safe="")


def json_of(body):
    # As the escapes of JSON: a lone surrogate cannot be written any other way.
    return json.dumps(body).encode()
