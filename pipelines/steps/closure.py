"""What code decides a step: modules of ours that it can reach by imports, their data, versions of packages.

Read from the source by its syntax tree, so that nothing heavy is imported. An import that only annotates
(under `TYPE_CHECKING`, or bound to names that stand in annotations alone) decides nothing, except the
resources that a step names in its signature: those do its reading and writing.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.settings import REPOSITORY

if TYPE_CHECKING:
    import dagster as dg

PACKAGES = ("pipelines", "models", "feature_store", "serving")
"""Our own packages, below the repository."""

DATA_SUFFIXES = frozenset({".sql", ".yaml", ".yml", ".json", ".csv"})


@dataclass(frozen=True)
class Closure:
    """The code behind a step.

    Attributes:
        modules: Names of our modules, sorted.
        files: Their source files and the data files of their packages, sorted.
        packages: Imported third-party packages by import name, sorted.
    """

    modules: tuple[str, ...]
    files: tuple[Path, ...]
    packages: tuple[str, ...]

    @property
    def version(self) -> str:
        """Hash of the files' bytes and of the packages' versions."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self.files:
            digest.update(_file_hash(file, file.stat().st_mtime_ns, file.stat().st_size))
        for name in self.packages:
            digest.update(f"{name}={package_version(name)};".encode())
        return digest.hexdigest()


def code_version_of(definition: dg.AssetsDefinition) -> str:
    """Version of the code behind an asset, from the module of its function on."""
    return _version_of_module(module_of(definition))


def module_of(definition: dg.AssetsDefinition) -> str:
    """Name of the module that holds an asset's function."""
    compute = definition.node_def.compute_fn  # type: ignore[attr-defined]
    return str(compute.decorated_fn.__module__)


@cache
def _version_of_module(module: str) -> str:
    """A process keeps the code that it has loaded, so it is asked once."""
    return closure_of(module).version


def closure_of(module: str, root: Path = REPOSITORY) -> Closure:
    """The code that a module can reach.

    Args:
        module: Dotted name of one of our modules.
        root: Folder that holds our packages.

    Raises:
        ModuleNotFoundError: The module, or one of ours that it imports, has no file below the root.
    """
    if _file_of(module, root) is None:
        raise ModuleNotFoundError(f"{module} has no file below {root}")
    found: set[str] = set()
    packages: set[str] = set()
    waiting = list(_with_parents(module))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for imported in imports_of(name, root):
            if imported.split(".")[0] in PACKAGES:
                waiting.extend(part for part in _with_parents(imported) if part not in found)
            else:
                packages.add(imported.split(".")[0])
    files = {file for name in found if (file := _file_of(name, root)) is not None}
    files |= {data for folder in {file.parent for file in files} for data in _data_below(folder)}
    third_party = packages - sys.stdlib_module_names
    return Closure(tuple(sorted(found)), tuple(sorted(files)), tuple(sorted(third_party)))


@cache
def imports_of(module: str, root: Path) -> frozenset[str]:
    """Dotted names of the modules that a module imports, at its top or inside its functions."""
    file = _file_of(module, root)
    if file is None:
        raise ModuleNotFoundError(f"{module} has no file below {root}")
    tree = ast.parse(file.read_bytes())
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    # What a package's `__init__` imports it hands on, whether it uses it or not.
    used = None if file.name == "__init__.py" else _used_names(tree)
    return frozenset(
        target
        for node in _runtime_nodes(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in _targets(node, package, root, used)
    )


@cache
def package_version(name: str) -> str:
    """Version of the distribution that brings an imported name; `absent` when none does."""
    for candidate in (name, name.replace("_", "-"), *_distributions().get(name, ())):
        try:
            return metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
    return "absent"


@cache
def _distributions() -> dict[str, list[str]]:
    return {name: sorted(found) for name, found in metadata.packages_distributions().items()}


@cache
def _file_hash(file: Path, mtime_ns: int, size: int) -> bytes:
    """Hash of a file's name and bytes; read again only when its time or size has changed."""
    return hashlib.blake2b(f"{file.name}:{size}:".encode() + file.read_bytes(), digest_size=16).digest()


def _with_parents(module: str) -> Iterator[str]:
    """A module and the packages whose `__init__` runs when it is imported."""
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


def _file_of(module: str, root: Path) -> Path | None:
    base = root.joinpath(*module.split("."))
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def _data_below(folder: Path) -> Iterator[Path]:
    """Data files of a package: in its folder and in folders below that are no packages of their own."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if not (path / "__init__.py").exists() and not path.name.startswith((".", "__")):
                yield from _data_below(path)
        elif path.suffix in DATA_SUFFIXES:
            yield path


def _targets(
    node: ast.Import | ast.ImportFrom, package: str, root: Path, used: frozenset[str] | None
) -> Iterator[str]:
    """Modules that one import statement loads, but those whose names only annotate."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if used is None or (alias.asname or alias.name.split(".")[0]) in used:
                yield alias.name
        return
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    if base == "__future__":
        return
    for alias in node.names:
        if used is not None and (alias.asname or alias.name) not in used:
            continue
        inner = f"{base}.{alias.name}"
        is_module = base.split(".")[0] in PACKAGES and _file_of(inner, root) is not None
        yield inner if is_module else base


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                yield other
                yield from _runtime_nodes(other)
            continue
        yield node
        yield from _runtime_nodes(node)


def _used_names(tree: ast.AST) -> frozenset[str]:
    """Names that the code uses outside annotations, and the resources that a signature names."""
    names: set[str] = set()
    annotations = {id(part) for annotation in _annotations(tree) for part in ast.walk(annotation)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in annotations:
            names.add(node.id)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("ResourceParam"):
            names |= {part.id for part in ast.walk(node.slice) if isinstance(part, ast.Name)}
    return frozenset(names)


def _annotations(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            # Fields of data classes are read by libraries that build validators from them.
            if isinstance(node, ast.arg):
                yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns
