"""What a reader is told before any table."""

from __future__ import annotations

from typing import Any

from bench.reporting.summary import sentences


def row(defense: str, kept: float, rank: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "defense": defense,
        "status": "ranked",
        "gates": "",
        "rank_low": rank,
        "attacks": 29,
        "samples": 64,
        "robust_accuracy": kept,
        "robust_low": kept,
        "robust_high": kept + 0.057,
        **dict.fromkeys(
            ("oblivious", "white_box", "adaptive", "latency_ratio", "uplink_bytes", "clean_accuracy"),
            float("nan"),
        ),
        "oblivious_is_transfer": False,
        "detectable_difference": float("nan"),
        "macs": 1e6,
        "latency_ratio_flags": "",
        "control": "",
        **more,
    }


def told(*rows: dict[str, Any]) -> str:
    return str(sentences(rows)[0])


def test_defenses_that_all_lost_everything_do_not_lead() -> None:
    said = told(row("none", 0.0), row("superiot", 0.0))
    assert said.startswith("Nothing holds. No defense that is ranked here keeps more than 0.0 % of 64 images")
    assert "lead" not in said


def test_one_that_lost_nearly_everything_is_named() -> None:
    assert "Nothing holds. Even the best, <strong>cq</strong>, keeps only 6.0 %" in told(
        row("cq", 0.06), row("none", 0.0, rank=2)
    )


def test_defenses_that_cannot_be_told_apart_share_the_lead() -> None:
    said = told(row("at", 0.52), row("cq", 0.5), row("none", 0.0, rank=3))
    assert "lead, too close to tell apart: they keep between 50.0 % and 52.0 %" in said
    assert "(95 % interval 50.0–57.7 %)" in said  # of all of them
    assert said.endswith("the undefended model keeps 0.0 %.")


def test_the_undefended_model_is_the_measure_of_cost_and_has_none_itself() -> None:
    rows = [row("none", 0.0, latency_ratio=1.13), row("superiot", 0.0, latency_ratio=2.42)]
    said = " ".join(map(str, sentences(rows)))
    assert "<strong>superiot</strong> costs 2.42 times the undefended latency" in said
    assert "<strong>none</strong> costs" not in said


def test_a_ratio_that_was_not_timed_in_quiet_is_marked() -> None:
    rows = [row("a", 0.5, latency_ratio=2.848974, latency_ratio_flags="tainted drift"), row("none", 0.0, rank=2)]
    said = " ".join(map(str, sentences(rows)))
    assert (
        "costs 2.85‡ times the undefended latency. ‡ a doubtful time: it drifted, scattered or was disturbed." in said
    )
    rows[0]["latency_ratio_flags"] = ""
    assert "‡" not in " ".join(map(str, sentences(rows)))


def test_the_clean_accuracy_that_leaders_lose_is_their_first_cost() -> None:
    rows = [
        row("at", 0.38, clean_accuracy=0.763, uplink_bytes=3072.0),
        row("wide", 0.37, clean_accuracy=0.912),
        row("none", 0.0, rank=3, clean_accuracy=0.91),
    ]
    said = " ".join(map(str, sentences(rows)))
    assert (
        "<strong>at</strong> costs 14.7 points of clean accuracy (76.3 %, undefended 91.0 %) and 3.07 kB of uplink an "
        "image; <strong>wide</strong> costs no clean accuracy (91.2 %, undefended 91.0 %)."
    ) in said


def controlled(kept: float, more: float, low: float, high: float) -> dict[str, Any]:
    return {
        "control": "wide",
        "control_accuracy": kept,
        "control_difference": more,
        "control_low": low,
        "control_high": high,
    }


def test_what_multiplies_the_compute_is_held_against_what_else_that_compute_buys() -> None:
    more = controlled(0.45, 0.35, 0.31, 0.39)
    rows = [row("wide", 0.45, macs=28e6), row("defed", 0.1, rank=2, macs=28e6, **more), row("none", 0.0, rank=3)]
    assert (
        "<strong>defed</strong> multiplies the compute by 28.0; among defenses that need no more, "
        "<strong>wide</strong> keeps most: 45.0 %, 35.0 points more (95 % interval of the difference +31.0 to +39.0)."
    ) in " ".join(map(str, sentences(rows)))


def test_a_control_that_cannot_be_told_apart_is_not_said_to_keep_more() -> None:
    more = controlled(0.11, 0.01, -0.02, 0.04)
    said = " ".join(map(str, sentences([row("defed", 0.1, macs=4e6, **more), row("wide", 0.11, macs=2e6)])))
    assert "keeps most: 11.0 %, as much, as far as can be told" in said


def test_secrecy_and_masked_gradients_are_told_apart() -> None:
    """A white-box attacker knows the defense: where he fails, his gradients mislead him."""
    rows = [
        row("bit-depth", 0.0, oblivious=0.0, white_box=0.79, adaptive=0.0),
        row("defed", 0.0, oblivious=0.34, white_box=0.01, adaptive=0.0),
        row("trained", 0.4, oblivious=0.75, white_box=0.42, adaptive=0.4, oblivious_is_transfer=True),
    ]
    said = " ".join(map(str, sentences(rows)))
    assert "<strong>defed</strong> profits most from not being known: it keeps 34.0 %" in said
    assert (
        "<strong>bit-depth</strong> misleads most: all attacks on it as it runs, by gradients and by queries, leave 79"
        in said
    )
    assert "profits" not in str(sentences([rows[2]])), "a transfer tells nothing of secrecy"
    assert "misleads" not in str(sentences(rows[1:]))
