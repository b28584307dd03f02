"""From a plan document (YAML or JSON) to a `PlanVersion`, or to a refusal with every reason.

Parsing and publishing order live here; what a rule set may not contain lives in `refusals`. Nothing is
stored: the caller writes the returned version as a row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from serving.settlement.errors import PlanRefusedError, PlanUnreadableError, Refusal
from serving.settlement.plans.plan import PlanHead, PlanVersion
from serving.settlement.plans.refusals import refusals_of_plan, refusals_of_rules
from serving.settlement.plans.rules import Rule, RuleCore

_RULE: TypeAdapter[RuleCore] = TypeAdapter(Rule)
_HEAD = (
    "plan_id",
    "version",
    "profile",
    "published_at",
    "effective_at",
    "ends_at",
    "pool_cap_bps",
    "legal_review",
)


def read_yaml(text: str) -> dict[str, Any]:
    """The document of a YAML text.

    Raises:
        PlanRefusedError: when it is no YAML mapping.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PlanRefusedError(
            "(unread)", (Refusal("not_yaml", None, f"it cannot be read: {error}"),)
        ) from error
    if not isinstance(document, dict):
        raise PlanRefusedError("(unread)", (Refusal("not_yaml", None, "it is no mapping of keys to values"),))
    return document


def load_plan(document: str | Mapping[str, Any]) -> PlanVersion:
    """A validated plan version.

    Args:
        document: YAML text, or its mapping (times as text or tz-aware datetimes), or what `plan_document`
            wrote.

    Raises:
        PlanRefusedError: with every reason found, see `refusals`.

    Source: P1-P17, common rules, notice, profiles.
    """
    raw = read_yaml(document) if isinstance(document, str) else dict(document)
    name = f"{raw.get('plan_id', '(unnamed)')} version {raw.get('version', '?')}"
    given_hash = raw.pop("content_hash", None)
    raw_rules = raw.pop("rules", None)
    reasons: list[Refusal] = []
    if not isinstance(raw_rules, Sequence) or isinstance(raw_rules, str) or not raw_rules:
        raw_rules = []
        reasons.append(Refusal("no_rules", None, "it has no list of rules"))
    rules: list[RuleCore] = []
    for position, raw_rule in enumerate(raw_rules):
        try:
            rules.append(_RULE.validate_json(_json(raw_rule)))
        except ValidationError as error:
            reasons += _reasons(error, _rule_name(raw_rule, position))
    head: PlanVersion | None = None
    try:
        head = PlanVersion.model_validate_json(_json({**raw, "rules": [], "content_hash": ""}))
    except ValidationError as error:
        reasons += _reasons(error, None)
    if head is not None:
        reasons += refusals_of_plan(head)
    reasons += refusals_of_rules(rules, head)
    if head is None or reasons:
        raise PlanRefusedError(name, tuple(reasons))
    if given_hash is not None and given_hash != (found := document_hash({**raw, "rules": raw_rules})):
        message = f"its content hashes to {found}, not to the given {given_hash}; it was altered"
        raise PlanRefusedError(name, (Refusal("altered", None, message),))
    plan = head.model_copy(update={"rules": tuple(rules)})
    return plan.model_copy(update={"content_hash": content_hash(plan)})


def read_stored(text: str, stored_hash: str) -> PlanVersion:
    """A plan as it was published, whatever release published it.

    The hash is of the stored document, so that fields which later releases added change nothing; they take
    their defaults. What a plan may contain was judged when it was published and is not judged again.

    Args:
        text: The stored document (JSON).
        stored_hash: The hash that was stored with it.

    Raises:
        PlanUnreadableError: It was altered, or this release cannot read it.
    """
    try:
        document = json.loads(text)
        found = document_hash(document)
        if found != stored_hash:
            raise PlanUnreadableError(f"its content hashes to {found}, not to the stored {stored_hash}")
        rules = tuple(_RULE.validate_json(_json(rule)) for rule in document["rules"])
        head = PlanVersion.model_validate_json(_json({**document, "rules": [], "content_hash": stored_hash}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanUnreadableError(f"this release cannot read it: {error}") from error
    return head.model_copy(update={"rules": rules})


def plan_document(plan: PlanVersion) -> dict[str, Any]:
    """The plan as a JSON object, hash included; `load_plan` reads it back to an equal plan."""
    return plan.model_dump(mode="json")


def content_hash(plan: PlanVersion) -> str:
    """The hash of the document that this release writes of a plan."""
    return document_hash(plan.model_dump(mode="json"))


def document_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 over a plan document in canonical JSON without the hash itself, hex."""
    rest = {key: value for key, value in document.items() if key != "content_hash"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def check_no_overlap(existing: Sequence[PlanHead], new: PlanHead) -> None:
    """Refuse a version that would be live at the same time as another one of its plan.

    A version without `ends_at` ends when the next takes effect, so versions only move forward: the new one
    must take effect after all others, and after the promised end of those that have one.

    Raises:
        PlanRefusedError: naming every version it collides with.
    """
    reasons = []
    for old in existing:
        if old.plan_id != new.plan_id:
            continue
        if old.version == new.version:
            message = f"version {old.version} exists and is immutable; take {old.version + 1} or higher"
            reasons.append(Refusal("duplicate_version", None, message))
        elif old.version > new.version:
            message = f"version {old.version} is newer; versions only move forward"
            reasons.append(Refusal("overlap", None, message))
        if new.effective_at <= old.effective_at:
            message = (
                f"version {old.version} takes effect at {old.effective_at.isoformat()}, "
                f"not before this one at {new.effective_at.isoformat()}; take effect later"
            )
            reasons.append(Refusal("overlap", None, message))
        elif old.ends_at is not None and new.effective_at < old.ends_at:
            message = (
                f"version {old.version} is live until {old.ends_at.isoformat()}, "
                f"after this one starts at {new.effective_at.isoformat()}; take effect then"
            )
            reasons.append(Refusal("overlap", None, message))
    if reasons:
        raise PlanRefusedError(f"{new.plan_id} version {new.version}", tuple(reasons))


def _json(raw: Any) -> str:
    """JSON text of a raw document.

    JSON mode takes lists for tuples and texts for times, and stays strict about numbers.
    """
    return json.dumps(
        raw, default=lambda found: found.isoformat() if isinstance(found, datetime) else str(found)
    )


def _rule_name(raw_rule: Any, position: int) -> str:
    """How to speak of a rule that may not even have an id."""
    if isinstance(raw_rule, Mapping) and isinstance(raw_rule.get("id"), str):
        return str(raw_rule["id"])
    return f"rule number {position + 1}"


def _reasons(error: ValidationError, rule_id: str | None) -> list[Refusal]:
    """One refusal for every complaint of pydantic, with a stable code for the ones that matter."""
    reasons = []
    for complaint in error.errors(include_url=False):
        # The first part of a rule's location is the stage that chose its class.
        where = [str(part) for part in complaint["loc"]]
        field = next((part for part in reversed(where) if not part.isdigit()), "")
        name = ".".join(where[1:] if rule_id and len(where) > 1 else where)
        kind = complaint["type"]
        code = "schema"
        if kind == "missing" and field == "base":
            code = "missing_base"
        elif kind in ("greater_than_equal", "less_than_equal") and any("bps" in part for part in where):
            code = "rate_out_of_range"
        reasons.append(Refusal(code, rule_id, f"{name or 'it'}: {complaint['msg']}"))
    return reasons
