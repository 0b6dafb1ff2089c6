"""Make all shipped weights again: ``python -m bench_models.make_weights --data-dir DIR``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench_models.train import main as train_one

SHIPPED = (
    ("lenet5", "digits", 0),
    ("cleverhans-cnn", "digits", 0),
    ("lenet5", "mnist", 0),
    *(("cleverhans-cnn", "mnist", seed) for seed in range(3)),
    ("resnet20", "cifar10", 0),
)


def main(arguments: Sequence[str]) -> int:
    """Train each shipped network in turn, with the same further arguments; return the first exit code that is not 0."""
    for model, dataset, seed in SHIPPED:
        code = train_one(["--model", model, "--dataset", dataset, "--training-seed", str(seed), *arguments])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
