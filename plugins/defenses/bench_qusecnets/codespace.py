"""What a classifier can be shown behind a quantiser: the exact reach of an Linf attacker, and how to realise it.

The quantiser acts on each pixel by itself and never decreases. So inside an Linf ball the classifier can be shown
*exactly* the product over the pixels of the values from that of the darkest to that of the brightest grey allowed.
The paper's specification calls them codes; here each distinct value of a channel has a rank, which also covers the
authors' soft layer: of an 8-bit image it is a table of 256 values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.attack import Threat
from bench.deployment import Classify, Deployment
from bench.errors import Unavailable
from bench_qusecnets.stages import Quantise, SoftQuantise

GREYS = 256


@dataclass(frozen=True)
class CodeSpace:
    """The values that a classifier sees of 8-bit images, channel by channel.

    Attributes
    ----------
    ranks : int64, (C, 256), of the value of each grey among the distinct values of its channel
    values : float32, (C, R), ascending; the last one repeated where a channel has fewer
    first, last : int64, (C, R), the darkest and the brightest grey of each rank
    """

    ranks: Tensor
    values: Tensor
    first: Tensor
    last: Tensor

    @classmethod
    def of(cls, stage: Quantise | SoftQuantise, channels: int) -> CodeSpace:
        """Return the space behind a quantiser."""
        greys = torch.arange(GREYS, dtype=torch.float32) / 255.0
        table = stage.transform(greys.reshape(-1, 1, 1, 1).expand(-1, channels, 1, 1))
        return cls.from_table(table.flatten(1).T)

    @classmethod
    def from_table(cls, table: Tensor) -> CodeSpace:
        """Return the space of a table grey -> value, (C, 256), that never decreases."""
        # The soft layer's float32 sum may fall by its last bit where it is flat.
        table = table.cummax(1).values
        rows = [torch.unique(row, return_inverse=True) for row in table]
        size = max(len(values) for values, _ in rows)
        number = torch.arange(GREYS)
        values, first, last = [], [], []
        for distinct, inverse in rows:
            padding = size - len(distinct)
            values.append(torch.cat([distinct, distinct[-1:].expand(padding)]))
            begins = torch.stack([number[inverse == rank].min() for rank in range(len(distinct))])
            ends = torch.stack([number[inverse == rank].max() for rank in range(len(distinct))])
            first.append(torch.cat([begins, begins[-1:].expand(padding)]))
            last.append(torch.cat([ends, ends[-1:].expand(padding)]))
        ranks = torch.stack([inverse for _, inverse in rows])
        return cls(ranks, torch.stack(values), torch.stack(first), torch.stack(last))

    def reach(self, x: Tensor, threat: Threat) -> tuple[Tensor, Tensor]:
        """Return the lowest and the highest rank of each pixel inside the ball, int64, (B, C, H, W).

        Parameters
        ----------
        x : on the grid v/255
        threat : Linf, on the 8-bit grid

        Raises
        ------
        Unavailable : another threat, of which the reach is no product over the pixels
        """
        if threat.norm != "linf" or threat.domain != "uint8":
            raise Unavailable(f"Codes are enumerated under linf on the 8-bit grid; not {threat.norm}, {threat.domain}.")
        greys = torch.round(x * 255.0).long()
        low, high = (side[greys] for side in threat.greys())
        return self._look_up(self.ranks, low), self._look_up(self.ranks, high)

    def ranks_of(self, x: Tensor) -> Tensor:
        """Return the rank of each pixel of images, int64, (B, C, H, W)."""
        return self._look_up(self.ranks, torch.round(x * 255.0).long())

    def shown(self, ranks: Tensor) -> Tensor:
        """Return the values of ranks, float32: what the classifier sees, to the bit."""
        return self._look_up(self.values, ranks)

    def realise(self, x: Tensor, ranks: Tensor) -> Tensor:
        """Return the images nearest to ``x``, in every norm, of which the classifier sees these ranks, float32."""
        greys = torch.round(x * 255.0).long()
        nearest = torch.minimum(torch.maximum(greys, self._look_up(self.first, ranks)), self._look_up(self.last, ranks))
        return nearest.float() / 255.0

    def _look_up(self, table: Tensor, index: Tensor) -> Tensor:
        """Return table[c, index] for each pixel of channel c."""
        flat = index.transpose(0, 1).flatten(1)
        return table.gather(1, flat).reshape(index.transpose(0, 1).shape).transpose(0, 1).contiguous()


def parts(deployment: Deployment) -> tuple[Quantise | SoftQuantise, nn.Module]:
    """Return the quantiser and the classifier of a deployment of this package.

    Raises
    ------
    Unavailable : it has other stages
    """
    stages = list(deployment.stages)
    quantiser = next((stage for stage in stages if isinstance(stage, Quantise | SoftQuantise)), None)
    if quantiser is None or not isinstance(stages[-1], Classify):
        raise Unavailable("The deployment is no quantiser in front of a classifier.")
    return quantiser, stages[-1].network
