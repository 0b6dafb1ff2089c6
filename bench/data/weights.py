"""Read weights and networks that come from files; nothing in a file of weights is ever executed."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bench.errors import UsageError

Shape = tuple[int, int, int]
WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES: Final = ("module.", "_orig_mod.")  # of DataParallel, of torch.compile
_SHOWN = 4  # tensors named in one message


def load_weights(path: Path, *, sha256: str = "") -> dict[str, Tensor]:
    """Return the tensors of a file of weights, by name; half precision becomes float32.

    Parameters
    ----------
    path : .safetensors, or .pt, .pth or .bin as ``torch.save`` writes them: a state dict, or one below "state_dict",
        "model_state_dict", "model" or "net"; prefixes "module." and "_orig_mod." of all names are taken off
    sha256 : hex digest that the file must have, "" where none is known

    Raises
    ------
    UsageError : not there, not readable, not what its digest says, or no state dict; a pickle that asks for code
    """
    if not path.is_file():
        raise UsageError(f"No file of weights {path}. Check the path.")
    content = path.read_bytes()
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise UsageError(
            f"Weights {path} do not have the SHA-256 that is on record for them ({sha256[:12]}...): the file was "
            "changed or damaged. Install or copy it again."
        )
    if path.suffix == ".safetensors":
        try:
            tensors: Any = load_safetensors(content)
        except SafetensorError as error:
            raise UsageError(
                f"Weights {path} cannot be read as safetensors: {error}. The file may be cut off; copy it again."
            ) from error
        except KeyError as error:
            raise UsageError(
                f"Weights {path} hold numbers of the type {error}, which is not read here. Save them as float32."
            ) from error
    elif path.suffix in (".pt", ".pth", ".bin"):
        tensors = _unwrapped(_unpickled(path))
    else:
        raise UsageError(f"Weights {path} end in {path.suffix!r}; expected .safetensors or .pt.")
    if not isinstance(tensors, Mapping) or not tensors or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise UsageError(
            f"Weights {path} hold no state dict: expected tensors by name, at the top or below "
            f"{', '.join(map(repr, WRAPPERS))}. Save network.state_dict()."
        )
    return {
        name: value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
        for name, value in _without_prefixes({str(name): value for name, value in tensors.items()}).items()
    }


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES * 2:  # one may stand inside the other
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"Weights {path} are refused: the file asks for more than tensors, or is damaged; nothing in it was "
            "executed. Save network.state_dict(), best as .safetensors."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        # what torch raises on files that are cut off or altered
        raise UsageError(
            f"Weights {path} cannot be read: {_first_line(error)}. The file may be cut off; copy it again."
        ) from error


def _unwrapped(content: Any) -> Any:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], *, origin: str = "the weights") -> None:
    """Put the tensors into the network.

    A tensor that shares its memory with one that is given may be missing, as files leave it out; so may how many
    batches a normalisation has seen, which no answer depends on.

    Parameters
    ----------
    origin : where they come from, for the message

    Raises
    ------
    UsageError : names or shapes differ; says which, what was expected and what was got
    """
    held = {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}
    expected = {name: tuple(value.shape) for name, value in held.items()}
    there = {held[name].data_ptr() for name in tensors if name in held and held[name].numel()}
    spared = {name for name, value in held.items() if name.endswith("num_batches_tracked") or value.data_ptr() in there}
    given = {name: tuple(value.shape) for name, value in tensors.items()}
    faults = [
        f"{name}: expected {expected[name]}, got {given[name]}"
        for name in expected
        if given.get(name, expected[name]) != expected[name]
    ]
    faults += [
        f"{name}: expected {shape}, missing"
        for name, shape in expected.items()
        if name not in given and name not in spared
    ]
    faults += [f"{name}: not in the network, got {shape}" for name, shape in given.items() if name not in expected]
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise UsageError(
            f"{origin[0].upper()}{origin[1:]} do not fit {type(network).__name__}: {'; '.join(faults[:_SHOWN])}{more}. "
            "Use weights of this very network, data set and parameters."
        )
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UsageError(f"{origin[0].upper()}{origin[1:]} hold numbers that are not finite: tensor {name!r}.")
    network.load_state_dict(dict(tensors), strict=False)  # what may be missing was looked at


def load_factory(named: str) -> Callable[[Shape, int], nn.Module]:
    """Return what builds a user's network: "file.py:factory", the file being the user's own code, which is run.

    Returns
    -------
    callable : (shape, classes) -> Module; the factory gets ``shape`` and ``classes`` where it has arguments so named

    Raises
    ------
    UsageError : no such file or callable, or the file or the factory fails, or gives no Module
    """
    file, _, name = named.rpartition(":")
    path = Path(file).expanduser().absolute()
    if not file.endswith(".py") or not name.isidentifier():
        raise UsageError(f"Model {named!r} must be written FILE.py:FACTORY, such as nets.py:make_net.")
    if not path.is_file():
        raise UsageError(f"No file {path} for model {named!r}. Check the path.")
    factory = getattr(_imported(path), name, None)
    if not callable(factory):
        raise UsageError(f"File {path} has no function or class {name!r} for model {named!r}.")
    arguments = _arguments(factory, named)

    def build(shape: Shape, classes: int) -> nn.Module:
        offered = {"shape": shape, "classes": classes}
        try:
            network = factory(**{argument: offered[argument] for argument in arguments})
        except Exception as error:  # the user's code: anything may be raised
            raise UsageError(f"Model {named!r} failed to build: {type(error).__name__}: {error}.") from error
        if not isinstance(network, nn.Module):
            raise UsageError(f"Model {named!r} gave {type(network).__name__}; expected a torch.nn.Module.")
        if any(is_lazy(parameter) for parameter in network.parameters()):
            _see_shapes(network, shape, named)
        return network

    return build


@torch.no_grad()
def _see_shapes(network: nn.Module, shape: Shape, named: str) -> None:
    """Let layers that learn their shapes from what they first get see an image."""
    training = network.training
    try:
        network.eval()
        network(torch.zeros(1, *shape))
    except Exception as error:  # the user's code: anything may be raised
        raise UsageError(
            f"Model {named!r} does not take an image {(1, *shape)}: {type(error).__name__}: {error}."
        ) from error
    network.train(training)


def _imported(path: Path) -> Any:
    """Run a user's file as a module of its own; modules beside it can be imported by it."""
    name = f"bench_user_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a class's module up there
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's code: anything may be raised
        del sys.modules[name]
        raise UsageError(f"File {path} cannot be imported: {type(error).__name__}: {error}.") from error
    return module


def _arguments(factory: Callable[..., Any], named: str) -> tuple[str, ...]:
    """Return which of ``shape`` and ``classes`` the factory takes."""
    parameters = inspect.signature(factory).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return ("shape", "classes")
    taken = tuple(p.name for p in parameters if p.name in ("shape", "classes"))
    for p in parameters:
        if p.default is p.empty and p.name not in taken and p.kind is not p.VAR_POSITIONAL:
            raise UsageError(
                f"Model {named!r} asks for {p.name!r}; a factory is called with shape=(C, H, W) and classes=K at most. "
                f"Give {p.name!r} a default."
            )
    return taken


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
