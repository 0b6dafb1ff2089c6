"""Gates: checks of a number, each a small pure function of evidence; one module each.

A failed gate bars a row from ranking; a warning is printed beside it. There are two scopes: a gate of a *record* judges
one cell by what its tasks left (``record["evidence"]``), when the record is made; a gate of a *row* judges each attack
of a row by its own outcomes, before any pooling, when records are analysed (``RowEvidence``).

The suite's own gates are listed in ``own`` and enter by the same hook as anybody's.
"""

from bench.analysis.gates.verdict import GateOutcome, Verdict

__all__ = ["GateOutcome", "Verdict"]
