"""What ``truth`` says of its result, and whether what is asked of it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench_qusecnets.distances import WORST, Distance
from bench_qusecnets.exact import ImageTruth
from bench_qusecnets.progress import Progress


@dataclass(frozen=True)
class Answer:
    """Something that is asked of the result, and what came."""

    text: str
    holds: bool


def answers(
    truths: Sequence[ImageTruth],
    compared: Sequence[Distance],
    took: float,
    *,
    solved: float | None,
    distance: float | None,
    minutes: float | None,
) -> list[Answer]:
    """Return what holds of what is asked; that no attack broke what is proven is asked always.

    Parameters
    ----------
    took : minutes by the clock
    solved, distance, minutes : at least so many percent, at most so many points and minutes; None asks nothing. Of
        several budgets the one whose adaptive worst case is nearest to the truth answers
    """
    impossible = sum(line.impossible for line in compared)
    found = [Answer(f"no attack breaks what is proven: {impossible} outcomes of attacks do", impossible == 0)]
    if solved is not None:
        share = 100 * sum(truth.verdict != "open" for truth in truths) / len(truths)
        found.append(Answer(f"at least {solved:g} % of the images are solved: {share:.1f} %", share >= solved))
    if distance is not None:
        adaptive = (WORST, "adaptive")
        worst = [line for line in compared if (line.attack, line.knowledge) == adaptive and line.images]
        strongest = min(worst, key=lambda line: line.points, default=None)
        said = f"{strongest.points:.1f} points, {strongest.budget}" if strongest else "no adaptive attack was recorded"
        text = f"the adaptive worst case is at most {distance:g} points from the truth: {said}"
        found.append(Answer(text, strongest is not None and strongest.points <= distance))
    if minutes is not None:
        text = f"at most {minutes:g} minutes by the clock: {took:.1f}, of all attempts"
        found.append(Answer(text, took <= minutes))
    return found


def report(
    asked: Mapping[str, object],
    command: str,
    truths: Sequence[ImageTruth],
    compared: Sequence[Distance],
    answered: Sequence[Answer],
    progress: Progress,
) -> str:
    """Return the result as Markdown."""
    count = len(truths)
    verdicts = [truth.verdict for truth in truths]
    robust, open_ = verdicts.count("robust"), verdicts.count("open")
    by = {how: sum(t.verdict == "broken" and t.by == how for t in truths) for how in ("clean", "attack", "search")}
    low, high = 100 * robust / count, 100 * (robust + open_) / count
    exact = f"**{low:.1f} %**" if not open_ else f"between **{low:.1f} %** and **{high:.1f} %**, width {high - low:.1f}"
    lines = [
        f"# Exact robust accuracy of {asked['defense']} on {asked['dataset']}",
        "",
        f"{asked['model']}, Linf {asked['epsilon']:g} on the 8-bit grid, the first {count} test images. Made by",
        "",
        f"    $ {command}",
        "",
        f"Robust accuracy is {exact}: {robust} images are proven robust, {count - robust - open_} are broken "
        f"({by['clean']} wrong when clean, {by['attack']} by the code-space attack, {by['search']} by the search), "
        f"{open_} are open. Solved: {100 * (count - open_) / count:.1f} %.",
        "",
        f"It took {progress.seconds / 60:.1f} minutes of one core, {progress.minutes:.1f} minutes by the clock. Each "
        "image's verdict is in `images.csv`.",
        "",
        "What is asked:",
        "",
        *(f"- {answer.text}: **{'holds' if answer.holds else 'does not hold'}**" for answer in answered),
    ]
    if compared:
        lines += [
            "",
            "Each attack on the solved images: how far above the exact value it stays, the mean over its seeds; how "
            "many broken images it misses under all seeds, and how many proven ones it breaks under any (impossible, "
            "unless a proof is wrong). Worst cases are the leaderboard's.",
            "",
            "| attack | knowledge | budget | images | under attack | exact | distance | missed | impossible |",
            "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {d.attack} | {d.knowledge} | {d.budget} | {d.images} | {100 * d.attacked:.1f} % | "
            f"{100 * d.exact:.1f} % | {d.points:.1f} points | {d.missed} | {d.impossible} |"
            for d in compared
        ]
    return "\n".join(lines) + "\n"


def table(truths: Sequence[ImageTruth]) -> str:
    """Return each image's verdict as CSV."""
    names = ("image", "verdict", "by", "free", "nodes", "leaves")
    rows = [",".join(str(getattr(truth, name)) for name in names) for truth in truths]
    return "\n".join([",".join(names), *rows]) + "\n"
