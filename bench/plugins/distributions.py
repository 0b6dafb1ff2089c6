"""What is installed: the distributions that offer plugins, and whether a requirement is met."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Final

SUITE: Final = "edge-defense-bench"


def offered(group: str) -> list[metadata.EntryPoint]:
    """Return the entry points of ``group``: the suite's own first, then by distribution and name.

    The suite's own come first so that nobody's plugin can take one of its names.
    """

    def order(point: metadata.EntryPoint) -> tuple[bool, str, str]:
        distribution, _ = origin(point)
        return (distribution != SUITE, distribution, point.name)

    return sorted(metadata.entry_points(group=group), key=order)


def origin(point: metadata.EntryPoint) -> tuple[str, str]:
    """Return the name and the version of the distribution that an entry point comes from."""
    found = point.dist
    return (found.name, found.version) if found is not None else ("", "")


@cache
def itself() -> tuple[str, str]:
    """Return the name and the version of the distribution that the core comes from."""
    return SUITE, metadata.version(SUITE)


@cache
def unmet(requirement: str) -> str:
    """Return why ``requirement`` is not met, in words, or "" where it is.

    Raises
    ------
    ValueError : not a requirement such as "cma>=3"
    """
    from packaging.requirements import Requirement  # 30 ms that only entries with requirements pay

    wanted = Requirement(requirement)
    if wanted.marker is not None and not wanted.marker.evaluate():
        return ""
    plain = f"{wanted.name}{wanted.specifier}"
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"Needs {plain}, which is not installed. Run: pip install '{plain}'."
    if wanted.specifier.contains(version, prereleases=True):
        return ""
    return f"Needs {plain}; found {version}. Run: pip install '{plain}'."
