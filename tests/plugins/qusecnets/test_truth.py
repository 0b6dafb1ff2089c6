"""The command that computes the exact robust accuracy: killed, resumed, compared with attacks."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from bench import api
from bench.analysis.ranking import leaderboard
from bench.errors import Unavailable, UsageError
from bench_qusecnets import truth as truth_command
from bench_qusecnets.chain import NotAChainError
from bench_qusecnets.distances import distances
from bench_qusecnets.exact import ImageTruth
from bench_qusecnets.progress import Progress
from bench_qusecnets.report import Answer, answers, report

ASKED = {
    "dataset": "d",
    "fingerprint": "f",
    "model": "m",
    "weights": "shipped",
    "digest": "0000" * 8,
    "defense": "q",
    "version": "1",
    "fit": None,
    "split_seed": 0,
    "training_seed": 0,
    "epsilon": 0.1,
}
MODEL = {"name": "m", "label": "m", "version": "1", "weights": "shipped", "digest": "0000" * 8}
THREAT = {"norm": "linf", "epsilon": 0.1, "domain": "uint8", "targeted": False}


def truth(image: int, verdict: str, by: str = "search", budget: int = 3) -> ImageTruth:
    return ImageTruth(image, verdict, by, 5, 1, 2, budget, 0.5)  # type: ignore[arg-type]


def placed(told: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a record of the deployment that is asked about, but for what ``more`` says, as a cell of its own."""
    name = told["cell_id"] + json.dumps(more, sort_keys=True)
    dataset = {**told["dataset"], "fingerprint": "f"}
    return {**told, "dataset": dataset, "cell_id": name, "run_key": name, **more}


Recorder = Callable[..., dict[str, Any]]


@pytest.fixture
def record(made: ModuleType) -> Recorder:
    def make(scored: list[int], label: str, knowledge: str = "adaptive", **more: Any) -> dict[str, Any]:
        named = {"dataset": "d", "model": "m"}
        told = made.attack_record("q", label, np.array(scored), knowledge=knowledge, epsilon=0.1, **named)
        return placed(told, **more)

    return make


@pytest.fixture
def clean(made: ModuleType) -> dict[str, Any]:
    return placed(made.clean_record("q", np.array([1, 1, 0, 1, 1]), dataset="d", model="m"))


TRUTHS = [truth(0, "robust"), truth(1, "broken"), truth(2, "broken", "clean"), truth(3, "open", ""), truth(4, "robust")]


def test_each_attack_and_the_worst_case_are_measured_on_the_solved_images(
    record: Recorder, clean: dict[str, Any]
) -> None:
    records = [
        clean,
        record([1, 1, 0, 0, 1], "weak"),
        record([1, 0, 0, 1, 1], "strong"),
        record([1, 0], "short", "white-box"),
        record([0, 0, 0, 0, 0], "noise"),
        record([0, 0, 0, 0, 0], "another network", model={**MODEL, "label": "other"}),
        record([0, 0, 0, 0, 0], "a user's own weights", model={**MODEL, "weights": "user"}),
        record([0, 0, 0, 0, 0], "other weights", model={**MODEL, "digest": "1" * 32}),
        record([0, 0, 0, 0, 0], "another training", seeds={"split": 0, "training": 1, "attack": 0}),
        record([0, 0, 0, 0, 0], "another split", seeds={"split": 1, "training": 0, "attack": 0}),
        record([0, 0, 0, 0, 0], "another fit", defense={**clean["defense"], "shipped": "1" * 32}),
        record([0, 0, 0, 0, 0], "another radius", threat={**THREAT, "epsilon": 0.3}),
        record([0, 0, 0, 0, 0], "unfinished", status="failed"),
    ]
    found = {(d.attack, d.knowledge): d for d in distances(TRUTHS, records, ASKED)}
    assert set(found) == {
        ("weak", "adaptive"),
        ("strong", "adaptive"),
        ("short", "white-box"),
        ("worst case", "adaptive"),
        ("worst case", "white-box"),
        ("worst case", "all"),
    }
    weak, strong, short = found["weak", "adaptive"], found["strong", "adaptive"], found["short", "white-box"]
    assert (weak.images, weak.missed, weak.impossible) == (4, 1, 0)
    assert weak.points == pytest.approx(25.0)
    assert (strong.points, strong.missed) == (0.0, 0)
    assert (short.images, short.exact, short.points) == (2, 0.5, 0.0)
    assert found["worst case", "all"].points == 0.0


def test_an_attack_that_breaks_what_is_proven_is_shown_as_impossible(record: Recorder, clean: dict[str, Any]) -> None:
    compared = distances(TRUTHS, [clean, record([0, 0, 0, 0, 1], "liar")], ASKED)
    assert (compared[0].impossible, compared[0].missed) == (1, 0)
    (answer,) = answers(TRUTHS, compared, 1.0, solved=None, distance=None, minutes=None)
    assert not answer.holds, "whatever is asked, a wrong proof is no success"


@pytest.mark.parametrize("order", [1, -1])
def test_what_an_attack_breaks_under_one_seed_is_broken_whatever_the_order_of_the_records(
    record: Recorder, clean: dict[str, Any], order: int
) -> None:
    seeds = [{"split": 0, "training": 0, "attack": seed} for seed in (0, 1)]
    records = [placed(clean, seeds=seed) for seed in seeds]
    records += [record([1, 1, 0, 1, 1], "a", seeds=seeds[0]), record([0, 0, 0, 1, 1], "a", seeds=seeds[1])]
    compared = distances(TRUTHS, records[::order], ASKED)
    assert [(line.attack, line.knowledge) for line in compared] == [
        ("a", "adaptive"),
        ("worst case", "adaptive"),
        ("worst case", "all"),
    ]
    for line in compared:
        assert (line.missed, line.impossible) == (0, 1), "broken under the second seed"
        assert line.attacked == pytest.approx((3 + 1) / 2 / 4), "the mean over seeds"


def test_each_budget_is_compared_by_itself_and_the_strongest_answers(record: Recorder, clean: dict[str, Any]) -> None:
    records = [clean, record([1, 1, 0, 1, 1], "a", budget="quick"), record([1, 0, 0, 1, 1], "a", budget="standard")]
    compared = distances(TRUTHS, records, ASKED)
    worst = {line.budget: line for line in compared if (line.attack, line.knowledge) == ("worst case", "adaptive")}
    assert {budget: line.points for budget, line in worst.items()} == {"quick": 25.0, "standard": 0.0}
    for lines in (compared, compared[::-1]):
        (_, answer) = answers(TRUTHS, lines, 1.0, solved=None, distance=1.0, minutes=None)
        assert answer.holds
        assert "0.0 points, standard" in answer.text


def test_a_minimum_norm_attack_at_another_radius_lowers_the_worst_case_as_on_the_leaderboard(
    record: Recorder, clean: dict[str, Any], made: ModuleType
) -> None:
    distance = np.array([0.2, 0.05, 0, 0.2, 0.2])
    far = made.attack_record("q", "hopskipjump", np.zeros(5), epsilon=0.3, distance=distance, dataset="d", model="m")
    compared = distances(TRUTHS, [clean, record([1, 1, 0, 1, 1], "a"), placed(far)], ASKED)
    assert {line.attack for line in compared} == {"a", "worst case"}
    assert {(line.missed, line.impossible) for line in compared if line.attack == "worst case"} == {(0, 0)}


def test_the_worst_case_is_that_of_the_leaderboard(record: Recorder, clean: dict[str, Any]) -> None:
    """Such as it treats an attack that was tried on fewer images than the others."""
    solved = [truth(image, "robust" if image in (0, 4) else "broken") for image in range(5)]
    records = [clean, record([1, 1, 0, 1, 1], "weak"), record([0, 0], "short")]
    (row,) = leaderboard(records).to_dict("records")
    worst = {line.knowledge: line for line in distances(solved, records, ASKED) if line.attack == "worst case"}
    assert worst["adaptive"].attacked == row["adaptive"]
    assert worst["all"].attacked == row["robust_accuracy"]


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"solved": 80.0}, True),
        ({"solved": 81.0}, False),
        ({"distance": 25.0}, True),
        ({"distance": 24.0}, False),
        ({"minutes": 12.0}, True),
        ({"minutes": 11.0}, False),
    ],
)
def test_what_is_asked_is_answered(
    record: Recorder, clean: dict[str, Any], asked: dict[str, float], holds: bool
) -> None:
    compared = distances(TRUTHS, [clean, record([1, 1, 0, 0, 1], "weak")], ASKED)
    found = answers(TRUTHS, compared, 11.5, **{"solved": None, "distance": None, "minutes": None, **asked})
    assert [answer.holds for answer in found] == [True, holds]
    assert not answers(TRUTHS, [], 1.0, solved=None, distance=1.0, minutes=None)[-1].holds, "nothing was compared"


def test_the_report_gives_a_bracket_over_what_is_open_and_a_value_where_nothing_is(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.jsonl", ASKED)
    text = report(ASKED, "python -m truth", TRUTHS, [], [Answer("nothing is wrong", True)], progress)
    assert "between **40.0 %** and **60.0 %**, width 20.0" in text
    assert "2 images are proven robust, 2 are broken (1 wrong when clean, 0 by" in text
    assert "Solved: 80.0 %" in text
    assert "- nothing is wrong: **holds**" in text
    solved = [one for one in TRUTHS if one.verdict != "open"]
    assert "Robust accuracy is **50.0 %**" in report(ASKED, "python -m truth", solved, [], [], progress)


def test_the_clock_goes_on_over_attempts(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    first = Progress(path, ASKED)
    time.sleep(0.3)
    first.add(TRUTHS[0])
    again = Progress(path, ASKED)
    assert again.minutes * 60 == pytest.approx(first.clock)
    time.sleep(0.3)
    again.add(TRUTHS[1])
    assert again.clock >= 0.5


def test_a_line_that_a_kill_cut_short_is_dropped_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    first = Progress(path, ASKED)
    for one in TRUTHS:
        first.add(one)
    path.write_bytes(path.read_bytes()[:-20])
    again = Progress(path, ASKED)
    assert sorted(again.known) == [0, 1, 2, 3]
    assert [image for image in range(5) if again.wants(image, 3)] == [4]
    assert [image for image in range(5) if again.wants(image, 9)] == [3, 4], "open ones under a larger budget"
    again.add(TRUTHS[4])
    assert sorted(Progress(path, ASKED).known) == [0, 1, 2, 3, 4]


def test_results_of_another_threat_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    Progress(tmp_path / "progress.jsonl", ASKED)
    with pytest.raises(UsageError, match="another deployment, threat or solver"):
        Progress(tmp_path / "progress.jsonl", {**ASKED, "epsilon": 0.2})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--defense", "none"], "'none' is no quantiser of QuSecNets"),
        (["--defense", "qusec"], "of one defense; --defense 'qusec' selects qusec-cq, qusec-tq"),
        (["--defense", "qusec-cq[deploy=soft]"], "Use deploy=hard"),
        (["--defense", "qusec-qc"], "Did you mean"),
        (["--dataset", "digits,mnist"], "of one dataset"),
        (["--model", "lenet5,cleverhans-cnn"], "of one model"),
    ],
)
def test_what_is_no_single_hard_quantiser_is_refused_before_anything_runs(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["truth", *words])
    monkeypatch.setattr(api, "execute", lambda *_, **__: pytest.fail("it ran"))
    assert truth_command.main() == 2
    assert said in capsys.readouterr().err


def test_a_network_without_bounds_ends_the_first_image_and_not_the_start_of_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool begins another worker for each that could not begin, and so on for ever."""

    def of(store: Path, described: dict[str, Any]) -> None:
        raise NotAChainError("a layer")

    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(truth_command.ExactAnswers, "of", of)
    truth_command._begin(tmp_path, {})
    with pytest.raises(Unavailable, match="no bounds of this classifier: a layer") as raised:
        truth_command._solve((0, 3))
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value), "it goes from process to process"


@pytest.mark.slow
def test_killed_and_run_again_it_gives_what_an_uninterrupted_run_gives(tmp_path: Path) -> None:
    def command(out: str) -> list[str]:
        words = ["--dataset", "digits", "--model", "lenet5", "--defense", "qusec-cq[levels=2,epochs=2]"]
        words += ["--epsilon", "0.02", "--images", "24", "--nodes", "2,4", "--jobs", "1", "--out", str(tmp_path / out)]
        return [sys.executable, "-m", "bench_qusecnets.truth", *words, "--store", str(tmp_path / "store")]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = subprocess.run(command("whole"), env=environment, capture_output=True, text=True, check=True)
    assert "Robust accuracy is" in whole.stdout
    with subprocess.Popen(
        command("killed"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as running:
        progress = tmp_path / "killed" / "progress.jsonl"
        while not (progress.exists() and len(progress.read_bytes().splitlines()) > 4):
            assert running.poll() is None
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
    before = len(progress.read_bytes().splitlines())
    assert before < 25 + 1
    subprocess.run(command("killed"), env=environment, capture_output=True, check=True)
    images = [(tmp_path / name / "images.csv").read_text() for name in ("whole", "killed")]
    assert images[0] == images[1]
    verdicts = {json.loads(line)["verdict"] for line in progress.read_text().splitlines()[1:]}
    assert verdicts <= {"robust", "broken", "open"}
    assert "robust" in verdicts
