"""What the suite reads when it lists plugins; imports no torch."""

from bench.plugins.entries import Defense
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter


@hookimpl
def bench_defenses() -> list[Defense]:
    """Return the defenses that this package offers."""
    size = Parameter(
        name="size", type=int, default=3, choices=(3, 5), help="side of the window in pixels (Xu 2018, 3.2)"
    )
    return [
        Defense(
            name="median",
            factory="bench_median.defense:Median",
            summary="Each pixel becomes the median of the window around it, on the device.",
            source='Xu, Evans, Qi, "Feature Squeezing", NDSS 2018, section 3.2',
            parameters=(size,),
        )
    ]
