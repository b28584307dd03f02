"""Which top-level names of `serving` are reached from outside tests, read from the source alone.

A name is reached when code that runs reaches it: statements of a module that are no definitions, everything
in the other packages, and from there whatever a reached definition uses. Benchmarks and tests reach nothing.
"""

import ast
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CHECKED = "serving"
CALLERS = ("serving", "pipelines", "models", "feature_store")
MIGRATIONS = "serving.db.migrations"


class Module:
    """One file: its definitions by name, what it imports under which name, and its other statements."""

    def __init__(self, name, tree, is_package=False):
        self.name = name
        package = name if is_package else name.rpartition(".")[0]
        self.definitions, self.imports, self.loose = {}, {}, []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.imports[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0],
                        None,
                    )
            elif isinstance(node, ast.ImportFrom):
                source = node.module or ""
                if node.level:
                    source = ".".join(
                        [*package.split(".")[: len(package.split(".")) - node.level + 1], source]
                    )
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (source, alias.name)
        for node in tree.body:
            names = _defined(node)
            for name in names:
                self.definitions.setdefault(name, []).append(node)
            if not names and not isinstance(node, ast.Import | ast.ImportFrom):
                self.loose.append(node)


def _defined(node):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [
        part.id
        for target in targets
        if target is not None
        for part in ast.walk(target)
        if isinstance(part, ast.Name)
    ]


def read_modules(root=REPOSITORY, packages=CALLERS):
    """Every module of the packages that can reach the checked one, by dotted name."""
    found = {}
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            text = file.read_text()
            # Code of the other packages runs anyway: only files that name the checked one lead into it.
            if package == CHECKED or CHECKED in text:
                found[name] = Module(name, ast.parse(text), is_package)
    return found


def uses(modules, module, node):
    """(module, name) of every top-level name that a piece of code uses, through imports."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield from _resolved(modules, module, part.id)
        elif isinstance(part, ast.Attribute):
            owner = modules.get(_module_named(module, _dotted(part.value)))
            if owner is not None:
                yield from _resolved(modules, owner, part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and ":" in part.value:
            # How servers name a factory: "package.module:function".
            target, _, name = part.value.partition(":")
            if target in modules:
                yield from _resolved(modules, modules[target], name)


def _dotted(node):
    """`a.b.c` of a chain of attributes; empty for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


def _module_named(module, base):
    head, _, rest = base.partition(".")
    if head not in module.imports:
        return None
    source, name = module.imports[head]
    full = source if name is None else f"{source}.{name}"
    return f"{full}.{rest}" if rest else full


def _resolved(modules, module, name, depth=0):
    if name in module.definitions:
        yield module.name, name
    elif name in module.imports and depth < 5:
        source, original = module.imports[name]
        if original is not None and source in modules:
            yield from _resolved(modules, modules[source], original, depth + 1)


def unreached(modules, checked=CHECKED):
    """Public functions and classes of the checked package that nothing reaches, as `module.name`."""
    reached, waiting = set(), []
    for module in modules.values():
        own = module.name.split(".")[0] == checked
        is_running = not own or module.name.startswith(MIGRATIONS)
        nodes = list(module.loose)
        if is_running:
            nodes += [node for group in module.definitions.values() for node in group]
        for node in nodes:
            waiting += uses(modules, module, node)
    while waiting:
        key = waiting.pop()
        if key in reached:
            continue
        reached.add(key)
        module = modules[key[0]]
        for node in module.definitions[key[1]]:
            waiting += uses(modules, module, node)
    return sorted(
        f"{module.name}.{name}"
        for module in modules.values()
        if module.name.split(".")[0] == checked and not module.name.startswith(MIGRATIONS)
        for name, nodes in module.definitions.items()
        if not name.startswith("_")
        and isinstance(nodes[0], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and (module.name, name) not in reached
    )
