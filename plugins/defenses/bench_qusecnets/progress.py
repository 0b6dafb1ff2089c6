"""What ``truth`` has solved so far, in a file that any interruption leaves whole."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.store.files import write_whole
from bench_qusecnets.exact import ImageTruth


class Progress:
    """Results one a line, each appended whole; a line that a kill cut short is dropped.

    Parameters
    ----------
    named : what is solved, by its keys; a file of something else is refused

    Attributes
    ----------
    known : image -> the result under the largest budget so far
    seconds : of one core, of all results
    clock : seconds by the clock up to the last result, of all attempts
    """

    def __init__(self, path: Path, named: Mapping[str, Any]) -> None:
        self.path = path
        self.known: dict[int, ImageTruth] = {}
        self.seconds = self.clock = 0.0
        lines = list(_whole_lines(path))
        if lines and lines[0] != named:
            raise UsageError(
                f"{path} holds results of another deployment, threat or solver. Name another folder with --out, or "
                "remove the file."
            )
        for line in lines[1:]:
            self.clock = line["clock"]
            self._keep(ImageTruth(**{name: value for name, value in line.items() if name != "clock"}))
        self._begun = time.monotonic() - self.clock
        content = "".join(json.dumps(line) + "\n" for line in (lines or [dict(named)]))
        write_whole(path, content.encode(), what="truth")

    def wants(self, image: int, budget: int) -> bool:
        """Return whether an image is to be solved under a budget."""
        known = self.known.get(image)
        return known is None or (known.verdict == "open" and known.budget < budget)

    def add(self, truth: ImageTruth) -> None:
        """Keep a result, in the file first."""
        self.clock = round(time.monotonic() - self._begun, 1)
        with self.path.open("a") as file:
            file.write(json.dumps({**truth.as_dict(), "clock": self.clock}) + "\n")
        self._keep(truth)

    @property
    def minutes(self) -> float:
        """Return the minutes by the clock, of all attempts."""
        return self.clock / 60

    def line(self, count: int) -> str:
        """Return how far it is."""
        verdicts = [truth.verdict for truth in self.known.values()]
        told = ", ".join(f"{verdicts.count(word)} {word}" for word in ("robust", "broken", "open"))
        return f"{len(verdicts)} of {count} images: {told}; {self.seconds:.0f} s of one core"

    def _keep(self, truth: ImageTruth) -> None:
        self.known[truth.image] = truth
        self.seconds += truth.seconds


def _whole_lines(path: Path) -> Iterator[Any]:
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:  # what follows the last newline was cut short
        yield json.loads(line)
