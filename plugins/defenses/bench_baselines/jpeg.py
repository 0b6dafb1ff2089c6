"""JPEG: the device compresses the image, the server decompresses and classifies it."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from bench.deployment import Classify, Deployment, FitResult, Placement, Signal, Stage, Surrogate, with_slope
from bench.errors import DamagedObject
from bench_baselines.jpeg_transform import compress
from bench_baselines.rounding import Rounding, annealed_hardness, cubic_round, soft_round
from bench_baselines.sizes import refuse_channels

FORMS = ("file", "scan")
_END = b"\xff\xd9"  # the marker that ends every file
_MACS_A_SAMPLE = 16  # the separable 8x8 DCT: 2 x 8 x 64 for 64 samples
_MACS_A_COLOUR_PIXEL = 9


class JpegCodec:
    """Pillow's JPEG for images of one shape and quality, with the codec's standard Huffman tables.

    Parameters
    ----------
    shape : (C, H, W), C = 1 (grey) or 3 (RGB)
    subsampled : chroma at half the resolution both ways (4:2:0), else at full (4:4:4)

    Attributes
    ----------
    header : the bytes before the entropy-coded scan: the same for all these images, so both ends know them
    """

    def __init__(self, shape: tuple[int, int, int], quality: int, *, subsampled: bool) -> None:
        self.shape, self.quality, self.subsampled = shape, quality, subsampled
        self.header = b""
        blank = self.encode(np.zeros(shape, dtype=np.uint8))
        start = blank.rindex(b"\xff\xda")  # the scan's marker, which no scan contains
        self.header = blank[: start + 2 + int.from_bytes(blank[start + 2 : start + 4], "big")]

    def encode(self, values: NDArray[np.uint8]) -> bytes:
        """Return the file of one image, uint8, (C, H, W)."""
        image = Image.fromarray(values[0] if self.shape[0] == 1 else np.ascontiguousarray(values.transpose(1, 2, 0)))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=self.quality, subsampling="4:2:0" if self.subsampled else "4:4:4")
        payload = file.getvalue()
        if not payload.startswith(self.header) or not payload.endswith(_END):
            raise DamagedObject("This Pillow writes JPEG headers that depend on the image; choose wire=file.")
        return payload

    def decode(self, payload: bytes) -> NDArray[np.uint8]:
        """Return the image of a file, uint8, (C, H, W).

        Raises
        ------
        DamagedObject : the bytes are no JPEG image of this shape
        """
        try:
            values = np.asarray(Image.open(io.BytesIO(payload), formats=("JPEG",)))
        except (OSError, SyntaxError, ValueError) as error:
            raise DamagedObject(f"A payload of {len(payload)} bytes is no JPEG file: {error}.") from None
        values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
        if values.shape != self.shape:
            raise DamagedObject(f"A payload holds a JPEG image of {values.shape}; expected {self.shape}.")
        return values

    def stripped(self, payload: bytes) -> bytes:
        """Return a file without what both ends know."""
        return payload[len(self.header) : -len(_END)]

    def completed(self, payload: bytes) -> bytes:
        """Return the file of which ``stripped`` left these bytes."""
        return self.header + payload + _END


class JpegCompression(Stage):
    """Compress and decompress on the device's side of the border; what leaves is the compressed file.

    The side tensors ``file``, uint8, (B, L), and ``file_length``, int64, (B,), hold the bytes until they leave.

    Parameters
    ----------
    wire_format : default form of ``encode``: "file", a whole JPEG file; "scan", without the header and the end marker,
        which are the same for all images of this shape and quality

    Raises
    ------
    UsageError : images with neither one nor three channels

    Notes
    -----
    ``x`` is what the server will decompress, so that the stage is the whole transformation wherever it stands. A clock
    on the device therefore counts one decompression that a real device need not do. The multiply-accumulates declared
    are those of the device alone: 9 a pixel for colours, 16 a sample for a separable DCT.
    """

    placement: Placement = "device"
    differentiable = False

    def __init__(
        self, shape: tuple[int, int, int], *, quality: int = 75, subsampled: bool = True, wire_format: str = "file"
    ) -> None:
        super().__init__()
        refuse_channels(shape)
        self.quality, self.subsampled = quality, subsampled
        self.codec = JpegCodec(shape, quality, subsampled=subsampled)
        self.wire_formats = (wire_format, *(form for form in FORMS if form != wire_format))
        pixels = shape[1] * shape[2]
        samples = pixels if shape[0] == 1 else pixels * 3 // (2 if subsampled else 1)
        self.macs_declared = _MACS_A_SAMPLE * samples + (_MACS_A_COLOUR_PIXEL * pixels if shape[0] == 3 else 0)

    @property
    def facts(self) -> Mapping[str, object]:
        """What of every file both ends could know beforehand."""
        return {"header_bytes": len(self.codec.header) + len(_END)}

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """``identity``, and JPEG as tensor operations with a rounding that has a derivative.

        ``cubic`` is Shin and Song's; ``soft`` sharpens while the attack goes on.
        """

        def soft(signal: Signal, progress: float) -> Signal:
            hardness = annealed_hardness(progress)
            return self._smooth(signal, lambda v: soft_round(v, hardness))

        return {
            "identity": lambda signal, progress: signal,
            "cubic": lambda signal, progress: self._smooth(signal, cubic_round),
            "soft": soft,
        }

    def forward(self, signal: Signal) -> Signal:
        greys = torch.round(signal.x.detach().clamp(0, 1) * 255.0).to(torch.uint8).cpu().numpy()
        files = [self.codec.encode(image) for image in greys]
        exact = self._restored(files).to(signal.x.device)
        longest = max(map(len, files))
        padded = np.stack([np.frombuffer(file.ljust(longest, b"\0"), dtype=np.uint8) for file in files])
        lengths = torch.tensor([len(file) for file in files])
        return signal.replace(with_slope(exact, signal.x, 0.0), file=torch.from_numpy(padded), file_length=lengths)

    def cross(self, signal: Signal) -> Signal:
        """Return what the server decompresses, to the bit, whatever a surrogate's arithmetic left of it."""
        exact = self._restored(self._files(signal)).to(signal.x.device)
        return Signal(with_slope(exact, signal.x, 1.0), signal.draws)

    def encode(self, signal: Signal, wire_format: str | None = None) -> list[bytes]:
        files = self._files(signal)
        form = wire_format or self.wire_formats[0]
        return [self.codec.stripped(file) for file in files] if form == "scan" else files

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str | None = None) -> Signal:
        form = wire_format or self.wire_formats[0]
        files = [self.codec.completed(payload) for payload in payloads] if form == "scan" else payloads
        return Signal(self._restored(files).to(like.x.device), like.draws)

    def _files(self, signal: Signal) -> list[bytes]:
        rows, lengths = signal.side["file"].numpy(), signal.side["file_length"].tolist()
        return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]

    def _restored(self, files: list[bytes]) -> Tensor:
        values = np.stack([self.codec.decode(file) for file in files])
        return torch.from_numpy(values.astype(np.float32) / np.float32(255.0))

    def _smooth(self, signal: Signal, rounding: Rounding) -> Signal:
        return signal.replace(compress(signal.x, self.quality, subsampled=self.subsampled, rounding=rounding))


class Jpeg:
    """JPEG on the device, the unchanged classifier on the server.

    Parameters
    ----------
    quality : 1 to 100
    subsampling : "4:2:0" or "4:4:4"; of no effect on grey images
    wire : "file" or "scan"
    """

    def __init__(self, *, quality: int = 75, subsampling: str = "4:2:0", wire: str = "file") -> None:
        self.quality, self.subsampled, self.wire = quality, subsampling == "4:2:0", wire

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        """Return the deployment; nothing of it is learned.

        Raises
        ------
        UsageError : images with neither one nor three channels
        """
        stage = JpegCompression(shape, quality=self.quality, subsampled=self.subsampled, wire_format=self.wire)
        return Deployment.chain(stage, Classify(network))
