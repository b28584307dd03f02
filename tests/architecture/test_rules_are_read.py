"""Every field of a plan rule is read in `serving`: a rule that nothing reads would promise in vain."""

import ast
from functools import cache
from pathlib import Path

import pytest

from serving.settlement.plans import rules

SERVING = Path(__file__).resolve().parents[2] / "serving"
SHAPES = SERVING / "settlement" / "plans" / "rules.py"
# Said by the head of every rule or for the reader of the document alone.
FOR_READERS = {"source"}


def rule_classes():
    found = [
        kind for kind in vars(rules).values() if isinstance(kind, type) and issubclass(kind, rules.PlanPart)
    ]
    return sorted(set(found) - {rules.PlanPart}, key=lambda kind: kind.__name__)


@cache
def reads_by_module(root=SERVING):
    """(names taken from the shapes, attributes and keys read) of every module, the shapes themselves last."""
    modules = []
    for file in sorted(root.rglob("*.py")):
        if file == SHAPES:
            continue
        tree = ast.parse(file.read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        read = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        }
        modules.append((names, read))
    shapes = ast.parse(SHAPES.read_text())
    own = {
        node.attr
        for node in ast.walk(shapes)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    return modules, own


def unread(kind, modules, own):
    """Fields of a class that no module reads which knows the class, one that holds it, or one above it."""
    holders = {holder.__name__ for holder in rule_classes() if kind.__name__ in str(holder.__annotations__)}
    known = {part.__name__ for part in kind.__mro__ if issubclass(part, rules.PlanPart)} - {"PlanPart"}
    known |= holders | {sub.__name__ for sub in rule_classes() if issubclass(sub, kind)}
    fields = set(kind.__annotations__) - {"stage"} - FOR_READERS
    return sorted(
        field
        for field in fields
        if field not in own and not any(names & known and field in read for names, read in modules)
    )


@pytest.mark.parametrize("kind", rule_classes(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_rule_has_a_reader(kind):
    modules, own = reads_by_module()
    assert unread(kind, modules, own) == []


def test_a_field_that_nothing_reads_is_found():
    modules = [({"SupplierRule"}, {"cadence"}), ({"Other"}, {"negative_carries"})]
    assert unread(rules.SupplierRule, modules, set()) == ["days_after_window", "negative_carries"]
