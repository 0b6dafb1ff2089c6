"""Name the code behind a plugin's entry without importing it.

The code is the module of the factory and all that it imports, however deep and wherever the import stands, as far as
it comes from the same distribution. Comments, docstrings and formatting do not change the name. Files that are no
Python are not part of it, and neither is what only a type checker imports.
"""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

from bench.errors import PluginFault
from bench.plugins.hookspecs import PROJECT

_FOREIGN: Final = frozenset({"site-packages", "dist-packages"})


def code_digest(factory: str) -> str:
    """Return a digest of the code that ``factory`` runs: 32 hexadecimal digits.

    Parameters
    ----------
    factory : "package.module:callable"; or "path/file.py:callable", of which the file's bytes count alone

    Raises
    ------
    PluginFault : the module or the file is not there, or is no Python
    """
    place, _, _ = factory.rpartition(":")
    if place.endswith(".py"):
        return blake2b(_bytes(Path(place).expanduser()), digest_size=16).hexdigest()
    if _file(place) is None:
        raise PluginFault(f"Module {place!r} of factory {factory!r} is not installed.")
    return _digest_from(place)


@cache
def _digest_from(start: str) -> str:
    lines = [f"{module}={_source(module).digest}\n" for module in sorted(_reached(start))]
    return blake2b("".join(lines).encode(), digest_size=16).hexdigest()


def _reached(start: str) -> set[str]:
    """Return the modules that importing ``start`` can bring in, of those that its distribution has."""
    owner = _Owner.of(start.partition(".")[0])
    reached: set[str] = set()
    passed: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in passed:
            continue
        passed.add(name)
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):  # importing a.b.c runs a and a.b first
            module = ".".join(parts[:depth])
            if module in reached or not owner.has(parts[0]) or _file(module) is None:
                continue
            reached.add(module)
            waiting += _source(module).imports
    return reached


# ---------------------------------------------------------------------- modules


@dataclass(frozen=True)
class _Source:
    digest: str
    imports: tuple[str, ...]


@cache
def _source(module: str) -> _Source:
    """Return the digest of one module and the names that it imports, those of attributes among them."""
    path = _file(module)
    assert path is not None
    content = b"" if path.is_dir() else _bytes(path)
    if path.suffix != ".py":
        return _Source(blake2b(content, digest_size=16).hexdigest(), ())
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise PluginFault(f"File {path} is no Python: {error}.") from error
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    reader = _Reader(package)
    text = reader.text(tree)
    return _Source(blake2b(text.encode(), digest_size=16).hexdigest(), tuple(dict.fromkeys(reader.imports)))


@cache
def _file(module: str) -> Path | None:
    """Return the file of a module, the folder of a package without ``__init__.py``, or None; imports nothing."""
    package, _, name = module.rpartition(".")
    if package:
        above = _file(package)
        if above is None or not (above.is_dir() or above.name == "__init__.py"):
            return None
        return _in_folder(above if above.is_dir() else above.parent, name)
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        return None
    if spec.origin is None or spec.origin == "namespace":
        return next(iter(map(Path, spec.submodule_search_locations or ())), None)
    path = Path(spec.origin)
    return path if path.is_file() else None


def _in_folder(folder: Path, name: str) -> Path | None:
    for path in (folder / name / "__init__.py", folder / f"{name}.py"):
        if path.is_file():
            return path
    compiled = sorted(folder.glob(f"{name}.*.so")) + sorted(folder.glob(f"{name}.*.pyd"))
    if compiled:
        return compiled[0]
    return folder / name if (folder / name).is_dir() else None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PluginFault(f"File {path} cannot be read: {error.strerror}.") from error


# ---------------------------------------------------------------------- whose module


@dataclass(frozen=True)
class _Owner:
    """The distribution whose code counts.

    Attributes
    ----------
    packages : its top-level packages, as far as its installation names them
    project : of an editable installation, the folder that it was made from
    """

    packages: frozenset[str]
    project: Path | None

    def has(self, package: str) -> bool:
        """Return whether a top-level package belongs to it."""
        return package in self.packages or (self.project is not None and _lies_in(package, self.project))

    @classmethod
    @cache
    def of(cls, package: str) -> _Owner:
        """Return the owner of a top-level package; where no distribution that offers plugins has it, itself alone."""
        for distribution in _distributions():
            owner = cls._by(distribution)
            if owner.has(package):
                return owner
        return cls(frozenset({package}), None)

    @classmethod
    @cache
    def _by(cls, distribution: metadata.Distribution) -> _Owner:
        tops = {point.module.partition(".")[0] for point in distribution.entry_points}
        tops |= set((distribution.read_text("top_level.txt") or "").split())
        tops |= {file.parts[0].removesuffix(".py") for file in distribution.files or () if file.suffix == ".py"}
        return cls(frozenset(tops - {"..", "__pycache__"}), _editable(distribution))


@cache
def _distributions() -> tuple[metadata.Distribution, ...]:
    """Return the distributions that offer plugins."""
    found = {point.dist.name: point.dist for point in metadata.entry_points(group=PROJECT) if point.dist is not None}
    return tuple(found.values())


def _editable(distribution: metadata.Distribution) -> Path | None:
    text = distribution.read_text("direct_url.json")
    said = json.loads(text) if text else {}
    if not said.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlparse(said["url"]).path))


@cache
def _lies_in(package: str, project: Path) -> bool:
    """Return whether a package's file is in a project's folder, and not in an environment that lies there too."""
    if package in sys.stdlib_module_names:
        return False
    path = _file(package)
    return path is not None and path.is_relative_to(project) and not _FOREIGN & set(path.parts)


# ---------------------------------------------------------------------- syntax


class _Reader:
    """Writes a module's syntax down without what does not run, and collects its imports on the way."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.imports: list[str] = []
        self.written: list[str] = []

    def text(self, tree: ast.AST) -> str:
        """Return the syntax as text: equal where only comments, docstrings, layout or type-checking imports differ."""
        self.write(tree)
        return "".join(self.written)

    def write(self, node: object) -> None:
        written = self.written
        kind = node.__class__
        if kind is ast.Name:  # half of all nodes
            written.append(f"<{node.id}>")  # type: ignore[attr-defined]
            return
        if not isinstance(node, ast.AST):
            written.append(f"{node!r},")
            return
        if kind is ast.Constant:
            written.append(f"{node.value!r},")  # type: ignore[attr-defined]
            return
        self.note_imports(node)
        written.append(f"{kind.__name__}(")
        type_checking = kind is ast.If and _is_type_checking(node.test)  # type: ignore[attr-defined]
        for field in _fields(kind):
            value = getattr(node, field, None)
            if value is None or (type_checking and field == "body"):
                continue
            if value.__class__ is list:
                if value:
                    written.append(f"{field}=")
                    for part in value[1:] if field == "body" and _has_docstring(node) else value:
                        self.write(part)
            else:
                written.append(f"{field}=")
                self.write(value)
        written.append(")")

    def note_imports(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self.imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            self.imports += [base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")]
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            target = getattr(node.args[0], "value", None)
            if called in {"import_module", "__import__"} and isinstance(target, str) and not target.startswith("."):
                self.imports.append(target)


_SILENT: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_known_fields: Final[dict[type[Any], tuple[str, ...]]] = {}
_WITH_DOCSTRING: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _fields(kind: type[Any]) -> tuple[str, ...]:
    if kind not in _known_fields:
        _known_fields[kind] = tuple(field for field in kind._fields if field not in _SILENT)
    return _known_fields[kind]


def _has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, _WITH_DOCSTRING):
        return False
    first = node.body[0]
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _is_type_checking(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"
