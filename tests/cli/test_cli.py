"""The command line in a real process."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys

import click
import numpy as np
import pytest

from bench.cli.app import VERBS

BASE = ("--datasets", "toy", "--norm", "linf", "--hardware", "none", "--samples", "64")
TINY = (*BASE, "--defenses", "none", "--attacks", "toy-step")


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("plugins",), ("run", "--help"), ("diff", "--help"), ("plugins", "superiot"), ("cite", "superiot")],
)
def test_listing_and_help_import_neither_torch_nor_art_nor_pandas(arguments):
    code = (
        "import sys\nfrom bench.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'art', 'pandas', 'numba'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_only_the_processes_of_tasks_hold_torch(command_line):
    """It takes seconds, and whoever runs a command again waits for them; so does each of the tests that run one."""
    code = (
        "import sys\nfrom bench.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'torchvision', 'art', 'numba'} & set(sys.modules)\nassert not heavy, heavy"
    )
    for words in (("plan", *TINY), ("run", *TINY, "--out", "out"), ("report", "out", "--out", "again"), ("status",)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True, text=True, timeout=120, cwd=command_line.folder, env=command_line.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_that_says_what_it_does(command_line, verb):
    said = command_line(verb, "--help").stdout
    assert said.startswith("Usage:")
    assert len(said.splitlines()) > 5


def test_an_unknown_verb_is_told_the_nearest(command_line):
    assert "Did you mean 'run'" in command_line("rum", code=2).stderr


def test_a_plan_names_what_it_skips_and_why(command_line):
    said = command_line("plan", *BASE, "--defenses", "none", "--attacks", "toy-n*").stdout
    reason = r"Needs no-such-distribution, which is not installed\. Run: pip install 'no-such-distribution'\."
    assert re.search(rf"^skipped \d+ of toy-needs: {reason}$", said, re.M), said


def test_plan_run_status_explain_and_report_tell_one_story(command_line):
    before = json.loads(command_line("plan", *TINY, "--json").stdout)
    assert before["settled"] is False
    assert before["seconds_on_one_core"] > 0
    command_line("run", *TINY, "--out", "out")
    after = json.loads(command_line("plan", *TINY, "--json").stdout)
    assert (after["settled"], after["missing"]) == (True, 0)
    assert {cell["state"] for cell in after["cells"]} == {"cached"}
    # On an empty store the plan names the cells that then come.
    assert [cell["what"] for cell in before["cells"]] == [cell["what"] for cell in after["cells"]]
    assert {cell["state"] for cell in before["cells"]} == {"to do"}
    more = json.loads(command_line("plan", *TINY, "--samples", "256", "--json").stdout)
    assert more["judged_by_like_tasks"] == more["missing"] > 0 == before["judged_by_like_tasks"]

    states = json.loads(command_line("status", *TINY, "--json").stdout)
    assert {cell["state"] for cell in states["cells"]} == {"ok"}

    record = command_line.records("out")[-1]
    assert "Give a key" in command_line("explain", "", code=2).stderr
    told = json.loads(command_line("explain", record["run_key"][:12], "--json").stdout)
    assert told["records"][0]["cell_id"] == record["cell_id"]
    said = {(gate["where"], gate["name"]) for gate in told["gates"][record["run_key"]]}
    assert {("cell", "ball"), ("row", "ladder")} <= said
    task = json.loads(command_line("explain", record["provenance"]["objects"][-1], "--json").stdout)
    assert next(iter(task["tasks"].values()))["kind"] == "evaluate"

    command_line("report", "out", "--out", "again")
    first = json.loads((command_line.folder / "out" / "leaderboard.json").read_text())
    again = json.loads((command_line.folder / "again" / "leaderboard.json").read_text())
    assert first == again


@pytest.mark.parametrize("call", [("run", "--out", "new/out", "--defenses", "none"), ("audit", "toy-round")])
def test_a_refused_command_leaves_no_folder(command_line, call):
    assert "Did you mean 'toy-net'" in command_line(*call, *BASE, "--models", "toy-nett", code=2).stderr
    assert not [path.name for path in command_line.folder.iterdir() if path.name in ("new", "reports")]


def test_slow_attacks_get_all_images_where_that_is_asked_for(command_line):
    call = ("plan", "--datasets", "digits", "--defenses", "none", "--attacks", "deepfool", "--norm", "l2", "--json")
    few, many = (json.loads(command_line(*call, *more).stdout) for more in ((), ("--uncapped",)))
    assert [cell["what"] for cell in few["cells"]] == [cell["what"] for cell in many["cells"]]
    assert few["tasks"] < many["tasks"]
    assert few["cells"][1]["run_key"] != many["cells"][1]["run_key"]


def test_reports_of_two_stores_merge_into_one_comparison(command_line):
    command_line("run", *BASE, "--defenses", "none", "--attacks", "toy-step", "--out", "one", "--store", "one-store")
    command_line(
        "run", *BASE, "--defenses", "toy-round", "--attacks", "toy-step", "--out", "two", "--store", "two-store"
    )
    command_line("report", "one/records.jsonl", "two-store", "--out", "both")
    board = json.loads((command_line.folder / "both" / "leaderboard.json").read_text())
    assert {row["defense"] for row in board} == {"none", "toy-round"}
    command_line("report", "one/records.jsonl", "--no-html", "--out", "")  # as of a run: the usual place, and not here
    assert (command_line.folder / "reports" / "merged" / "leaderboard.csv").exists()


@pytest.mark.parametrize("call", [("store", "du"), ("store", "gc"), ("explain", "00")])
def test_what_only_looks_into_a_store_makes_none(command_line, call):
    assert "There is no store at" in command_line(*call, "--store", "typo", code=2).stderr
    assert not (command_line.folder / "typo").exists()


def test_a_config_file_says_the_same_as_the_flags_and_flags_win(command_line):
    (command_line.folder / "study.toml").write_text(
        'datasets = "toy"\ndefenses = ["none"]\nattacks = "toy-step"\nnorm = "linf"\nhardware = "none"\nsamples = 64\n'
    )
    from_file = json.loads(command_line("plan", "--config", "study.toml", "--json").stdout)
    from_flags = json.loads(command_line("plan", *TINY, "--json").stdout)
    assert from_file == from_flags
    # What only a run has a use for may stand in the same file, spelled as the flag.
    with (command_line.folder / "study.toml").open("a") as file:
        file.write('out = "out"\njobs = 1\nno-html = true\n')
    assert json.loads(command_line("plan", "--config", "study.toml", "--json").stdout) == from_flags
    command_line("run", "--config", "study.toml")
    assert (command_line.folder / "out" / "leaderboard.csv").exists()
    assert not (command_line.folder / "out" / "index.html").exists()
    wrong = command_line("plan", "--config", "study.toml", "--datasets", "toi", code=2)
    assert "Did you mean 'toy'" in wrong.stderr
    (command_line.folder / "bad.toml").write_text('defences = "none"\n')
    assert "Did you mean 'defenses'" in command_line("plan", "--config", "bad.toml", code=2).stderr
    for number in ("64.9", "true"):  # as the flag refuses them
        (command_line.folder / "bad.toml").write_text(f"samples = {number}\n")
        assert "'--samples'" in command_line("plan", "--config", "bad.toml", code=2).stderr
    (command_line.folder / "bad.toml").write_text('download = "yes"\n')
    assert "must be true or false" in command_line("plan", "--config", "bad.toml", code=2).stderr


@pytest.mark.parametrize("verb", ["plan", "status"])
def test_a_runs_command_is_taken_with_the_verb_changed(command_line, verb):
    of_a_run = ("--jobs", "1", "--out", "out", "--no-html", "--retry", "--strict")
    with_them = json.loads(command_line(verb, *TINY, *of_a_run, "--json").stdout)
    assert with_them == json.loads(command_line(verb, *TINY, "--json").stdout)
    assert not (command_line.folder / "out").exists()
    assert "ignored" in command_line(verb, "--help").stdout


def test_plan_and_status_know_every_flag_of_run():
    flags = {verb: _flags(importlib.import_module(f"bench.cli.{verb}").command) for verb in ("run", "plan", "status")}
    assert flags["run"] <= flags["plan"] & flags["status"]


def _flags(command: click.Command) -> set[str]:
    return {text for option in command.params for text in (*option.opts, *option.secondary_opts)}


def test_the_latest_report_is_linked_and_json_is_alone_on_standard_output(command_line):
    done = command_line("run", *TINY, "--json")
    assert json.loads(done.stdout)[0]["defense"] == "none"
    latest = command_line.folder / "reports" / "latest"
    assert latest.is_symlink()
    assert (latest / "index.html").is_file()
    assert (latest / "leaderboard.csv").is_file()


def test_strict_turns_an_unranked_row_into_a_verdict(command_line):
    command_line("run", *TINY, "--no-html", "--strict", code=3)


def test_plugins_shows_a_broken_plugin_with_its_reason_and_goes_on(command_line, tmp_path):
    site = tmp_path / "broken"
    info = site / "broken_one-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[edge_defense_bench]\nbroken = broken_one\n")
    (site / "broken_one.py").write_text("raise ImportError('no such luck')\n")
    path = os.pathsep.join([str(site), command_line.environment["PYTHONPATH"]])
    said = command_line("plugins", PYTHONPATH=path).stdout
    assert "no such luck" in said
    assert "broken-one 2.0" in said
    assert "superiot" in said


@pytest.mark.parametrize(
    "call",
    [
        ("plan", *BASE, "--defenses", "jpeg", "--attacks", "none"),
        ("check", "jpeg"),
        ("run", "--defenses", "jpeg", "--attacks", "none", "--datasets", "nowhere"),
        ("audit", "jpeg", "--datasets", "nowhere"),
    ],
    ids=lambda call: call[0],
)
def test_a_plugin_that_lost_its_name_to_another_is_named_where_that_name_is_asked_for(command_line, tmp_path, call):
    site = tmp_path / "taken"
    info = site / "bench_defense_jpeg-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-defense-jpeg\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[edge_defense_bench]\njpeg = bench_jpeg\n")
    (site / "bench_jpeg.py").write_text(
        "from bench.plugins.entries import Defense\nfrom bench.plugins.hookspecs import hookimpl\n\n\n"
        "@hookimpl\ndef bench_defenses():\n    return [Defense(name='jpeg', factory='bench_jpeg:Jpeg', summary='')]\n"
    )
    path = os.pathsep.join([str(site), command_line.environment["PYTHONPATH"]])
    said = command_line(*call, code=None, PYTHONPATH=path).stderr
    (line,) = [line for line in said.splitlines() if "bench-defense-jpeg" in line]
    assert line.startswith("bench: left out: jpeg (bench-defense-jpeg 0.1.0): defense 'jpeg' is already offered by ")


def test_the_python_interface_gives_the_same_leaderboard(command_line):
    code = (
        "import bench\n"
        "board = bench.run(datasets='toy', norm='linf', hardware='none', samples=64, defenses='none',"
        " attacks='toy-step', quiet=True)\n"
        "print(board.to_json(orient='records'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=command_line.environment,
        cwd=command_line.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    said = json.loads(command_line("run", *TINY, "--json").stdout)
    assert [row["robust_accuracy"] for row in rows] == [row["robust_accuracy"] for row in said]


def test_what_cannot_be_run_is_said_before_anything_is_started(command_line):
    (command_line.folder / "net.py").write_text("def build(shape, classes): ...\n")
    (command_line.folder / "net.safetensors").write_bytes(b"no weights")
    refused = command_line("run", *TINY, "--model", "net.py:nope", "--out", "out", code=2)
    assert "net.py has no function or class 'nope'; it has build." in refused.stderr
    weights = ("--model", "net.py:build", "--weights", "net.safetensors")
    assert "cannot be read" in command_line("run", *TINY, *weights, "--out", "out", code=2).stderr
    for verb in ("run", "plan", "status"):
        assert "selects nothing" in command_line(verb, *TINY, "--defenses", "all,-all", code=4).stderr
    assert not (command_line.folder / "out").exists()


def test_a_users_own_model_and_weights(command_line):
    (command_line.folder / "mine.py").write_text(
        "from torch import nn\n\ndef net(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))\n"
    )
    make = (
        "import torch, mine\nfrom toy_plugins.data import Toy\n"
        "d = Toy().load(None, 'train'); net = mine.net((1, 8, 8), 4)\n"
        "opt = torch.optim.Adam(net.parameters(), .02); x = torch.tensor(d.x) / 255.; y = torch.tensor(d.y)\n"
        "loss = torch.nn.functional.cross_entropy\n"
        "for _ in range(60):\n    opt.zero_grad(); loss(net(x), y).backward(); opt.step()\n"
        "torch.save({'state_dict': {'module.' + k: v for k, v in net.state_dict().items()}}, 'mine.pt')\n"
        "import pickle\n"
        "class Evil:\n    def __reduce__(self): return (open, ('executed', 'w'))\n"
        "pickle.dump(Evil(), open('evil.pt', 'wb'))\n"
        "torch.save({'1.weight': torch.zeros(3, 3), '1.bias': torch.zeros(4)}, 'wrong.pt')\n"
    )
    path = os.pathsep.join([str(command_line.folder), command_line.environment["PYTHONPATH"]])
    environment = {**command_line.environment, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", make], cwd=command_line.folder, env=environment, check=True, timeout=120)
    own = (*TINY, "--model", "mine.py:net", "--no-html", "--out", "out")
    command_line("run", *own, "--weights", "mine.pt")
    clean = next(r for r in command_line.records("out") if r["kind"] == "clean")
    assert clean["aggregates"]["accuracy"] > 0.9
    assert clean["model"]["weights"] == "user"
    # What can be read is known to fit once the network is built.
    for name, said, code in (("evil.pt", "refused", 2), ("wrong.pt", "1.weight", 1)):
        done = command_line("run", *own, "--weights", name, code=code)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (command_line.folder / "executed").exists()


def test_strict_asks_for_ranks_only_where_a_ladder_is_fixed(made):
    from bench.cli.run import _unranked

    right = np.ones(400, dtype=np.uint8)
    rungs = {"fgsm": "white-box", "pgd": "adaptive", "apgd-dlr": "adaptive", "square": "black-box"}
    whole = [made.clean_record("none", right)]
    whole += [made.attack_record("none", a, right, knowledge=k, epsilon=1e-9) for a, k in rungs.items()]
    assert not _unranked(whole)
    assert not _unranked([*whole, made.attack_record("none", "ead", right, norm="l1")])
    assert _unranked([record for record in whole if (record.get("attack") or {}).get("label") != "square"])


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("few", "The model gives (2, 3) for two images; expected (2, 4): toy has 4 classes."),
        ("two", "The model gives tuple; expected logits alone, a tensor (B, K)."),
        ("large", "The model fails on images (2, 1, 8, 8), as toy has them: RuntimeError: mat1 and mat2"),
    ],
)
def test_an_own_model_that_answers_in_another_form_is_said_to_once(command_line, factory, says):
    (command_line.folder / "forms.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Two(nn.Flatten):\n    def forward(self, x): return super().forward(x), x\n"
        "def few(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
        "def two(): return Two()\n"
        "def large(): return nn.Sequential(nn.Flatten(), nn.Linear(100, 4))\n"
    )
    call = ("run", *BASE, "--defenses", "toy-round", "--attacks", "toy-step", "--model", f"forms.py:{factory}")
    said = command_line(*call, "--no-html", "--out", "out", code=1).stderr
    assert says in said
    assert said.count(says) == 2  # when it happens, and at the end
    assert "not run that need what failed" in said
    again = command_line(*call, "--no-html", "--out", "out", code=1).stderr
    assert "was not tried again. Give --retry" in again
    assert "Give --retry" not in command_line(*call, "--retry", "--no-html", "--out", "out", code=1).stderr


def test_a_file_without_a_factory_is_told_how_a_model_is_written(command_line):
    assert "must be written FILE.py:FACTORY" in command_line("run", *TINY, "--model", "net.py", code=2).stderr


def test_a_package_that_is_not_installed_is_said_to_be(command_line):
    said = command_line("new", "defense", "unheard")
    assert "next: pip install -e bench-defense-unheard && bench check unheard" in said.stderr
    refused = command_line("check", "unheard", code=2)
    assert "Plugin 'unheard' is not installed. Run: pip install -e bench-defense-unheard" in refused.stderr
