"""Plugins that raise, hang, die, or break their contract cost their own cells alone, and the user is told why."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from bench.store import Store

pytestmark = pytest.mark.faults
BASE = ("run", "--datasets", "toy", "--norm", "linf", "--hardware", "none", "--samples", "64", "--out", "out")


def by_attack(records):
    return {(r["defense"]["name"], r["attack"]["name"], r["knowledge"]): r for r in records if r["kind"] == "attack"}


def test_every_way_for_an_attack_to_fail_is_a_record_with_its_reason(command_line):
    attacks = "toy-raise,toy-hang,toy-die,toy-grow,toy-nan,toy-outside,toy-null-00"
    done = command_line(*BASE, "--defenses", "none", "--attacks", attacks, code=1)
    cells = by_attack(command_line.records("out"))
    reasons = {name: (r["status"], r["reason"]) for (_, name, level), r in cells.items() if level == "black-box"}
    assert reasons["toy-null-00"] == ("ok", "")
    assert reasons["toy-raise"] == ("failed", "RuntimeError: the attack <b>broke</b> at attacks.py:35")
    assert reasons["toy-hang"] == ("timed-out", "stopped after 2 s")
    assert reasons["toy-die"] == ("failed", "the worker died (signal 9)")
    assert reasons["toy-grow"][0] == "failed"
    assert "GiB that one may use" in reasons["toy-grow"][1]
    assert reasons["toy-nan"][0] == "failed"
    assert "not finite for test images [1]" in reasons["toy-nan"][1]
    assert reasons["toy-outside"][0] == "failed"
    assert "left the linf ball of radius 0.1 for test images [2]" in reasons["toy-outside"][1]
    assert "the attack <b>broke</b>" in done.stderr
    page = (command_line.folder / "out" / "index.html").read_text()
    assert "<b>broke</b>" not in page
    assert "&lt;b&gt;broke&lt;/b&gt;" in page


def test_failures_of_their_own_are_not_tried_again_unless_asked_for(command_line):
    arguments = (*BASE, "--defenses", "none", "--attacks", "toy-raise,toy-die", "--no-html")
    command_line(*arguments, code=1)
    again = command_line(*arguments, code=1)
    # A killed process may have been the machine's fault: that one is tried again; the one that raised is not.
    assert "2 tasks executed" not in again.stderr
    assert "\n0 tasks executed" in "\n" + again.stderr
    retried = command_line(*arguments, "--retry", code=1)
    assert retried.stderr.count("RuntimeError") >= again.stderr.count("RuntimeError")


def test_nan_gradients_fail_the_cell_and_are_never_taken_for_robustness(command_line):
    command_line(*BASE, "--defenses", "toy-nan-gradient", "--attacks", "toy-step", "--knowledge", "white-box", code=1)
    cells = by_attack(command_line.records("out"))
    cell = cells["toy-nan-gradient", "toy-step", "white-box"]
    assert cell["status"] == "failed"
    assert "NaN or infinite" in cell["reason"]
    assert cells["none", "toy-step", "white-box"]["status"] == "ok"


def test_a_defense_whose_fit_fails_takes_only_its_own_cells_with_it(command_line):
    command_line(*BASE, "--defenses", "toy-fit-fails,toy-round", "--attacks", "toy-null-00", code=1)
    status = {r["defense"]["name"]: r["status"] for r in command_line.records("out") if r["kind"] == "clean"}
    assert status == {"none": "ok", "toy-fit-fails": "failed", "toy-round": "ok"}


def test_what_cannot_be_scored_is_refused_and_not_scored_wrongly(command_line):
    command_line(*BASE, "--defenses", "toy-sealed,toy-rejects-oddly", "--attacks", "toy-null-00", code=1)
    reasons = {r["defense"]["name"]: r["reason"] for r in command_line.records("out") if r["kind"] == "clean"}
    assert "seals ['secret']" in reasons["toy-sealed"]
    assert "a score beside it" in reasons["toy-rejects-oddly"]
    assert reasons["none"] == ""


def test_undeclared_randomness_fails_its_gate(command_line):
    command_line(*BASE, "--defenses", "toy-secret-noise,toy-noise", "--attacks", "toy-null-00")
    gates = {
        r["defense"]["name"]: {g["name"]: g["outcome"] for g in r["gates"]}
        for r in command_line.records("out")
        if r["kind"] == "clean"
    }
    assert gates["toy-secret-noise"]["determinism"] == "fail"
    assert gates["toy-noise"]["determinism"] == "pass"
    assert gates["none"]["determinism"] == "pass"


def test_an_unmet_need_is_a_skipped_cell_with_its_reason(command_line):
    command_line(*BASE, "--defenses", "none", "--attacks", "toy-null-00,toy-need*", "--no-html")
    skipped = [r for r in command_line.records("out") if r["status"] == "skipped"]
    assert {r["attack"]["name"] for r in skipped} == {"toy-needs"}
    assert all("no-such-distribution" in r["reason"] for r in skipped)


def test_a_defense_that_cannot_run_here_is_shown_with_its_reason(command_line):
    done = command_line(*BASE, "--defenses", "toy-round,toy-absent-family", "--attacks", "toy-null-00")
    skipped = [r for r in command_line.records("out") if r["status"] == "skipped"]
    assert [(r["kind"], r["defense"]["name"]) for r in skipped] == [("clean", "toy-absent")]
    assert "no-such-distribution" in skipped[0]["reason"]
    assert re.search(r"toy-absent +incomplete: skipped: .*no-such-distribution", done.stdout)
    assert "no-such-distribution" in (command_line.folder / "out" / "index.html").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_fills_up_stops_the_run_with_what_to_do_and_loses_nothing(command_line, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    arguments = (*BASE, "--defenses", "toy-noise,toy-round", "--attacks", "toy-null-0*", "--no-html")
    try:
        full = command_line(*arguments, "--store", str(disk), code=None)
        assert full.returncode in (1, 2)
        assert "No space is left" in full.stderr
        assert "bench store gc" in full.stderr
        assert "Traceback" not in full.stderr
        assert not list(disk.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        again = command_line(*arguments, "--store", str(disk))
    finally:
        subprocess.run(["umount", disk], check=True)
    done = int(re.search(r"(\d+) tasks executed", again.stderr)[1])
    fresh = command_line(*arguments)
    assert 0 < done < int(re.search(r"(\d+) tasks executed", fresh.stderr)[1])  # what was stored was used
    assert again.stdout == fresh.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--defenses", "toy-rond"), "Did you mean 'toy-round'"),
        (("--attacks", "toy-stp"), "Did you mean 'toy-step'"),
        (("--defenses", "toy-round[x=1]"), "Unknown parameter"),
        (("--datasets", "mnist", "--data-dir", "nowhere"), "--download"),
        (("--eps", "8/0"), "Epsilon"),
        (("--norm", "l7"), "Unknown norm 'l7'"),
        (("--weights", "setup.bin"), "setup.bin"),
        (("--jobs", "999"), "cores"),
        (("--attacks", "toy-needs"), "no-such-distribution"),
    ],
)
def test_bad_input_ends_with_exit_code_two_and_says_what_to_do(command_line, arguments, said):
    done = command_line("run", "--datasets", "toy", "--hardware", "none", *arguments, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_folder_that_cannot_be_written_is_refused_before_any_work(command_line):
    blocked = command_line.folder / "file"
    blocked.write_text("")
    done = command_line(*BASE[:-1], str(blocked / "out"), code=2)
    assert "--out" in done.stderr
    assert not (command_line.folder / "store" / "objects").exists() or not any(
        (command_line.folder / "store" / "objects").rglob("*.safetensors")
    )


def test_an_object_that_is_damaged_where_a_task_reads_it_is_made_again_in_the_same_run(command_line):
    arguments = (*BASE, "--defenses", "toy-round", "--attacks", "toy-null-00", "--no-html")
    first = command_line(*arguments)
    root = command_line.folder / "store"
    store, kinds = Store(root), {}
    for path in (root / "objects").glob("??/*.safetensors"):
        kinds.setdefault(store.meta(path.stem)["kind"], []).append(path)
    shutil.rmtree(root / "records")
    for path in kinds["evaluate"]:
        path.unlink()
    craft = kinds["craft"][0]
    content = bytearray(craft.read_bytes())
    content[-1] ^= 1
    craft.write_bytes(bytes(content))
    again = command_line(*arguments)
    assert "0 failed" in again.stderr
    assert (root / "damaged").exists()
    assert again.stdout == first.stdout
