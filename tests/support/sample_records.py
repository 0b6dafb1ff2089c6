"""Records as a run leaves them, made up: what a report must be able to show, in one place.

Every image has a latent distance at which each attacker breaks it; attacks find it with more or less luck. The story
told: no defense breaks everywhere; a quantiser looks strong until the attacker knows it; adversarial training holds;
a randomised defense is scored on draws; one defense has no adaptive cell and one has a hole in its ladder.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from bench.analysis.records import encode_array

ATTACKS: dict[str, dict[str, Any]] = {
    "null": {"norm": "", "access": "none", "control": True},
    "noise": {"norm": "", "access": "none", "control": True},
    "fgsm": {"norm": "linf", "access": "gradient", "core": "fgsm"},
    "bim": {"norm": "linf", "access": "gradient"},
    "mim": {"norm": "linf", "access": "gradient"},
    "pgd": {"norm": "linf", "access": "gradient", "core": "pgd-ce"},
    "apgd-dlr": {"norm": "linf", "access": "gradient", "core": "apgd-dlr"},
    "square": {"norm": "linf", "access": "score", "core": "square"},
    "hopskipjump": {"norm": "linf", "access": "decision", "minimum_norm": True},
    "deepfool": {"norm": "l2", "access": "gradient", "minimum_norm": True},
    "cw-l2": {"norm": "l2", "access": "gradient", "minimum_norm": True},
}
DETECTING = {"evade": {"norm": "linf", "access": "gradient", "core": "detector-aware"}}  # no sample has one
STRENGTH = {"fgsm": 1.6, "bim": 1.12, "mim": 1.1, "pgd": 1.03, "apgd-dlr": 1.0, "square": 1.25, "hopskipjump": 1.3}
STRENGTH |= {"deepfool": 1.25, "cw-l2": 1.0, "null": 1e9, "noise": 6.0}

# label -> what it declares, clean accuracy, median distance (of epsilon .3) that each knowledge finds
DEFENSES: dict[str, dict[str, Any]] = {
    "none": {"clean": 0.993, "reach": (0.28, 0.5, 0.28, 0.28), "device": 0.05, "server": 0.9, "ratio": 1.0, "up": 784},
    "adversarial-training": {
        "clean": 0.985, "reach": (3.2, 2.0, 1.72, 1.7), "trains": True, "device": 0.05, "server": 0.9, "ratio": 1.01,
        "up": 784, "family": "training",
    },
    "qusec-cq[levels=2]": {
        "clean": 0.981, "reach": (3.9, 2.2, 9.0, 1.2), "device": 0.09, "server": 0.9, "ratio": 1.06, "up": 98,
        "family": "qusec", "published": [
            {"dataset": "mnist", "attack": "fgsm", "text": "96.3 %", "value": 0.963, "norm": "linf", "epsilon": 0.1,
                "knowledge": "white-box", "conditions": "figure 5", "parameters": {"levels": 2}},
            {"dataset": "mnist", "attack": "pgd", "text": "95.1 %", "value": 0.951},
        ],
    },
    "qusec-tq[levels=4,hardness=50]": {
        "clean": 0.987, "reach": (3.4, 1.8, 3.0, 1.22), "trains": True, "device": 0.12, "server": 0.9, "ratio": 1.09,
        "up": 196, "family": "qusec",
    },
    "superiot[window=3]": {
        "clean": 0.975, "reach": (1.7, 0.9, 0.8, 0.45), "randomised": True, "device": 0.4, "server": 6.1, "ratio": 7.2,
        "up": 611, "family": "superiot",
    },
    "median[size=3]": {"clean": 0.962, "reach": (2.2, 1.0, 0.9, None), "device": 0.2, "server": 0.9, "ratio": 1.2,
        "up": 784},
    "jpeg[quality=50]": {"clean": 0.977, "reach": (1.6, 0.9, 2.4, 0.7), "device": 0.3, "server": 1.0, "ratio": 1.3,
        "up": 402},
}  # fmt: skip

LEVELS = ("oblivious", "black-box", "white-box", "adaptive")
KNOWN_BY_ACCESS = {"gradient": ("oblivious", "white-box", "adaptive"), "score": ("black-box", "adaptive")}
KNOWN_BY_ACCESS |= {"decision": ("black-box",), "none": ("white-box",)}


def name_of(*parts: object) -> str:
    return blake2b("/".join(str(part) for part in parts).encode(), digest_size=16).hexdigest()


def base(
    kind: str, defense: str, *, n: int, seed: int = 0, dataset: str = "mnist", model: str = "cleverhans-cnn"
) -> dict[str, Any]:
    """Return what every kind of record has."""
    told = DEFENSES.get(defense, {})
    return {
        "schema": 1,
        "kind": kind,
        "status": "ok",
        "reason": "",
        "cell_id": name_of("cell", kind, defense, dataset, model, seed),
        "run_key": name_of("run", kind, defense, dataset, model, seed),
        "track": "evasion",
        "dataset": {"name": dataset, "label": dataset, "version": "1", "fingerprint": "5f1c" * 8},
        "model": {"name": model, "label": model, "version": "1", "weights": "shipped", "digest": f"{seed:04x}" * 8},
        "defense": {
            "name": defense.split("[")[0],
            "label": defense,
            "family": told.get("family", ""),
            "parameters": {},
            "version": "1",
            "distribution": "edge-defense-bench 0.1.0",
            "trains": told.get("trains", False),
            "randomised": told.get("randomised", False),
            "differentiable": True,
            "baseline": defense == "none",
            "published": told.get("published", []),
        },
        "budget": "standard",
        "seeds": {"split": 0, "training": seed, "attack": seed},
        "samples": n,
        "draws": {"select": 16, "score": 32} if told.get("randomised") else {"select": 1, "score": 1},
        "aggregates": {},
        "gates": [],
        "notes": {},
        "headline": True,
        "provenance": {
            "versions": {"edge-defense-bench": "0.1.0", "python": "3.11.2", "torch": "2.12.1"},
            "machine": {"platform": "Linux x86_64", "cpu": "Intel Xeon", "cores": 2},
            "command": "bench run --defenses superiot,qusec --attacks all --datasets mnist",
            "finished": "2026-11-21T10:00:00+00:00",
            "seconds": 3.1,
        },
    }  # fmt: skip


def with_outcomes(record: dict[str, Any], **arrays: np.ndarray) -> dict[str, Any]:
    """Add outcome arrays."""
    record["outcomes"] = {name: encode_array(array) for name, array in arrays.items()}
    return record


def clean_record(defense: str, correct: np.ndarray, **kwargs: Any) -> dict[str, Any]:
    """Return a clean record of a deterministic deployment with these answers."""
    correct = np.asarray(correct, dtype=np.uint8)
    return with_outcomes(
        base("clean", defense, n=len(correct), **kwargs), clean_correct=correct, selected=correct, scored=correct
    )


def attack_record(
    defense: str,
    attack: str,
    scored: np.ndarray,
    *,
    knowledge: str = "adaptive",
    norm: str = "linf",
    epsilon: float = 0.3,
    selected: np.ndarray | None = None,
    distance: np.ndarray | None = None,
    attacked: np.ndarray | None = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """Return an attack record with these outcomes."""
    scored = np.asarray(scored, dtype=np.uint8)
    n = len(scored)
    record = base("attack", defense, n=n, **kwargs)
    told = (ATTACKS | DETECTING).get(attack, {"norm": norm, "access": "gradient"})
    record |= {
        "attack": {
            "name": attack,
            "label": attack,
            "parameters": {},
            "version": "1",
            "distribution": "edge-defense-bench 0.1.0",
            "norm": told["norm"],
            "access": told["access"],
            "minimum_norm": told.get("minimum_norm", False),
            "core": told.get("core", ""),
            "control": told.get("control", False),
        },
        "knowledge": knowledge,
        "threat": {"norm": norm, "epsilon": epsilon, "domain": "uint8", "targeted": False},
        "aggregates": {"accuracy": float(scored.mean()), "forward": 40 * n, "gradient": 40 * n, "seconds": 2.5},
        "cell_id": name_of("attack", defense, attack, knowledge, norm, epsilon, record["seeds"]),
        "run_key": name_of("attack-run", defense, attack, knowledge, norm, epsilon, record["seeds"]),
    }
    return with_outcomes(
        record,
        selected=np.asarray(scored if selected is None else selected, dtype=np.uint8),
        scored=scored,
        distance=np.asarray(np.full(n, epsilon) if distance is None else distance, dtype=np.float32),
        attacked=np.ones(n, dtype=np.uint8) if attacked is None else np.asarray(attacked, dtype=np.uint8),
        inside=np.ones(n, dtype=np.uint8),
    )


def measurement(quantity: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    """Return one figure of cost."""
    return {
        "quantity": quantity,
        "statistic": "p50",
        "placement": "total",
        "runtime": "",
        "variant": "",
        "value": value,
        "low": None,
        "high": None,
        "unit": unit,
        "n": 640,
        "provenance": "measured",
        "source": "perf_counter_ns around the stage",
        "flags": [],
        **more,
    }


def cost_record(defense: str, **kwargs: Any) -> dict[str, Any]:
    """Return what a defense costs."""
    told, record = DEFENSES[defense], base("cost", defense, n=64, **kwargs)
    ratio, uplink = told["ratio"], told["up"]
    record["hardware"] = {"name": "cpu", "label": "cpu", "machine": {"cpu": "Intel Xeon", "cores": 2}}
    record["measurements"] = [
        measurement("latency_ratio", ratio, "", statistic="median", low=ratio * 0.97, high=ratio * 1.04),
        measurement("latency_ms", told["device"], "ms", placement="device", runtime="onnxruntime"),
        measurement("latency_ms", told["device"] * 2, "ms", placement="device", runtime="torch"),
        measurement("latency_ms", told["server"], "ms", placement="server", runtime="torch"),
        measurement("uplink_bytes", uplink, "B", statistic="mean", placement="device", provenance="counted"),
        measurement("uplink_bytes", uplink * 1.2, "B", statistic="p95", placement="device", provenance="counted"),
        measurement("uplink_bytes", uplink / 2, "B", statistic="mean", placement="device", variant="coded"),
        measurement("model_bytes", 670_000, "B", statistic="total", provenance="counted"),
        measurement("macs", 9_400_000, "MAC", statistic="total", provenance="counted"),
        measurement("peak_rss_bytes", 480_000_000, "B", statistic="max", runtime="torch"),
        measurement("peak_rss_bytes", 210_000_000, "B", statistic="max", placement="device", runtime="onnxruntime"),
        measurement("energy_mj", 14.2 * ratio, "mJ", statistic="mean", provenance="estimated-tdp", flags=["short"]),
    ]  # fmt: skip
    return record


def _picture(rng: np.random.Generator, number: int, epsilon: float) -> dict[str, Any]:
    rows, columns = np.mgrid[0:28, 0:28]
    ring = np.hypot(rows - 14, columns - 14 + rng.integers(-2, 3))
    clean = (255 * np.exp(-((ring - 4 - 3 * rng.random()) ** 2) / 4)).astype(np.uint8)[None]
    noise = np.where(rng.random((1, 28, 28)) < 0.5, -1, 1) * int(epsilon * 255)
    adversarial = np.clip(clean.astype(int) + noise, 0, 255).astype(np.uint8)
    defended = np.where(adversarial > 127, 255, 0).astype(np.uint8)
    arrays = {"clean": clean, "adversarial": adversarial, "defended": defended}
    return {"image": number, "clean_label": 0, "answer": 6, "true_label": 0} | {
        k: encode_array(v) for k, v in arrays.items()
    }


def sample_records(n: int = 1000, seeds: int = 1) -> list[dict[str, Any]]:
    """Return a whole comparison: 7 defenses, 3 radii of Linf and one of L2, cost, failures, skips, pictures."""
    records: list[dict[str, Any]] = []
    for seed in range(seeds):
        for defense in DEFENSES:
            records += _of_defense(defense, n, seed)
    return records


def _of_defense(defense: str, n: int, seed: int) -> list[dict[str, Any]]:
    told = DEFENSES[defense]
    rng = np.random.default_rng([seed, *defense.encode()])
    right = rng.random(n) < told["clean"]
    vulnerable = np.exp(rng.normal(0, 0.5, n))  # how far an image is from the boundary, in units of the median
    records = [cost_record(defense, seed=seed)]
    clean = clean_record(defense, right, seed=seed)
    if told.get("randomised"):
        shares = np.where(right, 0.985, 0.15)
        clean = with_outcomes(
            clean,
            clean_correct=right.astype(np.uint8),
            selected=_drawn(rng, shares, 16),
            scored=_drawn(rng, shares, 32),
        )
    clean["gates"] = [
        {"name": "determinism", "outcome": "pass", "evidence": "Largest difference between two draws: 0."}
    ]
    records.append(clean)
    for norm, epsilon in (("linf", 0.3), ("linf", 0.1), ("linf", 0.2), ("l2", 1.5)):
        for attack, traits in ATTACKS.items():
            if traits["norm"] not in (norm, ""):
                continue
            if traits.get("minimum_norm") and norm == "linf" and epsilon != 0.3:
                continue  # one run gives every radius
            for level, reach in zip(LEVELS, told["reach"], strict=True):
                if level not in KNOWN_BY_ACCESS[traits["access"]]:
                    continue
                records.append(_cell(defense, attack, level, reach, norm, epsilon, right, vulnerable, seed, rng))
    return records


def _cell(defense, attack, level, reach, norm, epsilon, right, vulnerable, seed, rng) -> dict[str, Any]:  # type: ignore[no-untyped-def]
    told, n, scale = DEFENSES[defense], len(right), 0.3 if norm == "linf" else 1.5
    randomised = bool(told.get("randomised"))
    distance = vulnerable * (reach or 1.0) * scale * STRENGTH[attack] * rng.uniform(1.0, 1.1, n)
    distance = np.where(rng.random(n) < 0.02, np.inf, distance)
    broken = right & (distance <= epsilon)
    minimum = bool(ATTACKS[attack].get("minimum_norm"))
    if randomised:
        shares = np.where(right, np.where(broken, 0.08, 0.975), 0.12)
        selected, scored = _drawn(rng, shares, 16), _drawn(rng, shares, 32)
    else:
        selected = scored = (right & ~broken).astype(np.uint8)
    record = attack_record(
        defense, attack, scored, knowledge=level, norm=norm, epsilon=epsilon, selected=selected,
        distance=distance if minimum else np.minimum(distance, epsilon), attacked=right, seed=seed,
    )  # fmt: skip
    record["headline"] = (norm, epsilon) == ("linf", 0.3)
    masked = told["reach"][2] > 5 and level == "white-box"
    record["gates"] = [
        {
            "name": "ball",
            "outcome": "pass",
            "evidence": "Every adversarial image is finite and inside the ball and the box.",
        },
        {
            "name": "gradients",
            "outcome": "warn" if masked else "pass",
            "evidence": "97.0% of the pixels are exactly zero: masked; read the adaptive number."
            if masked
            else "0.2% of the pixels are zero.",
        },
    ]
    status, reason = "ok", ""
    if reach is None:
        status, reason = "skipped", "The defense declares no surrogate and --knowledge adaptive was not asked for."
    elif defense.startswith("jpeg") and attack == "apgd-dlr" and level == "adaptive":
        status, reason = "timed-out", "Used up 1800 s; raise the limit or lower the budget."
    elif defense.startswith("median") and attack == "hopskipjump":
        status, reason = (
            "failed",
            "ContractViolation: the attack gave values that are not finite for test images [3, 17, 40].",
        )
    elif attack == "hopskipjump" and randomised:
        status, reason = (
            "skipped",
            "A minimum-norm attack ends on the boundary of one draw; not run against randomised deployments.",
        )
    if status != "ok":
        record |= {"status": status, "reason": reason, "gates": []}
        for name in ("outcomes", "draws", "aggregates"):
            del record[name]
    elif attack in ("pgd", "cw-l2") and (norm, epsilon) in (("linf", 0.3), ("l2", 1.5)):
        record["pictures"] = [_picture(rng, int(number), epsilon if norm == "linf" else 0.2) for number in (3, 8)]
    return record


def _drawn(rng: np.random.Generator, shares: np.ndarray, draws: int) -> np.ndarray:
    return rng.binomial(draws, shares).astype(np.uint8)


HOSTILE = '<script>alert("x")</script>|\x1b[31m'
_FREE = {
    "label",
    "name",
    "family",
    "evidence",
    "command",
    "platform",
    "cpu",
    "torch",
    "distribution",
    "source",
    "variant",
}
_FREE |= {"quantity", "unit", "provenance", "runtime", "version", "weights", "finished"}


def hostile_records(n: int = 20) -> list[dict[str, Any]]:
    """Return records in which every text that a stranger chooses attacks its reader."""
    failed = attack_record("none", "fgsm", np.zeros(n))
    del failed["outcomes"]
    records = [
        clean_record("none", np.ones(n)),
        attack_record("none", "pgd", np.zeros(n)) | {"pictures": [_picture(np.random.default_rng(0), 1, 0.3)]},
        attack_record("none", "square", np.ones(n), knowledge="black-box", epsilon=0.1),
        failed | {"status": "failed", "reason": f"<b>bad</b> {HOSTILE}"},
        cost_record("none"),
    ]
    for record in records:
        record["gates"] = [{"name": "gate", "outcome": "warn", "evidence": "evidence"}]
        record["defense"]["published"] = [
            {"attack": HOSTILE, "text": HOSTILE, "model": HOSTILE, "conditions": HOSTILE, "parameters": {HOSTILE: 1}}
        ]
        record["budget"] = HOSTILE
        for part in ("dataset", "model", "defense", "attack", "gates", "provenance", "measurements", "hardware"):
            if part in record:
                record[part] = _poisoned(record[part])
        for picture in record.get("pictures", []):
            picture |= {"true_label": HOSTILE, "answer": HOSTILE + "!"}
    return records


def _poisoned(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: HOSTILE if k in _FREE and isinstance(v, str) else _poisoned(v) for k, v in value.items()}
    return [_poisoned(item) for item in value] if isinstance(value, list) else value
