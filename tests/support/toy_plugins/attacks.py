"""Attacks that do nothing, one that works, and some that break their contract."""

import os
import signal
import time

import torch

from bench.attack import AttackResult


class Null:
    def run(self, surface, batch, threat):
        surface.predict(batch.x)
        return AttackResult(batch.x)


class Insider:
    """Blanks the images, and says what it saw of the defense."""

    def run(self, surface, batch, threat):
        names = ", ".join(type(stage).__name__ for stage in surface.deployment.stages)
        return AttackResult((batch.x - threat.epsilon).clamp(0, 1), {"saw": names, "of class 0": batch.y == 0})


class Step:
    def run(self, surface, batch, threat):
        gradient = surface.loss_gradient(batch.x, batch.y)
        return AttackResult((batch.x + threat.epsilon * gradient.sign()).clamp(0, 1))


class Raises:
    def run(self, surface, batch, threat):
        print("what the attack printed")  # noqa: T201
        raise RuntimeError("the attack <b>broke</b>")


class Hangs:
    def run(self, surface, batch, threat):
        time.sleep(3600)


class Dies:
    def run(self, surface, batch, threat):
        os.kill(os.getpid(), signal.SIGKILL)


class NotFinite:
    def run(self, surface, batch, threat):
        x = batch.x.clone()
        x[1] = float("nan")
        return AttackResult(x)


class Outside:
    def run(self, surface, batch, threat):
        x = batch.x.clone()
        x[2] = (x[2] + 3 * threat.epsilon).clamp(0, 1)
        return AttackResult(torch.as_tensor(x))


class Grows:
    def run(self, surface, batch, threat):
        kept = []
        while True:
            kept.append(torch.zeros(1 << 28))  # a GiB


class Steps:
    """Steps along the gradient's sign; ``pace`` is one step as a share of epsilon."""

    def __init__(self, *, count=20, pace=0.25):
        self.count, self.pace = count, pace

    def run(self, surface, batch, threat):
        x = batch.x
        for _ in range(self.count):
            moved = x + self.pace * threat.epsilon * surface.loss_gradient(x, batch.y).sign()
            x = torch.minimum(torch.maximum(moved, batch.x - threat.epsilon), batch.x + threat.epsilon).clamp(0, 1)
        return AttackResult(x)


class Continues(Steps):
    """Leaves what it is given to set out from as it is."""

    def run(self, surface, batch, threat):
        found = super().run(surface, batch, threat)
        return found if batch.start is None else AttackResult(batch.start)


class Stumbles(Steps):
    """Breaks where there are only two classes, unless the day is a good one."""

    def run(self, surface, batch, threat):
        if surface.classes == 2 and "TOY_GOOD_DAY" not in os.environ:
            raise ZeroDivisionError("one class too few")
        return super().run(surface, batch, threat)


def stops_early():
    return Steps(count=5, pace=0.1)


class Idle:
    """Asks for gradients, and returns its input."""

    def run(self, surface, batch, threat):
        surface.loss_gradient(batch.x, batch.y)
        return AttackResult(batch.x)


class Forgets:
    """Passes through what it looks for, and comes back without."""

    def run(self, surface, batch, threat):
        surface.predict(Steps().run(surface, batch, threat).x_adv)
        return AttackResult(batch.x)


class Clocked:
    """Draws from the clock."""

    def run(self, surface, batch, threat):
        generator = torch.Generator().manual_seed(time.time_ns())
        sign = torch.rand(batch.x.shape, generator=generator).sub(0.5).sign()
        return AttackResult((batch.x + threat.epsilon * sign).clamp(0, 1))
