"""Gate ``certificate``: what is proven right is never answered wrongly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.analysis.gates.evidence import RowEvidence, told
from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import Replicate, Setting
from bench.analysis.records import outcome

_NAMED = 4  # images of each attack


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return certificate


def certificate(evidence: RowEvidence) -> Verdict:
    """Judge whether every certified image stands, without attack and under every one.

    Notes
    -----
    There is no margin: a certificate says of an image that no x' within the threat is answered wrongly, so one that is
    refutes it, and what it says of other images cannot be believed either. Where there are several triples of seeds,
    each deployment is held to the certificate of its own.
    """
    parts = [part for part in evidence.row.replicates if part.certificate and part.certificate["status"] == "ok"]
    certified, images, broken = 0, 0, 0
    found: dict[str, list[int]] = {}
    for part in parts:
        wrong = _wrong(part, evidence.row.setting)
        flags = outcome(part.certificate or {}, "certified")
        certified, images = certified + int(np.count_nonzero(flags)), images + len(flags)
        broken += len({image for numbers in wrong.values() for image in numbers})
        for name, numbers in wrong.items():
            found.setdefault(name, []).extend(numbers)
    if not certified:
        return Verdict("certificate", "n/a", "No image is certified." if parts else "There is no certificate.")
    if not broken:
        text = f"None of {certified} certified of {images} images is answered wrongly, clean or attacked."
        return Verdict("certificate", "pass", text)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    where = told(f"{name} has image {_listed(numbers)}" for name, numbers in ordered)
    return Verdict("certificate", "fail", f"{broken} of {certified} certified images are answered wrongly: {where}.")


def _wrong(part: Replicate, setting: Setting) -> dict[str, list[int]]:
    """Return of each attack the numbers of certified images that it has answered wrongly, in any draw."""
    clean = part.clean_candidate()
    if clean is None or part.certificate is None:
        return {}
    proven = outcome(part.certificate, "certified") > 0
    wrong: dict[str, list[int]] = {}
    for candidate in (clean, *part.candidates(setting, clean.scored)):
        n = min(len(proven), len(candidate.scored))
        numbers = np.flatnonzero(proven[:n] & (candidate.scored[:n] < 1.0)).tolist()
        if numbers:
            name = f"{candidate.attack} ({candidate.knowledge})" if candidate.attack else "no attack"
            wrong[name] = numbers
    return wrong


def _listed(numbers: list[int]) -> str:
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return ", ".join(map(str, numbers[:_NAMED])) + more
