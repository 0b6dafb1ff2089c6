"""The attacks of the Adversarial Robustness Toolbox, and the controls beside them; imports neither torch nor art."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Attack, NotOffered, Settings
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter
from bench_art.table import ROWS
from bench_art.withheld import WITHHELD

_QUICK, _STANDARD = Settings(seconds=0.05, block=64), Settings(seconds=0.05)


@hookimpl
def bench_attacks() -> Sequence[Attack | NotOffered]:
    """Return the controls, the attacks offered, and those known but not offered."""
    controls = [
        Attack(
            name="null",
            factory="bench_art.controls:Null",
            summary="Control: returns its input. Whatever it seems to break, the harness broke.",
            norm="",
            access="none",
            control=True,
            quick=_QUICK,
            standard=_STANDARD,
        ),
        Attack(
            name="noise",
            factory="bench_art.controls:Noise",
            summary="Control: one uniform draw from the ball. An attack no stronger than it found no direction.",
            norm="",
            access="none",
            control=True,
            quick=_QUICK,
            standard=_STANDARD,
        ),
        Attack(
            name="jpeg-shift",
            factory="bench_art.controls:JpegShift",
            summary="Control: what a JPEG file keeps of the image, in the ball. To detect it is a false alarm.",
            norm="",
            access="none",
            control=True,
            wants="detector",
            parameters=(
                Parameter(
                    name="quality", type=int, default=75, minimum=1, maximum=100, help="of Pillow's codec (its default)"
                ),
            ),
            quick=_QUICK,
            standard=_STANDARD,
        ),
    ]
    return [*controls, *(row.entry() for row in ROWS), *WITHHELD]
