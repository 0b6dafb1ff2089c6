"""``bench diff``: files in, table, JSON, CSV and exit code out; two real runs once."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.analysis.records import encode_array
from bench.cli import main

FALLEN = 24  # of 200 images


@dataclass
class Command:
    """``bench diff`` in this process."""

    folder: Path
    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["diff", *arguments])
        said = self.captured.readouterr()
        assert ended.value.code == code, said.out + said.err
        return said


def written(path: Path, records: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path.name


@pytest.fixture
def diff(tmp_path, monkeypatch, capsys):
    """Return the command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return Command(tmp_path, capsys)


@pytest.fixture
def runs(diff, made):
    """Write two runs of one attack; the second loses 24 images more, and a defense has another budget there."""
    kept, fewer = np.repeat([0, 1], 100), np.repeat([0, 1], 100)
    fewer[100 : 100 + FALLEN] = 0
    for name, scored in (("a.jsonl", kept), ("b.jsonl", fewer)):
        other = made.attack_record("jpeg[quality=50]", "pgd", kept)
        other["budget"] = "standard" if name == "a.jsonl" else "quick"
        records = [
            made.clean_record("none", np.ones(200)),
            made.attack_record("none", "pgd", scored),
            made.cost_record("none"),
            made.clean_record("jpeg[quality=50]", np.ones(200)),
            other,
        ]
        written(diff.folder / name, records)
    return diff


def test_a_fall_is_shown_with_size_interval_and_attack(runs):
    said = runs("a.jsonl", "b.jsonl").out
    (row,) = [line for line in said.splitlines() if " robust " in line and "lower" in line and "%" in line]
    assert row.split()[:8] == ["none", "robust", "50.0", "%", "38.0", "%", "-12.0", "-17.2"]
    assert "in B, pgd (adaptive) is worst on 24 of the 24 images that only B loses" in said
    assert "not comparable: budget standard in A, quick in B" in said
    assert "\x1b" not in said


def test_json_and_csv_have_every_figure(runs):
    done = runs("a.jsonl", "b.jsonl", "--json", "--csv", "moved.csv", "--fail-if", "adaptive drops 1", code=3)
    told = json.loads(done.out)
    robust = next(row for row in told["figures"] if (row["defense"], row["figure"]) == ("none", "robust_accuracy"))
    assert robust["difference"] == pytest.approx(-FALLEN / 200)
    assert robust["verdict"] == "lower"
    (bound,) = told["bounds"]
    assert (bound["bound"], bound["judged"], bound["broken"][0]["defense"]) == ("adaptive drops 1", 1, "none")
    with (runs.folder / "moved.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["figure"] for row in rows] == [row["figure"] for row in told["figures"]]
    assert [row["difference"] for row in rows if row["figure"] == "robust_accuracy"][-1] == str(robust["difference"])


def test_bounds_decide_the_exit_code(runs):
    broken = runs("a.jsonl", "b.jsonl", "--fail-if", "robust_accuracy drops 2", code=3)
    assert "broken: robust_accuracy drops 2: none (mnist" in broken.err
    assert "-12.0 points, -17.2 to -8.2, p <.001 on 200 images" in broken.err
    assert "not judged: robust_accuracy drops 2: jpeg[quality=50]: not comparable: budget" in broken.err
    kept = runs("a.jsonl", "b.jsonl", "--fail-if", "robust_accuracy drops 12.1 for none", code=0)
    assert kept.err == "held: robust_accuracy drops 12.1 for none: 1 figure compared\n"
    runs("b.jsonl", "a.jsonl", "--fail-if", "robust_accuracy drops 2 for none", code=0)
    one_of_two = ("--fail-if", "robust_accuracy rises 1 for none", "--fail-if", "robust_accuracy drops 20% for none")
    runs("a.jsonl", "b.jsonl", *one_of_two, code=3)
    runs("a.jsonl", "a.jsonl", "--fail-if", "robust_accuracy drops 0", code=0)


def test_what_b_lacks_is_no_promise_kept(runs, made):
    bound = ("--fail-if", "robust_accuracy drops 12.1")
    asked_otherwise = runs("a.jsonl", "b.jsonl", *bound, code=3)
    assert "broken" not in asked_otherwise.err
    runs("a.jsonl", "b.jsonl", *bound, "--allow-unjudged", code=0)
    records = [json.loads(line) for line in (runs.folder / "a.jsonl").read_text().splitlines()]
    gone = written(runs.folder / "gone.jsonl", [r for r in records if r["defense"]["name"] != "jpeg"])
    said = runs("a.jsonl", gone, *bound, code=3)
    assert "not judged: robust_accuracy drops 12.1: jpeg[quality=50]: only in A" in said.err
    runs(gone, "a.jsonl", *bound, code=0)


def test_an_attack_that_failed_in_b_raises_no_accuracy(runs, made):
    """The figure of B is the worst case over fewer attacks: it says nothing of what A's attack would have left."""
    records = [json.loads(line) for line in (runs.folder / "a.jsonl").read_text().splitlines()]
    weak = made.attack_record("none", "mim", np.ones(200))
    strong = next(r for r in records if r["kind"] == "attack" and r["defense"]["name"] == "none")
    a = written(runs.folder / "both.jsonl", [*records, weak])
    strong |= {"status": "failed", "reason": "out of memory"}
    b = written(runs.folder / "failed.jsonl", [*records, weak])
    said = runs(a, b, "--fail-if", "robust_accuracy drops 2 for none", code=3)
    assert "drops 2 for none: none: attacks are missing in B: pgd (adaptive) failed" in said.err
    assert "pgd (adaptive) failed in B" in said.out
    runs(a, b, "--fail-if", "robust_accuracy drops 2 for none", "--allow-unjudged", code=0)
    runs(b, a, "--fail-if", "robust_accuracy drops 2 for none", code=3)


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ("robust_acuracy drops 2", "Did you mean 'robust_accuracy'"),
        ("robust_accuracy drops 2 for nnoe", "Did you mean 'none'"),
        ("robust_accuracy drops two", "must be FIGURE drops|rises AMOUNT"),
        ("robust_accuracy drops 2 for jpeg", "nothing to compare"),
    ],
)
def test_a_bound_that_cannot_be_judged_is_a_usage_error(runs, bound, said):
    done = runs("a.jsonl", "b.jsonl", "--fail-if", bound, code=2)
    assert said in done.err
    assert done.out == ""


def test_foreign_and_hostile_records_end_in_one_sentence(runs, made):
    folder = runs.folder
    (folder / "text.jsonl").write_text("robust 99 %\n")
    (folder / "empty.jsonl").write_text("\n")
    (folder / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    (folder / "deep.jsonl").write_text("[" * 100_000)
    wide = made.attack_record("none", "pgd", np.ones(8))
    wide["threat"]["epsilon"] = 10**400
    written(folder / "wide.jsonl", [wide])
    more = made.attack_record("none", "pgd", np.ones(8))
    more["outcomes"]["scored"] = encode_array(np.full(8, 200, dtype=np.uint8))
    written(folder / "more.jsonl", [more])
    for name in ("text", "empty", "bytes", "deep", "wide", "more", "absent"):
        for pair in ((f"{name}.jsonl", "a.jsonl"), ("a.jsonl", f"{name}.jsonl")):
            done = runs(*pair, code=2)
            assert f"{name}.jsonl" in done.err
            assert "Traceback" not in done.err
    written(folder / "hostile.jsonl", made.hostile_records())
    done = runs("hostile.jsonl", "a.jsonl", "--csv", "hostile.csv")
    assert "\x1b" not in done.out + done.err
    assert runs("a.jsonl", "b.jsonl", "--csv", "no/such/folder.csv", code=2).err.endswith("with --csv.\n")


@pytest.mark.slow
def test_two_runs_of_different_attacks_on_one_store(command_line):
    """The whole way: digits, the undefended network, one attack in A and a stronger one beside it in B."""
    common = ("--defenses", "none", "--norm", "linf", "--hardware", "none", "--no-html", "--jobs", "1", "--eps", "0.08")
    command_line("run", *common, "--attacks", "fgsm", "--out", "a")
    command_line("run", *common, "--attacks", "fgsm,pgd-linf", "--out", "b")
    bounds = ("--fail-if", "robust_accuracy drops 2", "--fail-if", "clean_accuracy drops 0")
    told = json.loads(command_line("diff", "a", "b", "--json", *bounds, code=3).stdout)
    assert [len(bound["broken"]) for bound in told["bounds"]] == [1, 0]
    rows = {row["figure"]: row for row in told["figures"]}
    assert rows["clean_accuracy"]["verdict"] == "same"
    assert rows["robust_accuracy"]["verdict"] == "lower"
    assert (rows["robust_accuracy"]["attack"], rows["robust_accuracy"]["images"]) == ("pgd-linf", 64)
    assert rows["robust_accuracy"]["changed"].startswith("attacks only in B: pgd-linf (")
    boards = [json.loads((command_line.folder / out / "leaderboard.json").read_text()) for out in ("a", "b")]
    a, b = (board[0]["robust_accuracy"] for board in boards)
    assert rows["robust_accuracy"]["difference"] == pytest.approx(b - a)
    assert rows["robust_accuracy"]["attack_images"] == round(64 * (a - b))
    command_line("diff", "a", "store", "--fail-if", "robust_accuracy rises 2", code=0)
