"""Whatever comes from outside has a range, and no answer grows with the data."""

import typing

import msgspec
import pytest
from litestar.routes import HTTPRoute
from role_matrix import METHODS, resolve

pytestmark = pytest.mark.xdist_group("limits_stated")  # one world for all, in order

WHOLE = {
    "/v1/agents/{agent_id}": "one agent: its direct relations, and points that expire",
    "/v1/agents/{agent_id}/suggestions": "cut when it is published: twenty a shop",
    "/v1/approvals/{approval_id}": "what was decided about one request",
    "/v1/balances/{party_type}/{party_id}": "one row an account kind of one party",
    "/v1/channels": "contracts with payment channels",
    "/v1/consumers/{consumer_id}/rebuy-reminders": "a ranked list, cut when it is published",
    "/v1/coupon-programmes/{programme_id}": "terms of one programme; its lists have lengths",
    "/v1/communities/{community_id}/calendar": "days ahead, at most 500 entries",
    "/v1/communities/{community_id}/health": "a row a week, at most 104",
    "/v1/promotions/{promotion_id}": "terms of one promotion",
    "/v1/experiments/{experiment_id}/preview": "the arms of one experiment, at most five",
    "/v1/feedback/topics": "a row a topic, each with at most three examples",
    "/v1/journeys/shipped": "documents that come with the product",
    "/v1/ledger/transactions/{transaction_id}": "entries of one transaction; a posting has a length",
    "/v1/member-levels": "the levels of one programme, at most four",
    "/v1/member-programmes": "versions of one document",
    "/v1/members/{consumer_id}": "one member, with its newest changes",
    "/v1/merchants/{merchant_id}/loss-budgets": "a day a row, from a day on, at most `limit`",
    "/v1/nearby-stores": "the nearest first, at most `limit`",
    "/v1/orders/{order_id}": "one order; its lines have a length",
    "/v1/periods": "closed months",
    "/v1/plan-assignments": "which plan settles whom since when",
    "/v1/plans": "plans that lawyers reviewed",
    "/v1/plans/{plan_id}": "versions of one plan",
    "/v1/profiles": "those that the request names, at most 100",
    "/v1/purchase-policies": "one a category",
    "/v1/quality/levels/{sku_id}/history": "the newest changes of one sku, at most `limit`",
    "/v1/recommendations": "a ranked list, cut when it is published",
    "/v1/reviews/{party_type}/{party_id}": "one month of one party: at most three skus a side",
    "/v1/segments": "rules of the installation",
    "/v1/settlements/{order_id}/explain": "one order",
    "/v1/statements/{party_type}/{party_id}": "one party's month, by account and day",
    "/v1/suppliers/{supplier_id}/push-sources": "the systems of one supplier that an operator registered",
    "/v1/supervision/cases/{listing_case_id}": "one case, with what was said and done",
    "/v1/parcels/{shipment_id}/record": "one parcel: at most 500 records",
    "/v1/supply-alarm-levels": "a kind of alarm a row",
    "/v1/supply-alarm-policies": "one a category",
    "/v1/supply-alarms/{alarm_id}": "one alarm: its first steps, and at most four alternatives",
    "/v1/webhooks": "at most 500, the newest first",
}
"""Lists that are not read page by page, and what keeps them short."""
_RANGES = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "maxLength", "pattern", "maxItems")


@pytest.fixture(scope="module")
def document(client):
    return client.get("/v1/openapi.json").json()


def unlimited(document, schema, where):
    """Parts of a parameter's schema without a range; what stands at a choice holds for what is chosen."""
    schema = resolve(document, schema)
    outer = {name: schema[name] for name in _RANGES if name in schema}
    for chosen in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from unlimited(document, {**outer, **resolve(document, chosen)}, where)
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "enum" in schema or "const" in schema:
        return
    low, high = ({name, f"exclusive{name.capitalize()}"} & schema.keys() for name in ("minimum", "maximum"))
    if {"integer", "number"} & set(kinds) and not (low and high):
        yield f"{where}: a number without a range"
    is_named = schema.get("format") in ("date", "date-time", "uuid")
    if "string" in kinds and not is_named and not {"maxLength", "pattern"} & schema.keys():
        yield f"{where}: a text without a length"
    if "array" in kinds and "maxItems" not in schema:
        yield f"{where}: a list without a length"


def unlimited_type(info, where, seen=frozenset()):
    """Parts of a body without a range, as msgspec validates them."""
    kind = type(info).__name__
    if kind == "StructType":
        if info.cls in seen:
            return
        for field in info.fields:
            yield from unlimited_type(field.type, f"{info.cls.__name__}.{field.name}", seen | {info.cls})
    elif kind == "UnionType":
        for chosen in info.types:
            yield from unlimited_type(chosen, where, seen)
    elif kind == "Metadata":
        yield from unlimited_type(info.type, where, seen)
    elif kind in ("IntType", "FloatType"):
        if (info.ge is None and info.gt is None) or (info.le is None and info.lt is None):
            yield f"{where}: a number without a range"
    elif kind in ("StrType", "BytesType"):
        if info.max_length is None and getattr(info, "pattern", None) is None:
            yield f"{where}: a text without a length"
    elif kind in ("ListType", "VarTupleType", "SetType", "FrozenSetType"):
        if info.max_length is None:
            yield f"{where}: a list without a length"
        yield from unlimited_type(info.item_type, where, seen)
    elif kind == "DictType":
        if info.max_length is None:
            yield f"{where}: an object without a length"
        yield from unlimited_type(info.value_type, where, seen)
    elif kind == "AnyType":
        yield f"{where}: anything"


def test_every_parameter_has_a_range(document):
    found = []
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            for parameter in item.get("parameters", []) + item[method].get("parameters", []):
                found += unlimited(document, parameter["schema"], f"{method} {path} {parameter['name']}")
    assert found == []


def bodies(client):
    for route in client.app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                data = handler.parsed_fn_signature.parameters.get("data")
                if data is not None:
                    yield route.path_format, data.annotation


def test_every_value_of_a_body_has_a_range(client):
    found, checked = [], 0
    for path, annotation in bodies(client):
        if annotation in (bytes, str) or typing.get_origin(annotation) is not None:
            continue
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            checked += 1
            found += [f"{path} {one}" for one in unlimited_type(msgspec.inspect.type_info(annotation), path)]
    assert found == []
    assert checked > 20


def test_every_list_is_read_page_by_page(document):
    whole = []
    for path, item in document["paths"].items():
        if "get" not in item:
            continue
        answer = item["get"]["responses"].get("200", {}).get("content", {}).get("application/json", {})
        schema = resolve(document, answer.get("schema", {}))
        lists = [
            name
            for name, part in schema.get("properties", {}).items()
            if "array" in (resolve(document, part).get("type") or ())
        ]
        names = {
            parameter["name"] for parameter in item.get("parameters", []) + item["get"].get("parameters", [])
        }
        if lists and not names >= {"limit", "cursor"}:
            whole.append(path)
        elif lists:
            assert "next_cursor" in schema["properties"], path
    assert sorted(whole) == sorted(WHOLE)
