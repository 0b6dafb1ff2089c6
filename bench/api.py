"""The suite from Python: the same calls that the command line makes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UnknownName, UsageError
from bench.planning.specification import (
    KNOWLEDGE,
    NORMS,
    POOLS,
    PRECISIONS,
    RunSpecification,
    parse_averaged,
    parse_epsilons,
    parse_seeds,
    parse_words,
)

if TYPE_CHECKING:
    import pandas as pd

    from bench.analysis.audit import Audit
    from bench.data.cards import FitCard
    from bench.deployment.defense import Progress
    from bench.execution.run import Run
    from bench.planning.plan import Plan
    from bench.plugins.selection import Chosen


def specification(**flags: Any) -> RunSpecification:
    """Return a run specification from the flags of ``bench run`` (as texts or Python values), each checked.

    Raises
    ------
    UsageError : a value that does not parse
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    as_text = {name: ",".join(map(str, v)) if isinstance(v, (list, tuple)) else str(v) for name, v in given.items()}
    if "eps" in given:
        given["epsilons"] = parse_epsilons(as_text["eps"])
        del given["eps"]
    if "norm" in given:
        given["norms"] = parse_words(as_text["norm"], "norm", NORMS)
        del given["norm"]
    if "knowledge" in given:
        given["knowledge"] = parse_words(as_text["knowledge"], "knowledge level", KNOWLEDGE)
    if "seeds" in given:
        given["seeds"] = parse_seeds(as_text["seeds"])
    if "eot" in given:
        given["eot"] = parse_averaged(as_text["eot"])
    for name in ("defenses", "attacks", "datasets", "models", "hardware"):
        if name in given:
            given[name] = as_text[name]
    for name in ("weights", "data_dir"):
        if name in given:
            given[name] = Path(given[name]).expanduser().absolute()
    fields = RunSpecification.__dataclass_fields__
    for name in given:
        if name not in fields:
            raise UnknownName("setting", name, fields)
    if given.get("budget", "quick") not in ("quick", "standard"):
        raise UnknownName("budget", str(given["budget"]), ("quick", "standard"))
    if given.get("pool", "test") not in POOLS:
        raise UnknownName("pool", str(given["pool"]), POOLS)
    if given.get("precision", "auto") not in PRECISIONS:
        raise UnknownName("precision", str(given["precision"]), PRECISIONS)
    if int(given.get("samples", 1)) < 1:
        raise UsageError(f"samples is a number of images; got {given['samples']!r}.")
    return RunSpecification(**given)


def run(
    *, store: str | Path | None = None, out: str | Path | None = None, jobs: int = 0, quiet: bool = False, **flags: Any
) -> pd.DataFrame:
    """Run a comparison and return its leaderboard.

    Parameters
    ----------
    flags : those of ``bench run``, with underscores: ``defenses="superiot,qusec", attacks="pgd-linf", samples=256``
    store : folder of results; default the user's cache
    out : folder for the report; nothing is written where it is None

    Returns
    -------
    DataFrame : one row a defense within each data set, classifier and threat

    Examples
    --------
    >>> import bench
    >>> board = bench.run(defenses="qusec-cq", attacks="fgsm", hardware="none", quiet=True)  # doctest: +SKIP
    """
    from bench.analysis import leaderboard
    from bench.execution.progress import Silent, watcher

    ended = execute(specification(**flags), store=store, jobs=jobs, watcher=Silent() if quiet else watcher())
    if out is not None:
        from bench.reporting import write

        write(ended.records, Path(out), command=_call(flags), cache=open_store(store).root / "cache")
    return leaderboard(ended.records)


def audit(
    defense: str,
    *,
    store: str | Path | None = None,
    out: str | Path | None = None,
    jobs: int = 0,
    quiet: bool = False,
    **flags: Any,
) -> Audit:
    """Attack one defense by the whole ladder and return the verdict with all that stands behind it.

    Parameters
    ----------
    defense : with its parameters, such as ``"qusec-cq[levels=2]"``
    out : folder for the verdict page; nothing is written where it is None
    flags : those of ``bench audit``, with underscores

    Raises
    ------
    UsageError : no defense of that name, or several

    Examples
    --------
    >>> import bench
    >>> told = bench.audit("qusec-cq[levels=2]", hardware="none", quiet=True)  # doctest: +SKIP
    >>> told.settings[0].verdict  # doctest: +SKIP
    'broken'
    """
    from bench.execution.progress import Silent, watcher

    spec = audit_specification(defense, **flags)
    ended = execute(spec, store=store, jobs=jobs, watcher=Silent() if quiet else watcher())
    found = audit_of(ended.records, defense)
    if out is not None:
        from bench.reporting.verdict import write

        told = ", ".join([repr(defense), *(f"{name}={value!r}" for name, value in flags.items())])
        write(found, ended.records, Path(out), command=f"bench.audit({told})", cache=open_store(store).root / "cache")
    return found


def audit_specification(defense: str, **flags: Any) -> RunSpecification:
    """Return what an audit of a defense runs: the attacks of the ladder and the norm "linf", unless others are named.

    Raises
    ------
    UsageError : no defense of that name, or several; a value that does not parse
    """
    from bench.planning.ladder import ladder
    from bench.plugins.registry import discover

    _audited(defense)
    given = {**flags, "defenses": defense, "norm": flags.get("norm") or "linf"}
    norms = specification(norm=given["norm"]).norms
    return specification(**given | {"attacks": flags.get("attacks") or ladder(discover(), norms).selection})


def audit_of(records: Sequence[dict[str, Any]], defense: str) -> Audit:
    """Return the audit of a defense, given with its parameters, from the records of a run."""
    from bench.analysis.audit import audit as audit_records
    from bench.planning.ladder import ladder, rungs_of_their_own
    from bench.plugins.registry import discover

    chosen = _audited(defense)
    return audit_records(
        records,
        chosen.label,
        source=chosen.found.entry.source,
        own_rungs=rungs_of_their_own(discover(), chosen.found.entry.name),
        left_out=ladder(discover()).left_out,
    )


def _audited(defense: str) -> Chosen:
    from bench.plugins.registry import discover
    from bench.plugins.selection import select

    chosen, _ = select(discover(), "defense", defense)
    if len(chosen) != 1:
        which = f"; {defense!r} selects {', '.join(one.label for one in chosen) or 'none'}"
        raise UsageError(f"An audit is of one defense{which}. Name one, with its parameters.")
    return chosen[0]


def execute(
    spec: RunSpecification,
    *,
    store: str | Path | None = None,
    jobs: int = 0,
    watcher: Any,
    command: str = "",
    retry: bool = False,
) -> Run:
    """Execute a specification and return its records."""
    from bench.execution.run import execute as execute_run
    from bench.plugins.registry import discover

    return execute_run(
        discover(),
        open_store(store),
        spec,
        jobs=jobs,
        watcher=watcher,
        command=command or " ".join(sys.argv),
        retry=retry,
    )


def plan(*, store: str | Path | None = None, **flags: Any) -> Plan:
    """Return what a run would consist of; executes nothing.

    Notes
    -----
    Where a data set was not read or a defense not fitted yet (``settled`` is False), usual traits are supposed for it:
    the cells are those that will come unless it differs, under keys that will be others.
    """
    from bench.planning.plan import Planner
    from bench.planning.supposition import Supposing
    from bench.plugins.registry import discover

    supposing = Supposing(open_store(store))
    made = Planner(discover(), supposing, specification(**flags)).plan()
    made.settled = not supposing.supposed
    return made


def fit(
    defense: str,
    out: str | Path,
    *,
    store: str | Path | None = None,
    device: str = "cpu",
    command: str = "",
    progress: Progress = lambda share, text: None,
    **flags: Any,
) -> FitCard:
    """Fit one defense on one data set and classifier and write what it learned, with its card, into ``out``.

    Parameters
    ----------
    flags : those of ``bench fit``, with underscores

    Raises
    ------
    UsageError : several of one are named, the defense learns nothing, or there is no such device
    """
    import torch

    from bench.execution.fitting import fit as fit_subject
    from bench.execution.fitting import subject_of
    from bench.plugins.registry import discover

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"Device {device!r} cannot be used: {str(error).splitlines()[0]} Try --device cpu.") from error
    opened = open_store(store)
    subject = subject_of(discover(), specification(defenses=defense, attacks="none", hardware="none", **flags), opened)
    return fit_subject(subject, opened, Path(out), device=device, command=command, progress=progress)


def open_store(root: str | Path | None = None) -> Any:
    """Return the store at ``root``, by default ``BENCH_STORE`` or the user's cache folder."""
    from bench.store import Store, default_root

    return Store(Path(root) if root else default_root())


def existing_store(root: str | Path | None = None) -> Any:
    """Return the store at ``root``, as ``open_store`` does, to be read; none is made.

    Raises
    ------
    UsageError : there is none
    """
    from bench.store import Store, default_root

    return Store(Path(root) if root else default_root(), writable=False)


def report(sources: Sequence[str | Path], out: str | Path, *, html: bool = True, command: str = "") -> dict[str, Path]:
    """Write one report of the records of several stores, folders or files.

    Returns
    -------
    dict from kind ("html", "leaderboard.csv", ...) to file
    """
    from bench.reporting import write

    return write(load(sources), Path(out), html=html, command=command or " ".join(sys.argv))


def diff(before: str | Path, after: str | Path) -> pd.DataFrame:
    """Return what moved between two runs, by how much, and whether it is noise.

    Parameters
    ----------
    before, after : A and B: a store, a report's folder or a file of records each

    Returns
    -------
    DataFrame : one row a figure of a defense in a setting; the columns are described in docs/reference/records.md

    Raises
    ------
    UsageError : one of them has no records, or records that cannot be read

    Examples
    --------
    >>> import bench
    >>> moved = bench.diff("reports/before", "reports/after")  # doctest: +SKIP
    >>> moved[moved["verdict"] == "lower"]  # doctest: +SKIP
    """
    from bench.analysis.differences import differences

    sides = []
    for source in (before, after):
        sides.append(load([source]))
        if not sides[-1]:
            raise UsageError(f"No records in {source}. Name a report's folder, a records.jsonl or a store.")
    return differences(*sides)


def load(sources: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Return the merged records of stores, report folders and record files, validated as a stranger's."""
    from bench.analysis.generations import merge

    return merge(*(_records_of(Path(source)) for source in sources))


def verdicts(
    known: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]
) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Return what gates say of records, and of the rows that they stand in.

    Parameters
    ----------
    known : every record that rows are made of, such as a store's

    Returns
    -------
    dict : run key -> (where, verdict), the worst first; where is "cell" or "row"
    """
    from bench.analysis.gates.verdict import SEVERITY
    from bench.analysis.groups import rows
    from bench.analysis.scrutiny import asked_rows, row_verdicts

    found: dict[str, list[tuple[str, dict[str, str]]]] = {
        record["run_key"]: [("cell", gate) for gate in record.get("gates") or []] for record in records
    }
    for evidence in asked_rows(rows(known)):
        inside = [r["run_key"] for r in evidence.row.records if r["run_key"] in found and r["kind"] == "attack"]
        if inside:
            said = [("row", verdict.as_dict()) for verdict in row_verdicts(evidence)]
            for run_key in inside:
                found[run_key] += said
    for said in found.values():
        said.sort(key=lambda one: SEVERITY.index(one[1]["outcome"]))
    return found


def _records_of(source: Path) -> list[dict[str, Any]]:
    from bench.analysis.records import load as load_records
    from bench.analysis.records import validate
    from bench.store import Store

    if (source / "records").is_dir():  # a store, rather than a report's folder
        return [validate(record, str(source)) for record in Store(source, writable=False).records()]
    return load_records(source)


def _call(flags: dict[str, Any]) -> str:
    return f"bench.run({', '.join(f'{name}={value!r}' for name, value in flags.items())})"
