from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.certificate import certificate

CQ = "qusec-cq[levels=2]"


@pytest.fixture
def proof(made: Any) -> Any:
    """Return a function from flags to the record of a certificate of the usual setting."""

    def record(certified: list[int], *, epsilon: float = 0.3, status: str = "ok", **more: Any) -> dict[str, Any]:
        told = made.base("certificate", CQ, n=len(certified), **more)
        told |= {
            "certificate": "somewhere:certify",
            "threat": {"norm": "linf", "epsilon": epsilon, "domain": "uint8", "targeted": False},
            "status": status,
            "cell_id": made.name_of("certificate", epsilon, told["seeds"]),
            "run_key": made.name_of("certificate-run", epsilon, told["seeds"]),
        }
        return made.with_outcomes(told, certified=np.array(certified, dtype=np.uint8))

    return record


def records(made: Any, left: list[int], clean: tuple[int, ...] | None = None, **more: Any) -> list[dict[str, Any]]:
    return [made.clean_record(CQ, clean or [1] * len(left), **more), made.attack_record(CQ, "pgd", left, **more)]


def test_a_sound_certificate_passes_whatever_else_is_broken(made: Any, row_of: Any, proof: Any) -> None:
    verdict = certificate(row_of([*records(made, [1, 0, 0, 1]), proof([1, 0, 0, 0])], CQ))
    assert verdict.outcome == "pass"
    assert verdict.evidence == "None of 1 certified of 4 images is answered wrongly, clean or attacked."


def test_one_certified_image_that_an_attack_breaks_fails_and_is_named(made: Any, row_of: Any, proof: Any) -> None:
    verdict = certificate(row_of([*records(made, [1, 0, 1, 0]), proof([1, 1, 1, 0])], CQ))
    assert verdict.outcome == "fail"
    assert verdict.evidence == "1 of 3 certified images are answered wrongly: pgd (adaptive) has image 1."


def test_a_certified_image_that_is_wrong_without_attack_fails(made: Any, row_of: Any, proof: Any) -> None:
    row = row_of([*records(made, [1, 1, 1, 0], clean=(1, 1, 1, 0)), proof([0, 0, 0, 1])], CQ)
    verdict = certificate(row)
    assert verdict.outcome == "fail"
    assert "no attack has image 3" in verdict.evidence


def test_the_row_is_not_ranked_and_says_why(made: Any, proof: Any) -> None:
    from bench.analysis import leaderboard

    ladder = [made.attack_record(CQ, name, [1, 0]) for name in ("fgsm", "pgd", "apgd-dlr", "square")]
    sound, unsound = (
        leaderboard([made.clean_record(CQ, [1, 1]), *ladder, proof(flags)]).iloc[0] for flags in ([1, 0], [1, 1])
    )
    assert sound["status"] == "ranked"
    assert unsound["status"] == "not ranked: CERTIFICATE"
    assert "pgd (adaptive) has image 1" in unsound["reasons"]


def test_each_deployment_is_held_to_the_certificate_of_its_own_seeds(made: Any, row_of: Any, proof: Any) -> None:
    crossed = [*records(made, [1, 0]), *records(made, [0, 1], seed=1), proof([1, 0]), proof([0, 1], seed=1)]
    assert certificate(row_of(crossed, CQ)).outcome == "pass"
    swapped = [*crossed[:4], proof([0, 1]), proof([1, 0], seed=1)]
    assert certificate(row_of(swapped, CQ)).outcome == "fail"


def test_certificates_of_another_radius_and_those_that_could_not_be_made_say_nothing(
    made: Any, row_of: Any, proof: Any
) -> None:
    for other in (proof([1, 1, 1, 1], epsilon=0.1), proof([1, 1, 1, 1], status="skipped")):
        verdict = certificate(row_of([*records(made, [0, 0, 0, 0]), other], CQ))
        assert (verdict.outcome, verdict.evidence) == ("n/a", "There is no certificate.")
    assert certificate(row_of([*records(made, [0, 0, 0, 0]), proof([0, 0, 0, 0])], CQ)).outcome == "n/a"


@pytest.mark.parametrize("few_first", [True, False])
def test_of_several_certificates_that_of_the_most_images_is_judged(
    made: Any, row_of: Any, proof: Any, few_first: bool
) -> None:
    """A report of several runs may hold one of fewer images, and one that was skipped."""
    brief, skipped = proof([0, 0]), proof([0, 0, 0, 0], status="skipped")
    for number, other in enumerate((brief, skipped)):
        other |= {"run_key": f"other-{number}", "cell_id": f"{number}" * 32 if few_first else "ef"[number] * 32}
    verdict = certificate(row_of([*records(made, [1, 1, 0, 0]), proof([0, 0, 1, 0]), brief, skipped], CQ))
    assert verdict.outcome == "fail"
    assert "has image 2" in verdict.evidence


def test_a_certified_image_that_is_wrong_in_one_draw_of_many_fails(made: Any, row_of: Any, proof: Any) -> None:
    drawn = {"draws": {"select": 16, "score": 32}}
    clean, attack = (record | drawn for record in records(made, [1, 1, 1, 1]))
    made.with_outcomes(clean, clean_correct=np.ones(4), selected=np.full(4, 16), scored=np.full(4, 32))
    attack = made.attack_record(CQ, "pgd", [32, 31, 0, 0], selected=np.array([16, 16, 0, 0])) | drawn
    verdict = certificate(row_of([clean, attack, proof([1, 1, 0, 0])], CQ))
    assert verdict.outcome == "fail"
    assert "pgd (adaptive) has image 1" in verdict.evidence


def test_refuted_images_of_all_seeds_are_counted(made: Any, row_of: Any, proof: Any) -> None:
    both = [*records(made, [0, 0]), *records(made, [0, 1], seed=1), proof([1, 1]), proof([1, 1], seed=1)]
    assert certificate(row_of(both, CQ)).evidence.startswith("3 of 4 certified images")
