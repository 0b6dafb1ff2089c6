"""The comparison as a CSV file and as a page."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.planning.machine import gradient_precision

from .agreement import MARGIN, Agreement, fewest
from .contests import Contest

COLUMNS = (
    "subject", "defense", "attack", "budget", "norm", "epsilon", "ours", "theirs", "images", "ours_percent",
    "theirs_percent", "difference", "low", "high", "p_equivalence", "p_same", "only_ours_breaks", "only_theirs_breaks",
    "detectable", "images_for_equivalence", "must_agree", "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One comparison on one deployment."""

    subject: str
    defense: str
    contest: Contest
    found: Agreement

    def values(self) -> tuple[object, ...]:
        """Return what stands under ``COLUMNS``; shares and differences in points."""
        f, c = self.found, self.contest
        points = [round(100 * v, 2) for v in (f.ours, f.theirs, f.ours - f.theirs, f.low, f.high)]
        return (
            self.subject, self.defense, c.title, c.budget, c.norm, self.epsilon, c.ours.attack, c.theirs.library,
            f.n, *points, float(f"{f.p:.3g}"), float(f"{f.p_same:.3g}"), f.only_ours, f.only_theirs,
            round(100 * f.detectable, 2), fewest(max(1, f.only_ours + f.only_theirs) / f.n), c.decides, f.verdict,
        )  # fmt: skip

    @property
    def epsilon(self) -> float:
        """Return the radius of the ball."""
        return self.contest.threat(self.subject, self.defense).epsilon

    def cells(self) -> tuple[str, ...]:
        """Return the row of the page."""
        f, c = self.found, self.contest
        other = "itself" if c.theirs.library == "suite" else c.theirs.library
        verdict = f"**{f.verdict}**" if c.decides else f"({f.verdict})"
        return (
            self.subject, self.defense, c.title, f"{c.norm} {_radius(self.epsilon)}", other, str(f.n),
            f"{100 * f.ours:.1f}", f"{100 * f.theirs:.1f}",
            f"{100 * (f.ours - f.theirs):+.1f} [{100 * f.low:+.1f}, {100 * f.high:+.1f}]", f"{f.p:.2g}",
            f"{f.only_ours}", f"{f.only_theirs}", f"{100 * f.detectable:.1f}", verdict,
        )  # fmt: skip

    def line(self) -> str:
        """Return the row as a terminal shows it."""
        return "  ".join(self.cells())


def _radius(epsilon: float) -> str:
    """Return a radius, in steps of the 8-bit grid where it is some."""
    steps = 255 * epsilon
    return f"{steps:.0f}/255" if math.isclose(steps, round(steps)) else f"{epsilon:g}"


HEAD = (
    "subject", "defense", "attack", "threat", "against", "images", "ours %", "theirs %", "difference [90 %]",
    "p (TOST)", "only ours breaks", "only theirs breaks", "detectable", "verdict",
)  # fmt: skip
TEXT = """# Cross-check against Foolbox and torchattacks

By `make crosscheck`, on the first {images} test images of each data set under PGD, and as many as the table says under
other attacks, by networks that are undefended, behind Constant Quantization, and adversarially trained. This suite's
attacks ask its fast surface, with gradients in {precision}, of attacks of minimum norm in float32; Foolbox {foolbox}
and torchattacks {torchattacks} get the same network written anew, in float32, with the same straight-through gradient
of what the device sends. All images that come back are judged alike: by the deployment itself, in float32, inside the
ball.

Shares are of images that stand: answered rightly without and with the attack. *Equivalent*: two one-sided tests show
that the paired difference is smaller than {margin:g} points (p < .05; the 90 % interval lies inside the margin). Else
*different* where McNemar's test tells the two apart (p < .05), *undecided* where it does not. *Detectable* is the
difference in points that so many images show with power .8. Rows in parentheses need not agree: they show what
another seed changes, and an attack of ART that is built otherwise.

{table}

Budgets, the same on both sides but where a side is named:

{budgets}

Foolbox has no APGD. torchattacks' C&W takes one constant and no search for it. Its tanh space never moves values of
exactly 0 and 1, so it is given images 1e-6 inside the box; its loss, which takes 0 for the largest wrong logit where
all are negative, is put right. It and Foolbox's make all their steps: each would end once the sum over a batch rises.
"""


def write(rows: list[Row], folder: Path, *, images: int) -> None:
    """Write crosscheck.csv and README.md into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "crosscheck.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(row.values() for row in rows)
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells() for row in rows)]
    budgets = {row.contest.title: row.contest.budget for row in rows}
    page = TEXT.format(
        images=images,
        precision={"bf16": "bfloat16", "fp32": "float32"}[gradient_precision("auto")],
        margin=100 * MARGIN,
        foolbox=version("foolbox"),
        torchattacks=version("torchattacks"),
        table="\n".join(f"| {' | '.join(line)} |" for line in lines),
        budgets="\n".join(f"- {title}: {budget}" for title, budget in budgets.items()),
    )
    (folder / "README.md").write_text(page)
