from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.data.cards import file_sha256
from bench.data.weights import load_factory, load_into, load_weights
from bench.errors import UsageError


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def _same(given, network) -> bool:
    expected = network.state_dict()
    return given.keys() == expected.keys() and all(torch.equal(given[name], expected[name]) for name in expected)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_state_dict_reads_back(tmp_path, network, suffix):
    path = tmp_path / f"net{suffix}"
    save_file(network.state_dict(), path) if suffix == ".safetensors" else torch.save(network.state_dict(), path)
    assert _same(load_weights(path), network)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
def test_a_wrapped_state_dict_with_prefix_is_unwrapped(tmp_path, network, wrapper, prefix):
    prefixed = OrderedDict((f"{prefix}{name}", value) for name, value in network.state_dict().items())
    torch.save({wrapper: prefixed, "epoch": 3, "accuracy": 0.9}, tmp_path / "net.pt")
    assert _same(load_weights(tmp_path / "net.pt"), network)


def test_a_state_dict_with_a_layer_called_model_is_not_unwrapped(tmp_path):
    outer = nn.ModuleDict({"model": nn.Linear(2, 2)})
    torch.save(outer.state_dict(), tmp_path / "net.pt")
    assert _same(load_weights(tmp_path / "net.pt"), outer)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_and_whole_numbers_stay(tmp_path, network, dtype):
    tensors = {n: v.to(dtype) if v.is_floating_point() else v for n, v in network.state_dict().items()}
    save_file(tensors, tmp_path / "net.safetensors")
    loaded = load_weights(tmp_path / "net.safetensors")
    assert {str(v.dtype) for v in loaded.values()} == {"torch.float32", "torch.int64"}
    load_into(network, loaded)


class _Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path):
    mark = tmp_path / "executed"
    torch.save({"state_dict": _Malicious(mark)}, tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Malicious(mark)))
    torch.save({"weight": _Malicious(mark)}, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    for name in ("zip.pt", "plain.pt", "legacy.pth"):
        with pytest.raises(UsageError, match=f"{name} are refused.*nothing in it was executed"):
            load_weights(tmp_path / name)
    assert not mark.exists()
    pickle.loads((tmp_path / "plain.pt").read_bytes())  # the bait does bite where it is executed
    assert mark.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("kept", [0, 7, 0.5, 0.95])
def test_a_file_that_was_cut_off_is_a_plain_error(tmp_path, network, suffix, kept):
    path = tmp_path / f"net{suffix}"
    save_file(network.state_dict(), path) if suffix == ".safetensors" else torch.save(network.state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    with pytest.raises(UsageError, match="net"):
        load_weights(path)


@pytest.mark.parametrize(("dtype", "size"), [("F4", 4), ("F6_E2M3", 6), ("F8_E8M0", 8)])
def test_numbers_of_a_type_that_torch_lacks_are_a_plain_error(tmp_path, dtype, size):
    header = json.dumps({"0.weight": {"dtype": dtype, "shape": [8], "data_offsets": [0, size]}}).encode()
    (tmp_path / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(UsageError, match=f"numbers of the type '{dtype}', which is not read here. Save them as"):
        load_weights(tmp_path / "net.safetensors")


def test_a_file_whose_digest_differs_is_refused(tmp_path, network):
    path = tmp_path / "net.safetensors"
    save_file(network.state_dict(), path)
    digest = file_sha256(path)
    assert _same(load_weights(path, sha256=digest), network)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load_weights(path)  # only the digest tells
    with pytest.raises(UsageError, match="SHA-256"):
        load_weights(path, sha256=digest)


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 3}, {"state_dict": {"a": "text"}}])
def test_a_file_without_a_state_dict_is_a_plain_error(tmp_path, content):
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(UsageError, match="hold no state dict"):
        load_weights(tmp_path / "net.pt")


def test_a_missing_file_and_an_unknown_ending_are_plain_errors(tmp_path):
    with pytest.raises(UsageError, match="No file of weights"):
        load_weights(tmp_path / "net.pt")
    (tmp_path / "net.h5").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"'\.h5'; expected \.safetensors or \.pt"):
        load_weights(tmp_path / "net.h5")


def test_weights_of_the_wrong_shape_are_named_with_both_shapes(network):
    tensors = network.state_dict()
    tensors["0.weight"] = torch.zeros(3, 5)
    del tensors["1.bias"]
    tensors["2.extra"] = torch.zeros(1)
    with pytest.raises(UsageError) as caught:
        load_into(network, tensors, origin="weights net.pt")
    text = str(caught.value)
    assert text.startswith("Weights net.pt do not fit Sequential")
    assert "0.weight: expected (3, 4), got (3, 5)" in text
    assert "1.bias: expected (3,), missing" in text
    assert "2.extra: not in the network, got (1,)" in text


def test_what_no_answer_depends_on_may_be_missing(network):
    tensors = {name: value + 1 for name, value in network.state_dict().items()}
    del tensors["1.num_batches_tracked"]
    load_into(network, tensors)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in tensors.items())


def test_one_of_two_tied_weights_may_be_missing_and_no_other():
    network = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    with pytest.raises(UsageError, match=r"b\.weight: expected \(2, 2\), missing"):
        load_into(network, {"a.weight": torch.ones(2, 2)})
    network["b"].weight = network["a"].weight
    load_into(network, {"a.weight": torch.ones(2, 2)})
    assert torch.equal(network["b"].weight, torch.ones(2, 2))


def test_a_state_that_is_no_tensor_is_the_networks_own():
    class Counting(nn.Linear):
        def get_extra_state(self):
            return {"runs": 1}

        def set_extra_state(self, state):
            raise AssertionError("nothing was given")

    network = Counting(2, 2)
    load_into(network, {"weight": torch.ones(2, 2), "bias": torch.ones(2)})
    assert torch.equal(network.weight, torch.ones(2, 2))


def test_weights_that_are_not_finite_are_refused(network):
    tensors = {name: value.clone() for name, value in network.state_dict().items()}
    tensors["0.bias"][0] = float("nan")
    with pytest.raises(UsageError, match=r"not finite: tensor '0\.bias'"):
        load_into(network, tensors)


NETS = """
import torch
from torch import nn
from beside import WIDTH

class Net(nn.Sequential):
    def __init__(self, classes=10, width=WIDTH):
        super().__init__(nn.Flatten(), nn.LazyLinear(classes))

def narrow():
    return nn.Sequential(nn.LazyLinear(3), nn.Linear(4, 2))

def shaped(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))

def bare():
    return nn.Linear(1, 1)

def greedy(depth):
    return nn.Linear(1, 1)

def wrong():
    return "a network"

def failing(**settings):
    raise KeyError(f"{settings['shape']} {settings['classes']}")

NUMBER = 3
"""


@pytest.fixture
def nets(tmp_path) -> Path:
    (tmp_path / "beside.py").write_text("WIDTH = 5")
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path / "nets.py"


def test_a_users_factory_gets_shape_and_classes_where_it_asks_for_them(nets):
    assert load_factory(f"{nets}:shaped")((1, 2, 3), 4)[1].weight.shape == (4, 6)
    assert load_factory(f"{nets}:Net")((1, 2, 3), 4)[1].weight.shape == (4, 6)  # a lazy layer has seen an image
    assert isinstance(load_factory(f"{nets}:bare")((1, 2, 3), 4), nn.Linear)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("greedy", "asks for 'depth'"),
        ("narrow", r"does not take an image \(1, 1, 2, 3\)"),
        ("wrong", r"gave str; expected a torch\.nn\.Module"),
        ("failing", r"failed to build: KeyError: '\(1, 2, 3\) 4'"),
        ("NUMBER", "has no function or class 'NUMBER'"),
        ("absent", "has no function or class 'absent'"),
    ],
)
def test_a_users_factory_that_does_not_work_is_a_plain_error(nets, name, says):
    with pytest.raises(UsageError, match=says):
        load_factory(f"{nets}:{name}")((1, 2, 3), 4)


def test_a_users_file_that_does_not_work_is_a_plain_error(tmp_path):
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere")
    with pytest.raises(UsageError, match="cannot be imported: ModuleNotFoundError"):
        load_factory(f"{tmp_path / 'broken.py'}:net")
    with pytest.raises(UsageError, match="No file"):
        load_factory(f"{tmp_path / 'absent.py'}:net")
    with pytest.raises(UsageError, match=r"must be written FILE\.py:FACTORY"):
        load_factory("resnet20")
