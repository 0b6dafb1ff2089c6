"""Flags that several verbs share; a TOML file may say the same under the same names."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from bench.errors import UnknownName, UsageError
from bench.plugins.registry import Kind

F = TypeVar("F", bound=Callable[..., Any])


def _names(kind: Kind) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from bench.plugins.registry import discover

        before, _, last = incomplete.rpartition(",")
        prefix = before + "," if before else ""
        entries = {name: found.entry for name, found in discover().of(kind).items()}
        families = {entry.family for entry in entries.values() if entry.family}
        return [CompletionItem(prefix + n) for n in sorted({*entries, *families, "all"}) if n.startswith(last)]

    return complete


def _read_config(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f'Config {path}: {error}. It is TOML, such as: defenses = "superiot,qusec"') from None
    from bench.cli.run import command as run

    own, known = _flags(ctx.command), _flags(run) | _flags(ctx.command)
    defaults: dict[str, Any] = {}
    for name, value in values.items():
        flag = name.replace("_", "-")
        if flag not in known:
            raise UnknownName("setting", name, known, f"in {path}")
        key, switch, means = known[flag]
        if isinstance(value, dict):
            raise UsageError(f"Config {path}: {name!r} is a table; expected the value of the flag --{flag}.")
        if switch and not isinstance(value, bool):
            raise UsageError(f"Config {path}: {name} must be true or false; got {value!r}.")
        if flag in own:  # what only a run has a use for does not keep its file from being planned
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)  # checked as a flag's is
            defaults[key] = value == means if switch else text
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    return path


def _flags(command: click.Command) -> dict[str, tuple[str, bool, bool]]:
    """Return what may stand in a config file: flag -> parameter, whether it is a switch, and what true means for it."""
    found: dict[str, tuple[str, bool, bool]] = {}
    for option in command.params:
        if isinstance(option, click.Option) and option.name and option.expose_value:
            for means, spellings in ((True, option.opts), (False, option.secondary_opts)):
                found |= {text.lstrip("-"): (option.name, option.is_flag, means) for text in spellings}
    return found


def folder(path: str | None) -> Path | None:
    """Return a folder given on the command line."""
    return Path(path).expanduser().absolute() if path else None


Options = Sequence[Callable[[F], F]]
_COMPARED: Options[Any] = [
    click.option(
        "--defenses",
        default="all",
        show_default=True,
        shell_complete=_names("defense"),
        metavar="SELECTION",
        help="Such as superiot,qusec or 'qusec-tq[levels=4]' or all,-qusec-cq; the undefended model is always in.",
    ),
    click.option(
        "--attacks",
        default="all",
        show_default=True,
        shell_complete=_names("attack"),
        metavar="SELECTION",
        help="Such as all or pgd-linf,square-linf or 'pgd-*'.",
    ),
]
PLACES: Options[Any] = [
    click.option(
        "--datasets",
        default="digits",
        show_default=True,
        shell_complete=_names("dataset"),
        metavar="SELECTION",
        help="Such as digits, mnist or imagefolder:PATH.",
    ),
    click.option(
        "--models",
        "--model",
        default="",
        shell_complete=_names("model"),
        metavar="SELECTION",
        help="Classifiers, or your own as file.py:factory.  [default: each data set's]",
    ),
    click.option(
        "--weights",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="Your weights for the one model named: .safetensors or .pt (never unpickled).",
    ),
    click.option(
        "--hardware",
        default="cpu",
        show_default=True,
        shell_complete=_names("hardware"),
        metavar="SELECTION",
        help="What cost is measured on; none for no cost.",
    ),
]
_POOL = click.option(
    "--pool",
    type=click.Choice(["test", "development"]),
    default="test",
    show_default=True,
    help="Images to attack; choose parameters on development, where no number is for publishing.",
)
_ATTACKERS: Options[Any] = [
    click.option(
        "--norm", default="", metavar="NORMS", help="linf, l2, l1, l0.  [default: all that the data set lists]"
    ),
    click.option(
        "--knowledge", default="", metavar="LEVELS", help="oblivious, black-box, white-box, adaptive.  [default: all]"
    ),
]
TERMS: Options[Any] = [
    click.option(
        "--eps",
        default="",
        metavar="RADII",
        help="Such as 8/255,0.1, or all that the data set lists.  [default: its headline]",
    ),
    click.option(
        "--budget",
        type=click.Choice(["quick", "standard"]),
        default="quick",
        show_default=True,
        help="quick for a first look; standard is the literature's setting.",
    ),
    click.option(
        "--samples",
        type=click.IntRange(min=1),
        default=None,
        help="Images; attacks are made on whole blocks, of which only these count.  [default: 64 quick, 1000 standard]",
    ),
    click.option(
        "--uncapped", is_flag=True, help="Slow attacks too get all images, not as many at most as they declare."
    ),
    click.option(
        "--seeds",
        default="0",
        show_default=True,
        metavar="LIST",
        help="Seeds of attacks and of drawn answers, such as 0,1,2.",
    ),
    click.option(
        "--eot",
        default=None,
        metavar="INTEGER|auto",
        help="Draws that an adaptive attacker averages a query; auto: as many as each deployment's noise asks for.  "
        "[default: 2 quick, 16 standard]",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16"]),
        default="auto",
        show_default=True,
        help="Of attackers' gradients; auto is bf16 where the processor multiplies in it (AMX, AVX512_BF16). Attacks "
        "of minimum norm, and what judges success, are fp32.",
    ),
    click.option(
        "--split-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Names the training pools."
    ),
    click.option("--training-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of training."),
    click.option(
        "--data-dir",
        envvar="BENCH_DATA_DIR",
        type=click.Path(file_okay=False),
        show_envvar=True,
        metavar="FOLDER",
        help="Where data sets lie.  [default: ./data]",
    ),
    click.option("--download", is_flag=True, help="Fetch data sets that are missing into --data-dir."),
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        metavar="FILE",
        help="TOML with the same settings; flags win.",
    ),
]
SELECTION: Options[Any] = [*_COMPARED, *PLACES, _POOL, *_ATTACKERS, *TERMS]
STORE = click.option(
    "--store",
    envvar="BENCH_STORE",
    type=click.Path(file_okay=False),
    show_envvar=True,
    metavar="FOLDER",
    help="Where results are kept.  [default: the user's cache folder]",
)
_EXECUTION: dict[str, dict[str, Any]] = {
    "--jobs": {"type": click.IntRange(min=1), "help": "Tasks at a time, one thread each.  [default: the cores]"},
    "--out": {
        "type": click.Path(file_okay=False),
        "metavar": "FOLDER",
        "help": "Where the report goes.  [default: reports/<date-time>, with reports/latest]",
    },
    "--html/--no-html": {"default": True, "help": "Write the HTML page."},
    "--retry": {"is_flag": True, "help": "Try tasks again that failed before."},
    "--strict": {
        "is_flag": True,
        "help": "End with exit code 3 where a row could not be ranked; L1 and L0 have no ranks.",
    },
}
EXECUTION: Options[Any] = [click.option(flag, **told) for flag, told in _EXECUTION.items()]
JOBS, RETRY = (click.option(flag, **_EXECUTION[flag]) for flag in ("--jobs", "--retry"))
# The same for verbs that execute nothing, so that a run's command is theirs with the verb changed.
OF_A_RUN: Options[Any] = [
    click.option(flag, **{**told, "expose_value": False, "help": "Of a run; ignored here."})
    for flag, told in _EXECUTION.items()
]
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def with_options(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that adds the options in the order given."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def echo_json(value: object) -> None:
    """Print a value as JSON."""
    import json

    click.echo(json.dumps(value, indent=2, default=str))
