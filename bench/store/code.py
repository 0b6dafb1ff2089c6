"""Name the code behind a plugin's entry without importing it.

The code is the module of the factory and all that it imports, however deep and wherever the import stands, as far as
it comes from the same distribution or from another that offers plugins. Comments, docstrings and formatting do not
change the name. Files that are no Python are not part of it, and neither is what only a type checker imports.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
    factory : "package.module:callable"; or "path/file.py:callable", of which the bytes of the file count, and of what
        it imports from its own folder

    Raises
    ------
    PluginFault : the module or the file is not there, or is no Python
    """
    place, _, _ = factory.rpartition(":")
    if place.endswith(".py"):
        file = Path(place).expanduser()
        digest = blake2b(_bytes(file), digest_size=16)
        _note(file)
        for name, neighbour in sorted(_neighbours(file).items()):
            _note(neighbour)
            digest.update(f"\n{name}={blake2b(_bytes(neighbour), digest_size=16).hexdigest()}".encode())
        return digest.hexdigest()
    if _file(place) is None:
        raise PluginFault(f"Module {place!r} of factory {factory!r} is not installed.")
    return _digest_from(place)


@cache
def _digest_from(start: str) -> str:
    lines = [f"{module}={_source(module).digest}\n" for module in sorted(_reached(start))]
    return blake2b("".join(lines).encode(), digest_size=16).hexdigest()


def _reached(start: str) -> set[str]:
    """Return the modules that importing ``start`` can bring in, of those that distributions with plugins have."""
    owners = {_Owner.of(start.partition(".")[0]), *_owners()}
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
            if module in reached or not any(owner.has(parts[0]) for owner in owners) or _file(module) is None:
                continue
            reached.add(module)
            waiting += _source(module).imports
    return reached


def stamps() -> dict[str, tuple[int, int, str]]:
    """Return of each file whose code has been named when it was changed, its size, and a digest of its code."""
    return dict(_seen)


def changed(stamps: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return the files whose code is no longer what it was when these ``stamps`` were taken."""
    moved = [path for path, (when, size, _) in stamps.items() if _stamp(Path(path)) != (when, size)]
    return [path for path in moved if not Path(path).is_file() or _digest_of(Path(path)) != stamps[path][2]]


def refresh() -> None:
    """Read code anew where a file was changed since it was read: a process may outlive what it has imported."""
    if any(_stamp(Path(path)) != seen[:2] for path, seen in _seen.items()):
        for cached in (_digest_from, _source, _file, _lies_in):
            cached.cache_clear()
        _seen.clear()


_seen: Final[dict[str, tuple[int, int, str]]] = {}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _digest_of(path: Path) -> str:
    return _parsed(path, "").digest


def _neighbours(file: Path) -> dict[str, Path]:
    """Return the modules that a file imports from its own folder, however deep, by name."""
    found: dict[str, Path] = {}
    waiting = [("", file)]
    while waiting:
        name, path = waiting.pop()
        for imported in _imports(name if path.name == "__init__.py" else name.rpartition(".")[0], path):
            folder, parts = file.parent, imported.split(".")
            for depth in range(1, len(parts) + 1):
                module, below = ".".join(parts[:depth]), _in_folder(folder, parts[depth - 1])
                if below is None or below == file:
                    break
                if module not in found and below.is_file():
                    found[module] = below
                    waiting.append((module, below))
                folder = below if below.is_dir() else below.parent
                if below.is_file() and below.name != "__init__.py":
                    break
    return found


def _imports(package: str, path: Path) -> list[str]:
    try:
        return [name for name in _parsed(path, package).imports if name]
    except PluginFault:
        return []  # said where the file is loaded


def _note(path: Path) -> None:
    stamp = _stamp(path)
    with suppress(PluginFault):
        _seen[str(path)] = (*stamp, _digest_of(path))


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
    stamp = _stamp(path)
    source = _parsed(path, module if path.name == "__init__.py" else module.rpartition(".")[0])
    if path.is_file():
        _seen[str(path)] = (*stamp, source.digest)
    return source


def _parsed(path: Path, package: str) -> _Source:
    """Return the digest of a file, and what it imports, as a module of ``package``."""
    content = b"" if path.is_dir() else _bytes(path)
    if path.suffix != ".py":
        return _Source(blake2b(content, digest_size=16).hexdigest(), ())
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise PluginFault(f"File {path} is no Python: {error}.") from error
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
        for owner in _owners():
            if owner.has(package):
                return owner
        return cls(frozenset({package}), None)

    @classmethod
    @cache
    def by(cls, distribution: metadata.Distribution) -> _Owner:
        tops = {point.module.partition(".")[0] for point in distribution.entry_points}
        tops |= set((distribution.read_text("top_level.txt") or "").split())
        tops |= {file.parts[0].removesuffix(".py") for file in distribution.files or () if file.suffix == ".py"}
        return cls(frozenset(tops - {"..", "__pycache__"}), _editable(distribution))


@cache
def _owners() -> tuple[_Owner, ...]:
    return tuple(_Owner.by(distribution) for distribution in _distributions())


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
