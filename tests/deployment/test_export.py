import numpy as np
import pytest
import torch
from torch import nn

from bench.deployment import INPUT, Capture, Classify, Deployment, Draws, Join, Node, Signal, Stage
from bench.deployment.export import Exported, NotExportable, OnnxSubgraph, export
from bench.deployment.subgraph import subgraphs


class Gain(Stage):
    placement = "device"

    def __init__(self, placement="device", channels=3):
        super().__init__()
        self.placement = placement
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def transform(self, x):
        return torch.sigmoid(self.conv(x))


class Tap(Join):
    """The secret branch's next layer: its own features with a tap from the public one."""

    placement = "tee"

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def combine(self, *signals):
        return signals[-1].replace(torch.relu(self.conv(sum(s.x for s in signals))))


class Mean(Stage):
    placement = "tee"

    def transform(self, x):
        return x.mean((2, 3))


class Masked(Stage):
    placement = "device"

    def forward(self, signal):
        mask = (signal.x.mean(1, keepdim=True) > 0.5).to(torch.uint8)
        return signal.replace(signal.x * mask, mask=mask)


class Sorted(Stage):
    placement = "device"

    def transform(self, x):
        return torch.from_numpy(np.sort(x.numpy(), axis=-1))


class Cached(Stage):
    """A tracer sees its constant; only another image shows that it is one."""

    placement = "device"

    def transform(self, x):
        return x + float(x.mean())


class Rough(Stage):
    """Off by more than an order of summation could be, and by less than anyone sees."""

    placement = "device"

    def transform(self, x):
        return x + (5e-4 if torch.jit.is_tracing() else 0.0)


class Noise(Stage):
    placement = "device"
    randomised = True

    def forward(self, signal):
        return signal.replace(signal.x + torch.from_numpy(signal.draws.normal("n", *signal.x.shape[1:])).float())


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()


def images(count=4, side=8):
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(count, 3, side, side, generator=rng)
    return [Signal(x[i : i + 1], Draws.of("profile", 0, [bytes([i])])) for i in range(count)]


def exports(deployment, folder):
    """Return what becomes of every subgraph, each fed with what arrives at it in torch."""
    stores = [{INPUT: signal} for signal in images()]
    result = {}
    for part in subgraphs(deployment):
        examples = [{name: store[name] for name in part.inputs} for store in stores]
        result[part.name] = (export(part, examples, folder), examples)
        with torch.no_grad():
            for store, example in zip(stores, examples, strict=True):
                store.update(part.run(example))
    return result, stores


def mirror():
    torch.manual_seed(0)
    d1, d2 = Gain(), Gain()
    return Deployment(
        [
            Node("public-1", d1),
            Node("secret-1", Tap(), ("public-1",)),
            Node("public-2", d2, ("public-1",)),
            Node("secret-2", Tap(), ("public-2", "secret-1")),
            Node("answer", Mean(), ("secret-2",)),
        ]
    )


def test_a_chain_falls_into_one_subgraph_a_placement():
    parts = subgraphs(Deployment.chain(Capture(), Gain(), Classify(network())))
    assert [(p.name, len(p.nodes), p.inputs, p.outputs) for p in parts] == [
        ("device-0", 2, ("input",), ("1-gain",)),
        ("server-1", 1, ("1-gain",), ("2-classify",)),
    ]


def test_two_nets_with_taps_are_two_subgraphs_however_their_layers_alternate():
    public, secret = subgraphs(mirror())
    assert (public.name, public.inputs, public.outputs) == ("device-0", ("input",), ("public-1", "public-2"))
    assert (secret.name, secret.inputs, secret.outputs) == ("tee-1", ("public-1", "public-2"), ("answer",))


def test_a_device_that_waits_for_the_server_has_two_subgraphs():
    first, last = Gain(), Gain()
    parts = subgraphs(Deployment([Node("a", first), Node("b", Gain("server"), ("a",)), Node("c", last, ("b",))]))
    assert [(p.name, p.inputs, p.outputs) for p in parts] == [
        ("device-0", ("input",), ("a",)),
        ("server-1", ("a",), ("b",)),
        ("device-2", ("b",), ("c",)),
    ]


def test_subgraphs_run_in_their_order_give_the_deployments_answer():
    for deployment in (mirror(), Deployment.chain(Capture(), Masked(), Classify(network()))):
        store = {INPUT: images()[0]}
        with torch.no_grad():
            for part in subgraphs(deployment):
                store.update(part.run({name: store[name] for name in part.inputs}))
            expected = deployment.walk(images()[0], lambda n, i: n.stage.combine(*i) if isinstance(n.stage, Join)
                                       else n.stage(i[0]), lambda n, leaving: leaving)  # fmt: skip
        assert torch.equal(store[deployment.nodes[-1].name].x, expected.x)


@pytest.mark.parametrize("build", [lambda: Deployment.chain(Capture(), Gain(), Classify(network())), mirror])
def test_every_placement_exports_and_onnxruntime_repeats_torch(build, tmp_path):
    found, stores = exports(build(), tmp_path)
    for exported, examples in found.values():
        assert isinstance(exported, Exported), exported
        assert exported.size_bytes == exported.path.stat().st_size > 0
        assert exported.opset == 17
        runner = OnnxSubgraph(exported)
        for example, store in zip(examples, stores, strict=True):
            for name, signal in runner.run(example).items():
                assert torch.allclose(signal.x, store[name].x, atol=1e-5)
                assert signal.draws is next(iter(example.values())).draws


def test_side_tensors_cross_the_graph_with_their_type(tmp_path):
    found, stores = exports(Deployment.chain(Masked(), Classify(network())), tmp_path)
    exported, examples = found["device-0"]
    assert [port.name for port in exported.outputs] == ["0-masked.x", "0-masked.mask"]
    answer = OnnxSubgraph(exported).run(examples[1])["0-masked"]
    assert answer.side["mask"].dtype == torch.uint8
    assert torch.equal(answer.side["mask"], stores[1]["0-masked"].side["mask"])


def test_the_bare_sensor_exports(tmp_path):
    exported = exports(Deployment.chain(Capture(), Classify(network())), tmp_path)[0]["device-0"][0]
    assert isinstance(exported, Exported)
    assert exported.difference == 0.0
    assert exported.shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        (Sorted, "stage '0-sorted' computes with NumPy"),
        (Cached, "does not repeat torch's '0-cached.x'"),
        (Rough, "difference 0.0005, allowed 0.0001"),
        (Noise, "stage '0-noise' draws at random"),
    ],
)
def test_a_stage_without_a_graph_is_named_with_the_reason(stage, reason, tmp_path):
    outcome = exports(Deployment.chain(stage(), Classify(network())), tmp_path)[0]["device-0"][0]
    assert isinstance(outcome, NotExportable)
    assert reason in outcome.reason
    assert "\n" not in outcome.reason


def test_a_stage_that_raises_under_the_tracer_gives_its_message(tmp_path):
    class Broken(Stage):
        placement = "device"

        def transform(self, x):
            if torch.jit.is_tracing():
                raise ValueError("no tracing here")
            return x

    outcome = exports(Deployment.chain(Broken(), Classify(network())), tmp_path)[0]["device-0"][0]
    assert isinstance(outcome, NotExportable)
    assert "no tracing here" in outcome.reason
    assert not (tmp_path / "device-0.onnx").exists()
