"""What a defense learned once, shipped, and loaded in place of a fit."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file


def number(command_line, out: str) -> tuple[float, str]:
    record = next(r for r in command_line.records(out) if r["kind"] == "clean" and r["defense"]["name"] == "toy-learns")
    return record["notes"]["fit"]["number"], record["defense"]["shipped"]


@pytest.fixture
def run(command_line):
    def running(defense: str, out: str) -> tuple[float, str]:
        command_line(
            *("run", "--defenses", defense, "--datasets", "digits", "--attacks", "none", "--hardware", "none"),
            *("--samples", "16", "--out", out),
        )
        return number(command_line, out)

    return running


def test_a_shipped_fit_is_loaded_where_a_run_would_make_it(command_line, run, tmp_path) -> None:
    own, shipped = run("toy-learns", "before")
    assert shipped == ""

    folder = tmp_path / "site" / "toy_fits" / "weights"
    done = command_line("fit", "toy-learns", "--datasets", "digits", "--out", str(folder))
    assert "clean test images" in done.stdout
    card = json.loads(next(folder.glob("*.json")).read_text())
    assert card["notes"]["number"] != own
    assert card["command"] == "bench fit toy-learns --datasets digits --device cpu"
    assert str(tmp_path) not in json.dumps(card)

    assert run("toy-learns", "after") == (card["notes"]["number"], card["sha256"])
    assert run("toy-learns[mood=bad]", "mood") == (card["notes"]["number"], card["sha256"])
    other, shipped = run("toy-learns[size=2]", "size")
    assert other != card["notes"]["number"]
    assert shipped == ""


def test_no_run_goes_on_from_what_a_fit_kept_and_nothing_of_it_is_left(command_line, run, tmp_path) -> None:
    (tmp_path / "closed").touch()
    told = ("fit", "toy-learns", "--datasets", "digits", "--out")
    command_line(*told, str(tmp_path / "closed" / "weights"), code=None)  # fails where the file would be written
    (kept,) = (tmp_path / "store" / "scratch").glob("*/number")
    number = int.from_bytes(kept.read_bytes()) / 2**24
    assert run("toy-learns", "out")[0] != number

    command_line(*told, str(tmp_path / "weights"))
    assert json.loads(next((tmp_path / "weights").glob("*.json")).read_text())["notes"]["number"] == number
    assert not any((tmp_path / "store" / "scratch").iterdir())


@pytest.mark.parametrize(("fragile", "stored"), [("false", torch.float16), ("true", torch.float32)])
def test_matrices_are_halved_where_that_leaves_the_accuracy(command_line, tmp_path, fragile, stored) -> None:
    command_line("fit", f"toy-third[fragile={fragile}]", "--datasets", "digits", "--out", str(tmp_path / "weights"))
    written = load_file(next((tmp_path / "weights").glob("*.safetensors")))
    assert written["thirds"].dtype == stored
    assert written["third"].dtype == torch.float32
    card = json.loads(next((tmp_path / "weights").glob("*.json")).read_text())
    assert card["clean_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("toy-learns", "--datasets", "toy"), "has no shipped weights"),
        (("toy-learns,toy-coin", "--datasets", "digits"), "takes one defense"),
        (("none", "--datasets", "digits"), "takes one defense"),
        (("toy-coin", "--datasets", "digits"), "learns nothing"),
        (("toy-learns", "--datasets", "digits", "--device", "cuda:77"), "cannot be used"),
        (("toy-lerns", "--datasets", "digits"), "toy-learns"),
    ],
)
def test_what_cannot_be_shipped_is_refused_and_nothing_is_written(command_line, tmp_path, arguments, said) -> None:
    done = command_line("fit", *arguments, "--out", str(tmp_path / "weights"), code=2)
    assert said in done.stderr
    assert not (tmp_path / "weights").exists()
