"""Three toy deployments of the shapes that must fit: a mask on the wire, one shared network, two nets in two places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, Draws, Join, Node, Signal, Stage

SHAPE = (1, 8, 8)
CLASSES = 3


def names(count: int) -> list[bytes]:
    return [f"image {i}".encode() for i in range(count)]


def batch(count: int = 6, shape: tuple[int, int, int] = SHAPE, *, draw: int = 0, seed: int = 0) -> Signal:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (count, *shape), generator=generator).float() / 255.0
    return Signal(x, Draws.of("score", 0, names(count), draw))


def small_network(channels: int = 1, classes: int = CLASSES) -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Conv2d(channels, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, classes)).eval()


class Erase(Stage):
    """Drops pixels on the device; image and mask go over the uplink together."""

    placement = "device"
    randomised = True

    def forward(self, signal: Signal) -> Signal:
        drops = torch.from_numpy(signal.draws.uniform("erase", *signal.x.shape[1:]) < 0.5)
        return signal.replace(torch.where(drops, 0.0, signal.x), mask=drops)

    def encode(self, signal: Signal, wire_format: str = "raw") -> list[bytes]:
        images = super().encode(signal)
        masks = np.packbits(signal.side["mask"].flatten(1).numpy(), axis=1)
        return [image + mask.tobytes() for image, mask in zip(images, masks, strict=True)]

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str = "raw") -> Signal:
        size = like.x[0].numel()
        signal = super().decode([payload[:size] for payload in payloads], like)
        bits = np.stack([np.frombuffer(payload[size:], dtype=np.uint8) for payload in payloads])
        masks = np.unpackbits(bits, axis=1, count=size).astype(bool).reshape(like.x.shape)
        return signal.replace(mask=torch.from_numpy(masks))


class Fill(Stage):
    """Fills what the mask says was dropped with the mean of the rest."""

    def forward(self, signal: Signal) -> Signal:
        kept = ~signal.side["mask"]
        mean = (signal.x * kept).flatten(1).sum(1) / kept.flatten(1).sum(1)
        return signal.replace(torch.where(kept, signal.x, mean[:, None, None, None]))


class Denoise(Stage):
    placement = "device"

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side_length = side

    def transform(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.side_length, 1, self.side_length // 2)


class Decide(Join):
    """Compares the answer for the image with those for its denoised copies."""

    placement = "device"
    threshold = 0.05

    def combine(self, *signals: Signal) -> Signal:
        plain, *denoised = signals
        copies = torch.stack([s.x for s in denoised])
        score = (copies - plain.x).abs().mean((0, 2))
        rejected = score > self.threshold
        return plain.replace(torch.where(rejected[:, None], copies.mean(0), plain.x), score=score, rejected=rejected)


class Backbone(Stage):
    """The large net in the open; what it computes in between is tapped."""

    placement = "device"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1)

    def forward(self, signal: Signal) -> Signal:
        tap = F.softplus(self.first(signal.x))
        return signal.replace(signal.x, tap=tap, features=F.relu(self.second(tap)))

    def cross(self, signal: Signal) -> Signal:
        return Signal(signal.x, signal.draws, {"tap": signal.side["tap"]})

    def encode(self, signal: Signal, wire_format: str = "raw") -> list[bytes]:
        both = torch.cat([signal.x.flatten(1), signal.side["tap"].flatten(1)], 1).detach().numpy()
        return [row.tobytes() for row in both.astype("<f4")]

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str = "raw") -> Signal:
        rows = torch.from_numpy(np.stack([np.frombuffer(payload, dtype="<f4") for payload in payloads]).copy())
        size = like.x[0].numel()
        side = like.x.shape[-1] // 2
        return Signal(
            rows[:, :size].reshape(like.x.shape), like.draws, {"tap": rows[:, size:].reshape(-1, 4, side, side)}
        )


class Companion(Stage):
    """The small net in the trusted place; it sees the tap and answers."""

    placement = "tee"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, signal: Signal) -> Signal:
        assert "features" not in signal.side, "more than the tap came over"
        return Signal(self.head(signal.side["tap"].mean((2, 3))), signal.draws)


def erasing() -> Deployment:
    return Deployment.chain(Erase(), Fill(), Classify(small_network()))


def denoising() -> Deployment:
    classify = Classify(small_network(), "device")
    denoisers = [Node(f"denoise-{m}", Denoise(side)) for m, side in enumerate((3, 5))]
    runs = [Node("plain", classify), *(Node(f"run-{m}", classify, (f"denoise-{m}",)) for m in range(2))]
    return Deployment([*denoisers, *runs, Node("decide", Decide(), tuple(node.name for node in runs))])


def mirrored() -> Deployment:
    return Deployment.chain(Backbone(), Companion())


SHAPES = {"mask beside the image": erasing, "shared classifier": denoising, "taps one way": mirrored}
each_shape = pytest.mark.parametrize("build", SHAPES.values(), ids=SHAPES.keys())


@each_shape
def test_it_answers_with_logits_of_every_image(build) -> None:
    answer = build().answer(batch(5))
    assert answer.x.shape == (5, CLASSES)
    assert torch.isfinite(answer.x).all()
    assert not torch.equal(answer.x[0], answer.x[1])


@each_shape
def test_bytes_and_tensors_tell_the_other_side_the_same(build) -> None:
    deployment, signal = build(), batch()
    assert torch.equal(deployment.answer(signal).x, deployment(signal).x)


@each_shape
def test_an_image_gets_the_same_answer_alone_in_a_batch_and_in_another_order(build) -> None:
    deployment, signal = build(), batch(6)
    together = deployment.answer(signal).x
    order = [4, 2, 0, 5, 1, 3]
    shuffled = deployment.answer(Signal(signal.x[order], signal.draws[order])).x
    torch.testing.assert_close(shuffled, together[order], atol=1e-5, rtol=0)
    for row in range(6):
        alone = deployment.answer(Signal(signal.x[row : row + 1], signal.draws[row : row + 1])).x
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=0)


@each_shape
def test_a_gradient_comes_back_through_every_border(build) -> None:
    deployment, signal = build(), batch()
    x = signal.x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(deployment(signal.replace(x)).x.square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.flatten(1).abs().amax(1) > 0).all()


def test_a_mask_goes_beside_the_image_over_the_uplink() -> None:
    deployment, signal = erasing(), batch(2)
    leaving = deployment.nodes[0].stage(signal)
    payloads = deployment.nodes[0].stage.encode(leaving)
    assert [len(p) for p in payloads] == [64 + 8, 64 + 8]
    arrived = deployment.nodes[0].stage.decode(payloads, Signal(torch.full_like(signal.x, torch.nan), signal.draws))
    assert torch.equal(arrived.side["mask"], leaving.side["mask"])
    assert torch.equal(arrived.x, leaving.x)
    assert deployment.placements == ("device", "server")
    assert deployment.randomised


def test_another_draw_erases_other_pixels_and_the_same_draw_the_same() -> None:
    deployment = erasing()
    first, again, other = (deployment.answer(batch(4, draw=draw)).x for draw in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_classifier_runs_once_for_the_image_and_once_for_each_denoised_copy() -> None:
    deployment, signal = denoising(), batch(4)
    calls = []
    classify = deployment.node("plain").stage
    handle = classify.register_forward_hook(lambda *_: calls.append(1))
    answer = deployment.answer(signal)
    handle.remove()
    assert len(calls) == 3
    assert sum(1 for stage in deployment.stages if isinstance(stage, Classify)) == 1
    assert answer.side["score"].shape == (4,)
    assert answer.side["rejected"].dtype == torch.bool
    assert torch.equal(answer.side["rejected"], answer.side["score"] > Decide.threshold)
    assert deployment.placements == ("device",)


def test_the_decision_depends_on_what_the_denoisers_say() -> None:
    deployment, signal = denoising(), batch(4)
    plain = deployment.node("plain").stage(signal).x
    deployment.node("decide").stage.threshold = -1.0
    corrected = deployment.answer(signal)
    deployment.node("decide").stage.threshold = 1e9
    assert torch.equal(deployment.answer(signal).x, plain)
    assert corrected.side["rejected"].all()
    assert not torch.equal(corrected.x, plain)


def test_nothing_but_the_tap_reaches_the_trusted_place() -> None:
    deployment, signal = mirrored(), batch(2)
    crossings = []
    walk = deployment.walk
    walk(
        signal,
        lambda node, inputs: node.stage(inputs[0]),
        lambda node, s: crossings.append(node.name) or node.stage.cross(s),
    )
    assert crossings == ["0-backbone"]
    assert deployment.placements == ("device", "tee")
    deployment.answer(signal)  # the companion asserts what it sees


def test_a_signal_that_two_nodes_take_crosses_its_border_once() -> None:
    class Counting(Capture):
        sent = 0

        def encode(self, signal: Signal, wire_format: str = "raw") -> list[bytes]:
            Counting.sent += 1
            return super().encode(signal)

    classify, other = Classify(small_network()), Classify(small_network())
    deployment = Deployment(
        [
            Node("camera", Counting()),
            Node("one", classify, ("camera",)),
            Node("two", other, ("camera",)),
            Node("decide", Decide(), ("one", "two"), placed="server"),
        ]
    )
    deployment.answer(batch(3))
    assert Counting.sent == 1


@pytest.mark.parametrize(
    "nodes",
    [
        [Node("a", Capture(), ("b",)), Node("b", Capture())],
        [Node("a", Capture()), Node("a", Capture())],
    ],
    ids=["an input that comes later", "a name used twice"],
)
def test_a_graph_that_cannot_run_is_refused(nodes) -> None:
    with pytest.raises(ValueError, match="Node '"):
        Deployment(nodes)


def test_a_bare_border_moves_all_deployments_alike() -> None:
    """Whatever comes after it, the classifier sees the image rounded to 8 bit, and nothing else changed."""

    class Identity(Stage):
        placement = "device"

        def transform(self, x: Tensor) -> Tensor:
            return x

    off_grid = torch.rand((8, *SHAPE), generator=torch.Generator().manual_seed(1))
    signal = Signal(off_grid, Draws.of("score", 0, names(8)))
    rounded = signal.replace(torch.round(off_grid * 255.0) / 255.0)
    network = small_network()
    undefended = Deployment.chain(Capture(), Classify(network))
    for deployment in (undefended, Deployment.chain(Identity(), Classify(network))):
        assert torch.equal(deployment.answer(signal).x, deployment.answer(rounded).x)
        assert torch.equal(deployment.answer(signal).x, undefended.answer(signal).x)
    assert not torch.equal(undefended.answer(signal).x, network(off_grid)), "the border must be felt"


def test_the_default_border_lets_no_side_tensor_through() -> None:
    class Scoring(Stage):
        placement = "device"

        def forward(self, signal: Signal) -> Signal:
            return signal.replace(score=signal.x.flatten(1).mean(1))

    deployment = Deployment.chain(Scoring(), Classify(nn.Flatten()))
    signal = Signal(torch.rand(2, 1, 4, 4), Draws.of("probe", 0, [b"a", b"b"]))
    assert dict(deployment(signal).side) == dict(deployment.answer(signal).side) == {}


def test_the_borders_rounding_is_straight_through() -> None:
    x = torch.rand((4, *SHAPE), generator=torch.Generator().manual_seed(2)).requires_grad_(True)
    crossed = Capture().cross(Signal(x, Draws.of("score", 0, names(4)))).x
    (gradient,) = torch.autograd.grad(crossed.sum(), x)
    assert torch.equal(gradient, torch.ones_like(x))
    assert torch.equal(crossed.detach(), torch.round(x.detach() * 255.0) / 255.0)
