"""A complete package of a new defense: it runs, and passes its own test, before its author writes a line."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from bench.errors import UsageError
from bench.plugins.registry import discover

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RESERVED: Final = {"all": "all defenses that are on by default", "none": "the undefended model"}


def new_defense(name: str, folder: Path) -> list[Path]:
    """Write the package of a new defense and return its files.

    Parameters
    ----------
    name : as users will type it; lower case letters and digits, joined by dashes
    folder : where the package's own folder, ``bench-defense-NAME``, is made

    Raises
    ------
    UsageError : a name that cannot be one, that another package or defense has, or a folder that is already there
    """
    package = _package(name)
    target = folder / f"bench-defense-{name}"
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} is already there, and nothing is overwritten. Choose another name or --folder.")
    words = {
        "name": name,
        "package": package,
        "distribution": target.name,
        "class_name": "".join(part.capitalize() for part in name.split("-")),
        "module": name.replace("-", "_"),
        "suite": version("edge-defense-bench"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Written beside its place and moved there whole: an interrupted call leaves no half package behind.
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as draft:
            written = _write(Path(draft) / target.name, words)
            shutil.move(Path(draft) / target.name, target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}. Choose another --folder.") from error
    return [target / path for path in written]


def _package(name: str) -> str:
    if meaning := _RESERVED.get(name):
        raise UsageError(f"{name!r} is reserved: in a selection it means {meaning}. Choose another name.")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot name a defense; expected lower case letters and digits, joined by dashes, "
            "starting with a letter, such as 'soft-median'."
        )
    package = f"bench_{name.replace('-', '_')}"
    if find_spec(package) is not None:
        raise UsageError(f"A package {package!r} is already installed. Choose another name than {name!r}.")
    _refuse_taken(name)
    return package


def _refuse_taken(name: str) -> None:
    """Raise UsageError where a selection would read the name as an entry that is there, or as a family."""
    for found in discover().of("defense").values():
        if name in (found.entry.name, found.entry.family):
            what = f"already offered by {found.distribution}" if name == found.entry.name else "a family of defenses"
            raise UsageError(f"{name!r} is {what}. Choose another name.")


def _write(target: Path, words: dict[str, str]) -> list[Path]:
    """Write every template below ``target``; in their paths, ``PACKAGE`` and ``MODULE`` stand for names."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    root = Path(str(files("bench.scaffold") / "templates" / "defense"))
    written = []
    for template in sorted(root.rglob("*.jinja")):
        relative = str(template.relative_to(root)).removesuffix(".jinja")
        path = Path(relative.replace("PACKAGE", words["package"]).replace("MODULE", words["module"]))
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        text = environment.from_string(template.read_text(encoding="utf-8")).render(words)
        (target / path).write_text(text, encoding="utf-8")
        written.append(path)
    return written
