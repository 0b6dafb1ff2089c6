"""Compare this suite's attacks with Foolbox's and torchattacks' and write reports/crosscheck: ``make crosscheck``.

Run by the interpreter of .venv/crosscheck with tests/ on the path. What each side finds is kept in
reports/.runs/crosscheck, so an interrupted comparison goes on. Exits with 1 where two sides differ that must agree, and
with 3 where they were not shown to.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from . import attacks
from .agreement import agreement
from .contests import Side, contests
from .table import Row, write
from .victims import Victim, prepare, victims

ROOT = Path(__file__).parents[2]
WORK, REPORT = ROOT / "reports" / ".runs" / "crosscheck", ROOT / "reports" / "crosscheck"
IMAGES = 2000

Name = tuple[str, str]
"""Subject and defense of a victim."""


@cache
def _victims(images: int) -> dict[Name, Victim]:
    return {(victim.subject, victim.defense): victim for victim in victims(WORK / "store", images)}


def outcome(name: Name, side: Side, norm: str, images: int) -> Path:
    """Return the file of which images one side leaves standing on one deployment; find out where it is not there."""
    torch.set_num_threads(1)
    victim = _victims(images)[name]
    contest = next(each for each in contests() if side in (each.ours, each.theirs) and each.norm == norm)
    threat = contest.threat(*name)
    path = WORK / "outcomes" / f"{_key(victim, side, threat, images)}.npz"
    if path.is_file():
        return path
    rows = attacks.right(victim)
    rows = rows[rows < round(side.share * images)]
    if side.library == "suite":
        found = attacks.by_suite(victim, rows, side.attack, threat, side.seed)
    else:
        found = attacks.by_peer(victim, rows, attacks.PEERS[side.library, side.attack], threat, side.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.npz")
    np.savez(temporary, stands=attacks.stands(victim, rows, found, threat).numpy())
    temporary.replace(path)
    return path


def _key(victim: Victim, side: Side, threat: object, images: int) -> str:
    ours = side.library == "suite"
    by = [attacks.code_of(side.attack), attacks.precision_of(side.attack)] if ours else version(side.library)
    files = [Path(__file__).with_name(name).read_bytes() for name in ("attacks.py", "victims.py")]
    code = hashlib.sha256(b"".join(files)).hexdigest()
    named = [victim.subject, victim.defense, victim.fit, str(side), str(threat), images, by, code, torch.__version__]
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:32]


def main(arguments: list[str]) -> int:
    """Find out what is missing, write the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="crosscheck", description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES, help="test images (default %(default)s)")
    parser.add_argument("--only", default="", help="comparisons whose title has this in it; writes no report")
    parser.add_argument("--out", type=Path, default=REPORT, help="folder of the report")
    given = parser.parse_args(arguments)
    prepare(WORK / "store")
    chosen = [contest for contest in contests() if given.only in contest.title]
    names = list(_victims(given.images))
    jobs = {
        (name, side, c.norm) for c in chosen for side in (c.ours, c.theirs) for name in names if name[0] in c.subjects
    }
    order = sorted(jobs, key=lambda job: ("cw" not in job[1].attack, str(job)))  # the longest first
    files: dict[tuple[Name, Side, str], Path] = {}
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=fresh) as pool:
        running = {pool.submit(outcome, *job, given.images): job for job in order}
        for done in as_completed(running):
            name, side, norm = running[done]
            files[name, side, norm] = done.result()
            said = f"{len(files)}/{len(running)} {', '.join(name)}: {side.library} {side.attack}"
            print(said, file=sys.stderr, flush=True)
    rows = []
    for name in names:
        for contest in (each for each in chosen if name[0] in each.subjects):
            share = min(contest.ours.share, contest.theirs.share)
            sides = [files[name, side, contest.norm] for side in (contest.ours, contest.theirs)]
            stands = [np.load(file)["stands"][: round(share * given.images)] for file in sides]
            rows.append(Row(*name, contest, agreement(*stands)))
    for row in rows:
        print(row.line())
    if not given.only:
        write(rows, given.out, images=given.images)
    return exit_code(rows)


def exit_code(rows: Sequence[Row]) -> int:
    """Return 1 where two sides differ that must agree, 3 where they were not shown to, else 0."""
    verdicts = {row.found.verdict for row in rows if row.contest.decides}
    return 1 if "different" in verdicts else 3 if "undecided" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
