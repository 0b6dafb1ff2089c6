"""What is looked at, before anything is planned, of a network and weights that a user brings: nothing of it is run."""

from __future__ import annotations

import ast
import symtable
import tokenize
import warnings
from functools import cache
from pathlib import Path
from typing import Final

from bench.errors import UsageError

# A file that uses one of these may define more than its text shows; whether it does is seen where it is run.
_HIDDEN: Final = frozenset({"__getattr__", "exec", "globals", "locals", "setattr", "vars"})


def is_own_model(text: str) -> bool:
    """Return whether a selection of models is a user's own: "file.py:factory"."""
    return text.count(":") == 1 and ".py:" in text


def check_own_model(text: str) -> None:
    """Raise UsageError where the file of "file.py:factory" is not there, is no Python, or has no such factory."""
    place, _, name = text.rpartition(":")
    path = Path(place).expanduser()
    if not path.is_file():
        raise UsageError(f"No file {path} for model {text!r}. Check the path.")
    try:
        with tokenize.open(path) as file:
            source = file.read()
        tree = ast.parse(source, str(path))
        symbols = symtable.symtable(source, str(path), "exec").get_symbols()
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"File {path} cannot be read as Python: {error}.") from error
    bound = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported() or s.is_namespace()}
    if name not in bound and not _may_hide(tree):
        defined = [s.get_name() for s in symbols if s.is_namespace()]
        raise UsageError(
            f"File {path} has no function or class {name!r}; it has {', '.join(defined) or 'none'}. "
            "Write FILE.py:FACTORY, such as nets.py:make_net."
        )


def _may_hide(tree: ast.Module) -> bool:
    def hides(node: ast.AST) -> bool:
        names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
        called = getattr(node, "id", "") if isinstance(node, ast.Name) else getattr(node, "name", "")
        return "*" in names or isinstance(node, ast.Global) or called in _HIDDEN

    return any(map(hides, ast.walk(tree)))


def check_weights(path: Path) -> None:
    """Raise UsageError where a file of weights cannot be read; whether it fits is seen once the network is built."""
    status = path.stat() if path.exists() else None
    _check_bytes(path, (status.st_mtime_ns, status.st_size) if status else None)


@cache
def _check_bytes(path: Path, stamp: tuple[int, int] | None) -> None:
    """Read a file once in a process, as long as its stamp stays the same: a run is planned in several waves."""
    from bench.data.weights import load_weights  # torch, for one second, that only a user's own weights cost

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, on pickles that are refused in our own words
        load_weights(path)
