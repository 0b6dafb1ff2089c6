"""What a record counts as right, of blocks whose labels are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.analysis.records import decode_array
from bench.execution.assembly import Assembler
from bench.execution.judging import Judges
from bench.planning.cell import Cell
from bench.store import keys as names
from bench.tasks.outcome import REJECTED

Y = np.array([0, 1, 2, 3, 0, 1])
TALLY = {"asked": 1, "starts": 7}
INSPECTED = {"facts": {}, "difference": 0.0, "derivatives": {}, "surrogates": {}, "noise": {}}


def answered(*draws: list[int], select: list[list[int]] | None = None, **more: Any) -> Any:
    score = np.array(draws, np.int16)
    tensors = {"score": score, "select": score if select is None else np.array(select, np.int16)}
    arrays = {name: np.array(array) for name, array in more.items()}
    return SimpleNamespace(tensors=tensors | arrays, meta={"seconds": 1.0, "refuses": False})


def attacked(*draws: list[int], **more: Any) -> Any:
    count = len(draws[0])
    return answered(*draws, **{"distance": np.full(count, 0.1), "inside": np.ones(count, np.uint8)} | more)


def crafted(count: int, **more: Any) -> Any:
    tensors = {"attacked": np.ones(count, np.uint8), "fooling": np.zeros(count, np.uint8)} | more
    meta = {"seconds": 2.0, "forward": 3, "gradient": 4, "tally": TALLY, "path": {"lost": 1}, "repeated": {"images": 1}}
    return SimpleNamespace(tensors=tensors, meta=meta | {"notes": {"found": 2, "way": "far"}, "surface": {}})


def record(
    kind: str,
    blocks: dict[str, list[Any]],
    *,
    samples: int = 6,
    knowledge: str = "adaptive",
    randomised: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Return what is assembled of blocks of answers, clean ones and crafted images."""
    objects: dict[str, Any] = {"labels": SimpleNamespace(tensors={"y": Y})}
    objects |= {"fit": SimpleNamespace(meta={}), "inspect": SimpleNamespace(meta=INSPECTED)}
    objects |= {f"{name}-{n}": each for name, every in blocks.items() for n, each in enumerate(every)}
    keys = {name: tuple(f"{name}-{n}" for n in range(len(every))) for name, every in blocks.items()}
    store: Any = SimpleNamespace(read=objects.__getitem__, meta=lambda key: objects[key].meta)
    asked = {
        "samples": samples,
        "knowledge": knowledge,
        "attack": {"core": ""},
        "defense": {"randomised": randomised},
    }
    cell = Cell(
        kind=kind, asked=asked, cell_id="", run_key="", labels="labels", fit="fit", inspect="inspect",
        **{"clean": keys.get("evaluations", ()), **keys, **more},
    )  # fmt: skip
    return Assembler(store, "", Judges(())).record(cell, {})


def told(found: dict[str, Any], name: str) -> list[Any]:
    return list(decode_array(found["outcomes"][name]).tolist())


RIGHT = Y.tolist()
CLEAN = [answered([0, 1, 9]), answered([3, 9, 1])]  # the third and the fifth are wrong


def test_answers_of_all_blocks_are_held_against_the_labels_of_their_images() -> None:
    found = record("clean", {"evaluations": CLEAN}, samples=5)
    assert told(found, "clean_correct") == told(found, "scored") == [1, 1, 0, 1, 0]
    assert found["aggregates"]["accuracy"] == 0.6


def test_to_be_right_when_clean_is_to_be_right_on_more_than_half_of_the_draws() -> None:
    draws = [[0, 1, 9, 9, 9, 9], [0, 1, 2, 9, 9, 9], [0, 9, 2, 3, 9, 9], [0, 1, 9, 9, 0, 1]]
    found = record("clean", {"evaluations": [answered(*draws, select=[RIGHT, RIGHT])]}, randomised=True)
    assert told(found, "scored") == [4, 3, 2, 1, 1, 1]
    assert told(found, "clean_correct") == [1, 1, 0, 0, 0, 0]
    assert told(found, "selected") == [2] * 6
    assert found["aggregates"]["accuracy"] == 0.5
    assert found["draws"] == {"select": 2, "score": 4}


def test_a_refusal_is_right_of_an_attacked_image_alone() -> None:
    refused = [REJECTED] * 6
    assert told(record("clean", {"evaluations": [answered(refused)]}), "scored") == [0] * 6
    blocks = {"clean": [answered(RIGHT)], "evaluations": [attacked(refused)], "crafts": [crafted(6)]}
    assert told(record("attack", blocks), "scored") == [1] * 6


@pytest.mark.parametrize("randomised", [False, True])
def test_what_is_wrong_when_clean_is_wrong_under_attack_unless_answers_are_drawn(randomised: bool) -> None:
    blocks = {"clean": CLEAN, "evaluations": [attacked(RIGHT)], "crafts": [crafted(6)]}
    found = record("attack", blocks, randomised=randomised)
    expected = [1] * 6 if randomised else [1, 1, 0, 1, 0, 1]
    assert told(found, "scored") == told(found, "selected") == expected
    assert found["aggregates"]["accuracy"] == pytest.approx(np.mean(expected))


def test_an_answer_to_what_is_not_on_the_grid_counts_where_the_clean_image_is_right() -> None:
    evaluated = attacked(RIGHT, score_float=[[0, 9, 2, 3, 0, 1]])
    found = record("attack", {"clean": CLEAN, "evaluations": [evaluated], "crafts": [crafted(6)]})
    assert found["aggregates"]["accuracy_float"] == 0.5  # not the second, nor the two that are wrong when clean


def test_an_attack_that_gave_the_clean_image_back_or_fools_at_no_distance_found_nothing() -> None:
    tried = np.array([1, 1, 1, 0, 1, 1], np.uint8)
    anywhere = [[9, 9, 2, 9, 9, 9], [9, 9, 2, 9, 0, REJECTED], [9, 9, 2, 9, 9, 9], [9, 9, 9, 9, 0, REJECTED]]
    evaluated = attacked(RIGHT, distance=[0.1, 0.0, 0.2, 0.0, 0.3, 0.4], anywhere=anywhere)
    blocks = {"clean": [answered(RIGHT)], "evaluations": [evaluated], "crafts": [crafted(6, attacked=tried)]}
    assert told(record("attack", blocks), "distance") == pytest.approx([0.1, np.inf, np.inf, 0.0, np.inf, np.inf])


def test_what_an_attack_cost_and_met_is_added_up_over_its_blocks() -> None:
    blocks = {
        "clean": CLEAN,
        "evaluations": [attacked([0, 1, 2]), attacked([3, 0, 1])],
        "crafts": [crafted(3), crafted(3, attacked=np.array([1, 0, 0], np.uint8))],
    }
    found = record("attack", blocks)
    assert {name: found["aggregates"][name] for name in ("forward", "gradient", "seconds", "images")} == {
        "forward": 6, "gradient": 8, "seconds": 6.0, "images": 6
    }  # fmt: skip
    evidence = {"gradients": {"asked": 2}, "attacked": 4, "path": {"lost": 2}, "repeated": {"images": 2}}
    assert found["evidence"] == evidence
    assert found["notes"]["attack"] == {"found": 4, "way": "far"}


def test_what_fools_the_undefended_network_is_told_of_an_oblivious_attacker_alone() -> None:
    made = crafted(6, fooling=np.array([1, 0, 1, 0, 0, 0], np.uint8))
    blocks = {"clean": [answered(RIGHT)], "evaluations": [attacked(RIGHT)], "crafts": [made]}
    assert told(record("attack", blocks, knowledge="oblivious"), "fooling") == [1, 0, 1, 0, 0, 0]
    assert "fooling" not in record("attack", blocks)["outcomes"]


def test_a_detector_detects_above_zero_on_each_draw() -> None:
    scores = [[-1.0, 0.0, 0.1, 2.0, 1.0, -1.0], [1.0, 0.0, 0.1, 2.0, -3.0, -1.0]]
    found = record("clean", {"evaluations": [answered(RIGHT, RIGHT, detector=scores)]})
    assert told(found, "detected") == [1, 0, 2, 2, 1, 0]
    assert found["aggregates"]["detected"] == 0.5
    assert told(found, "detector") == pytest.approx([0.0, 0.0, 0.1, 2.0, -1.0, -1.0])


def test_what_is_certified_counts_where_it_is_the_right_answer() -> None:
    blocks = [[0, 2, 2], [3, -1, 1]]
    told_of = [SimpleNamespace(tensors={"certified": np.array(b)}, meta={"silent": "", "seconds": 1.0}) for b in blocks]
    found = record("certificate", {"clean": CLEAN, "evaluations": told_of}, samples=5)
    assert told(found, "certified") == [1, 0, 1, 1, 0]
    assert found["aggregates"] == {"certified": 0.6, "seconds": 2.0}
    told_of[1].meta["silent"] = "it has no words"
    found = record("certificate", {"clean": CLEAN, "evaluations": told_of})
    assert (found["status"], found["reason"]) == ("skipped", "it has no words")
    assert "outcomes" not in found


def test_views_are_held_against_the_labels_too() -> None:
    views = [SimpleNamespace(tensors={"first": np.array(b)}) for b in ([0, 1, 9], [9, 0, 1])]
    found = record("clean", {"evaluations": CLEAN, "views": views}, samples=5)
    assert decode_array(found["views"]["first"]).tolist() == [1, 1, 0, 0, 1]


def test_a_record_names_the_libraries_that_its_own_numbers_depend_on() -> None:
    told = record("clean", {"evaluations": [answered([0, 1, 2, 3, 0, 1])]}, versions={"codecarbon": "3.3.2"})
    assert told["provenance"]["versions"] == {**names.versions(), "codecarbon": "3.3.2"}
