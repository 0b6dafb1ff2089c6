import zlib

import numpy as np
import pytest
import torch

from bench.deployment import Draws, Signal
from bench.errors import DamagedObject, UsageError
from bench_superiot.drop import PixelDrop
from bench_superiot.windows import Windows
from bench_superiot.wire import FORMS


def dropped_batch(shape, size, ratio, form="seed", regular=False):
    drop = PixelDrop(Windows.of(shape, size, ratio), wire_format=form, regular=regular)
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))
    x[:, :, :6, :6] = 0.0  # black pixels that are kept
    return drop, drop(Signal(x, Draws.of("score", 0, [b"a", b"b", b"c"])))


# Section 7 of the specification: bytes computed from the forms' definitions.
BYTES = [
    ((1, 28, 28), 4, 0.1, 784, 702, 792, 737),
    ((1, 28, 28), 4, 0.3, 784, 555, 645, 627),
    ((1, 28, 28), 4, 0.5, 784, 408, 498, 486),
    ((3, 32, 32), 8, 0.1, 3072, 2800, 2920, 2846),
    ((3, 32, 32), 8, 0.3, 3072, 2176, 2296, 2274),
    ((3, 32, 32), 8, 0.5, 3072, 1552, 1672, 1666),
    ((3, 224, 224), 8, 0.1, 150528, 136432, 142696, 139070),
    ((3, 224, 224), 8, 0.3, 150528, 105856, 112120, 111042),
    ((3, 224, 224), 8, 0.5, 150528, 75280, 81544, 81250),
]


@pytest.mark.parametrize(("shape", "size", "ratio", "raw", "seed", "bitmask", "combi"), BYTES)
def test_forms_have_exactly_the_specified_bytes(shape, size, ratio, raw, seed, bitmask, combi) -> None:
    drop, signal = dropped_batch(shape, size, ratio)
    one = Signal(signal.x[:1], signal.draws[:1], {name: side[:1] for name, side in signal.side.items()})
    sizes = {form: len(drop.encode(one, form)[0]) for form in ("raw", "seed", "bitmask", "combi")}
    assert sizes == {"raw": raw, "seed": seed, "bitmask": bitmask, "combi": combi}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("shape", "size", "regular"), [((3, 32, 32), 8, False), ((1, 29, 30), 4, False), ((3, 16, 16), 8, True)]
)
def test_the_server_gets_values_and_mask_from_nothing_but_the_bytes(form, shape, size, regular) -> None:
    drop, signal = dropped_batch(shape, size, 0.2, form, regular)
    blank = Signal(torch.full_like(signal.x, torch.nan), signal.draws)
    arrived = drop.decode(drop.encode(signal), blank)
    crossed = drop.cross(signal)
    assert torch.equal(arrived.side["mask"], signal.side["mask"])
    assert torch.equal(arrived.x, crossed.x)
    assert torch.equal(crossed.side["mask"], signal.side["mask"])
    assert (arrived.x - signal.x).abs().max() <= 0.5 / 255 + 1e-6
    black = (signal.x[:, 0] == 0) & ~signal.side["mask"]
    assert black.any()
    assert (arrived.x[:, 0][black] == 0).all()
    assert set(arrived.side) == {"mask"}


def test_the_gradient_crosses_straight_through_for_kept_pixels_only() -> None:
    drop, _ = dropped_batch((3, 16, 16), 8, 0.2)
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    signal = drop(Signal(x, Draws.of("score", 0, [b"a", b"b"])))
    crossed = drop.cross(signal)
    with torch.no_grad():
        assert torch.equal(crossed.x, drop.decode(drop.encode(signal), signal).x)
    (gradient,) = torch.autograd.grad(crossed.x.sum(), x)
    assert torch.equal(gradient, (~signal.side["mask"])[:, None].expand_as(x).float())


def test_coded_bytes_are_the_published_ones() -> None:
    data = pytest.importorskip("skimage.data")
    a = data.astronaut()[32:480, 32:480] / 255.0
    x = torch.from_numpy(a.reshape(224, 2, 224, 2, 3).mean((1, 3)).transpose(2, 0, 1)[None]).float()
    for ratio, expected in ((0.1, 91_924), (0.3, 74_321), (0.5, 55_624)):
        drop = PixelDrop(Windows.of((3, 224, 224), 8, ratio))
        mask = torch.from_numpy(drop.wire.drawn(0))[None]
        signal = Signal(x * ~mask, Draws((b"",)), {"mask": mask, "mask_seed": torch.zeros(1, dtype=torch.int64)})
        size = len(drop.encode(signal, "coded")[0]) - 16  # the published figures have no header
        assert size == pytest.approx(expected, rel=0.05), zlib.ZLIB_RUNTIME_VERSION


@pytest.mark.parametrize("form", ["seed", "bitmask", "combi", "coded"])
def test_bytes_of_another_setting_or_cut_short_are_refused(form) -> None:
    drop, signal = dropped_batch((3, 32, 32), 8, 0.2)
    other, _ = dropped_batch((3, 32, 32), 8, 0.3)
    payloads = drop.encode(signal, form)
    with pytest.raises(DamagedObject, match="another shape, window, ratio"):
        other.decode(payloads, signal, form)
    with pytest.raises(DamagedObject):
        drop.decode([payload[:-7] for payload in payloads], signal, form)


def test_a_bit_mask_with_uneven_windows_is_refused() -> None:
    drop, signal = dropped_batch((1, 16, 16), 8, 0.2)
    payload = bytearray(drop.encode(signal, "bitmask")[0])
    bits = np.unpackbits(np.frombuffer(payload[8:40], dtype=np.uint8))
    first, second = np.flatnonzero(bits[:8] == 1), np.flatnonzero(bits[8:16] == 0)
    assert len(first)
    bits[first[0]], bits[8 + second[0]] = 0, 1
    payload[8:40] = np.packbits(bits).tobytes()
    with pytest.raises(DamagedObject, match="same number of pixels"):
        drop.decode([bytes(payload)], signal, "bitmask")


def test_the_raw_form_is_refused_where_the_seed_has_no_room() -> None:
    windows = Windows.of((1, 8, 8), 8, 0.05)
    assert "raw" not in PixelDrop(windows).wire_formats
    said = r"no room .* in the 3 dropped values\. Choose another: seed, bitmask, combi, coded\."
    with pytest.raises(UsageError, match=said):
        PixelDrop(windows, wire_format="raw")
