"""The matrix role x endpoint x owner, read from the OpenAPI document alone, and requests for its cells."""

from dataclasses import dataclass, field

METHODS = {"get", "post", "put", "patch", "delete"}
ROLES = ("agent", "auditor", "merchant", "operator", "supplier")
PARTY_ROLES = ("agent", "merchant", "supplier")


@dataclass(frozen=True)
class Endpoint:
    """One keyed operation."""

    method: str
    path: str
    scope: str
    roles: frozenset[str]
    owner: str | None
    parameters: tuple[dict, ...] = field(repr=False)
    body: object = field(repr=False)

    @property
    def name(self):
        return f"{self.method.upper()} {self.path}"

    @property
    def names_its_owner(self):
        """Whether path or query name the party whose data is shown."""
        names = {parameter["name"] for parameter in self.parameters}
        return names >= {"party_type", "party_id"} or (self.owner is not None and f"{self.owner}_id" in names)

    def is_for(self, role):
        """Whether the party that the request names can be one of that role."""
        names = {parameter["name"] for parameter in self.parameters}
        return names >= {"party_type", "party_id"} or role == self.owner


def endpoints_of(document):
    """Keyed operations, and the names of those that ask for no key."""
    keyed, open_to_all = [], set()
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            operation = item[method]
            if not operation.get("security"):
                open_to_all.add(f"{method.upper()} {path}")
                continue
            keyed.append(
                Endpoint(
                    method,
                    path,
                    operation["x-scope"],
                    frozenset(operation["x-roles"]),
                    operation["x-owner"],
                    tuple(item.get("parameters", []) + operation.get("parameters", [])),
                    sample_body(document, operation),
                )
            )
    return sorted(keyed, key=lambda endpoint: endpoint.name), open_to_all


def sample_body(document, operation):
    """An example of the body if there is one, else an empty document; None without a body."""
    content = operation.get("requestBody", {}).get("content")
    if not content:
        return None
    media = content.get("application/json", {})
    if "example" in media:
        return media["example"]
    schema = resolve(document, media.get("schema", {}))
    return (schema.get("examples") or [{}])[0]


def resolve(document, schema):
    """The schema behind a reference."""
    while "$ref" in schema:
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def parties_named(prefix, role=None):
    """Values of the parameters that name parties: `<prefix>-<kind of party>`; of `party_id` the role's."""
    named = {f"{kind}_id": f"{prefix}-{kind}" for kind in PARTY_ROLES}
    kind = role if role in PARTY_ROLES else PARTY_ROLES[-1]
    return {**named, "party_type": kind, "party_id": f"{prefix}-{kind}"}


def request_of(document, endpoint, parties):
    """Path, query and headers of a request; `parties` has the values of parameters that name parties."""
    path, query, headers = endpoint.path, {}, {}
    for parameter in endpoint.parameters:
        name, place = parameter["name"], parameter["in"]
        value = parties.get(name) or sample_value(document, parameter)
        names_owner = name in ("party_type", "party_id", f"{endpoint.owner}_id")
        if place == "path":
            path = path.replace("{" + name + "}", str(value))
        elif place == "query" and (parameter.get("required") or names_owner):
            query[name] = value
        elif place == "header" and parameter.get("required"):
            headers[name] = str(value)
    return path, query, headers


def sample_value(document, parameter):
    """An example of the parameter, or something of its type."""
    for holder in (parameter, resolve(document, parameter.get("schema", {}))):
        if holder.get("example") is not None:
            return holder["example"]
        examples = holder.get("examples")
        if isinstance(examples, dict) and examples:
            first = next(iter(examples.values()))
            return first["value"] if isinstance(first, dict) and "value" in first else first
        if isinstance(examples, list) and examples:
            return examples[0]
    schema = resolve(document, parameter.get("schema", {}))
    variants = [resolve(document, variant) for variant in schema.get("oneOf", schema.get("anyOf", []))]
    schema = next((variant for variant in variants if variant.get("type") != "null"), schema)
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("type") in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    known = {"date": "2026-11-01", "date-time": "2026-11-01T00:00:00Z", "boolean": "true"}
    return known.get(schema.get("format") or schema.get("type"), "x-1")
